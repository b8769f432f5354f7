"""How the controller is found and what is said when it isn't: home, record, token, address."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from ringrift.client import routes
from ringrift.client.access import Access, checked_url, find_access
from ringrift.client.home import ControllerRecord, is_alive
from ringrift.client.http import AsyncClient, Client
from ringrift.errors import AccessRefused, BadInput, CorruptData, HostKeyChanged, Unreachable
from tests.cli.double import TOKEN


def write_record(home: Path, **fields: object) -> None:
    (home / "run").mkdir(parents=True)
    record = {"pid": os.getpid(), "started": time.time(), "url": "http://127.0.0.1:9"} | fields
    (home / "run" / "controller.json").write_text(json.dumps(record))
    (home / "operator.token").write_text(TOKEN + "\n")


def test_without_a_controller_the_hint_says_how_to_start_one(run) -> None:
    result = run("status")
    assert result.exit_code == 6
    assert "start it with `ringrift-ctl up`" in result.stderr


def test_a_recorded_controller_that_does_not_answer_is_unreachable(run, own_home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        write_record(own_home, url=f"http://127.0.0.1:{taken.getsockname()[1]}")
        result = run("status")
    assert result.exit_code == 6
    assert "no controller answers at" in result.stderr


def test_the_recorded_address_and_token_are_used(own_home: Path) -> None:
    write_record(own_home, url="http://127.0.0.1:8470/")
    assert find_access() == Access("http://127.0.0.1:8470", TOKEN, local=True)


def test_the_token_is_never_shown_in_a_repr(own_home: Path) -> None:
    write_record(own_home)
    assert TOKEN not in repr(find_access())


IMPOSSIBLE = (
    '{"pid": "x", "started": 1, "url": "u"}',
    '{"pid": -1, "started": 1, "url": "http://127.0.0.1:1"}',
    '{"pid": 1, "started": 1, "url": "http://127.0.0.1:1"}',
    '{"pid": 1e400, "started": 1, "url": "http://127.0.0.1:1"}',
    '{"pid": 4000000, "started": NaN, "url": "http://127.0.0.1:1"}',
    '{"pid": 4000000, "started": 9e99, "url": "http://127.0.0.1:1"}',
    '{"pid": 4000000, "started": 1, "url": "ftp://x"}',
    "[" * 200_000,
)


@pytest.mark.parametrize("content", ["", "{", "[]", *IMPOSSIBLE], ids=lambda text: text[:60])
def test_a_broken_record_is_corrupt_data_that_names_the_file(content: str, run, own_home: Path) -> None:
    (own_home / "run").mkdir(parents=True)
    (own_home / "run" / "controller.json").write_text(content)
    result = run("status")
    assert result.exit_code == 8
    assert "controller.json" in result.stderr


def test_a_home_that_is_no_folder_is_the_machines_problem(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RINGRIFT_HOME", "/dev/null")
    result = run("status")
    assert (result.exit_code, result.stderr.count("\n")) == (9, 1)
    assert "cannot be read" in result.stderr
    assert run("doctor").stderr.startswith("error: not as needed: home")


def test_a_full_device_and_a_closed_output_are_the_machines_problem(own_home: Path) -> None:
    program = [sys.executable, "-m", "ringrift.cli.main", "--help"]
    with open("/dev/full", "w") as full:
        ended = subprocess.run(program, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (ended.returncode, ended.stderr.count("\n")) == (9, 1), ended.stderr
    left = subprocess.run(
        ["sh", "-c", '"$@" | true', "sh", *program], capture_output=True, text=True, check=False
    )
    assert left.stderr == "", "whoever stops reading knows it"
    closed = subprocess.run(["sh", "-c", 'exec "$@" >&-', "sh", *program], capture_output=True, check=False)
    assert closed.returncode == 9
    assert closed.stderr.startswith(b"error: the standard output is closed")


def test_an_encoding_without_our_signs_gets_escapes() -> None:
    program = [sys.executable, "-m", "ringrift.cli.main", "--help"]
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    ended = subprocess.run(program, capture_output=True, env=environment, check=False)
    assert ended.returncode == 0, ended.stderr
    assert b"Exit codes: 0 done" in ended.stdout


def test_a_missing_token_is_refused_access_with_the_way_out(run, own_home: Path) -> None:
    write_record(own_home)
    (own_home / "operator.token").unlink()
    result = run("status")
    assert result.exit_code == 7
    assert "operator.token" in result.stderr


def test_a_wrong_token_is_refused_access(run, world, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RINGRIFT_TOKEN", "another")
    assert run("status").exit_code == 7


def test_an_address_without_a_token_is_refused_before_anything_is_sent(
    run, world, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RINGRIFT_TOKEN")
    assert run("status").exit_code == 7
    assert world.requests == []


@pytest.mark.parametrize(
    "url", ["", "8470", "ftp://127.0.0.1", "http://", "http://127.0.0.1:x", "http://192.0.2.1:8470",
            "http://127.evil.example:8470", "http://localhost.evil.example"],
)  # fmt: skip
def test_an_address_that_is_none_or_would_leak_the_token_is_refused(url: str) -> None:
    with pytest.raises(BadInput):
        checked_url(url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8470", "http://[::1]:1", "https://ops.example/ring"])
def test_loopback_and_encrypted_addresses_are_taken(url: str) -> None:
    assert checked_url(url) == url


def test_a_proxy_of_the_environment_never_sees_the_token(run, world, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    assert run("status").exit_code == 0


def test_a_server_that_speaks_no_http_is_named(own_home: Path) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        access = Access(f"http://127.0.0.1:{server.getsockname()[1]}", TOKEN, local=True)
        import threading

        def answer() -> None:
            connection, _ = server.accept()
            connection.recv(4096)
            connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
            connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        with Client(access) as client, pytest.raises(CorruptData, match="speaks no HTTP"):
            client.send(routes.health())
        thread.join()


def test_an_unreachable_address_of_another_machine_hints_at_the_tunnel() -> None:
    with (
        Client(Access("http://127.0.0.1:1", TOKEN, local=False)) as client,
        pytest.raises(Unreachable) as told,
    ):
        client.send(routes.status())
    assert "RINGRIFT_URL" in told.value.hint


async def test_the_async_client_reads_the_same_and_rebuilds_the_same_errors(world) -> None:
    client = AsyncClient(find_access())
    view = await client.send(routes.host("gh200-01"))
    assert view.name == "gh200-01"
    world.fail("GET", "/v1/hosts/gh200-01", 401, "host_key_changed", "another key")
    with pytest.raises(HostKeyChanged, match="another key"):
        await client.send(routes.host("gh200-01"))
    await client.close()
    with pytest.raises(AccessRefused):
        await AsyncClient(Access(find_access().url, "wrong", local=False)).send(routes.status())


def test_a_process_that_was_born_after_the_announcement_is_not_the_controller() -> None:
    born = psutil.Process().create_time()
    assert is_alive(ControllerRecord(os.getpid(), born, ""))
    assert is_alive(ControllerRecord(os.getpid(), born + 3600, ""))
    assert not is_alive(ControllerRecord(os.getpid(), born - 60, ""))
