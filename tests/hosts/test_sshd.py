"""The loopback SSH servers that the demo and these tests use as hosts."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys

import asyncssh
import psutil
import pytest

from ringrift.cli.demo import sshd
from ringrift.errors import CorruptData, EnvironmentProblem

KEY = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()


@pytest.fixture(params=["openssh", "double"])
def kind(request):
    if request.param == "openssh" and sshd.openssh_path() is None:
        pytest.skip("sshd is not installed: apt-get install openssh-server")
    return request.param


@pytest.fixture
def folder(tmp_path):
    yield tmp_path / "host"
    sshd.stop(tmp_path / "host")


def listens(address: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex((address, port)) == 0


def test_it_listens_on_its_own_loopback_address_only(folder, kind):
    server = sshd.start(folder, "127.0.0.7", 0, KEY, kind=kind)
    assert server.kind == kind
    assert listens("127.0.0.7", server.port)
    assert not listens("127.0.0.8", server.port)


def test_its_folder_is_private_and_its_host_key_too(folder, kind):
    sshd.start(folder, "127.0.0.7", 0, KEY, kind=kind)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "host_key").stat().st_mode & 0o777 == 0o600


def test_starting_again_returns_the_running_server(folder, kind):
    first = sshd.start(folder, "127.0.0.7", 0, KEY, kind=kind)
    assert sshd.start(folder, "127.0.0.7", 0, KEY, kind=kind) == first


def test_after_a_stop_it_keeps_its_host_key(folder, kind):
    first = sshd.start(folder, "127.0.0.7", 0, KEY, kind=kind)
    assert sshd.stop(folder)
    assert not listens(first.address, first.port)
    assert not sshd.stop(folder)
    second = sshd.start(folder, "127.0.0.7", first.port, KEY, kind=kind)
    assert (second.host_key, second.port) == (first.host_key, first.port)
    assert second.pid != first.pid


def test_a_killed_server_is_noticed_and_started_anew(folder, kind):
    first = sshd.start(folder, "127.0.0.7", 0, KEY, kind=kind)
    os.kill(first.pid, signal.SIGKILL)
    os.waitpid(first.pid, 0)
    assert sshd.status(folder) is None
    assert sshd.start(folder, "127.0.0.7", 0, KEY, kind=kind).pid != first.pid


def test_a_process_that_only_has_the_recorded_number_is_not_signalled(folder):
    folder.mkdir()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as innocent:
        born = psutil.Process(innocent.pid).create_time() - 100
        record = {"kind": "openssh", "address": "127.0.0.7", "port": 1, "user": "u", "host_key": "k"}
        record |= {"fingerprint": "f", "pid": innocent.pid, "born": born}
        (folder / "sshd.json").write_text(json.dumps(record))
        assert not sshd.stop(folder)
        assert innocent.poll() is None
        innocent.stdin.close()


def test_a_port_in_use_is_named(folder, kind):
    with socket.socket() as taken:
        taken.bind(("127.0.0.7", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(EnvironmentProblem, match=f"127.0.0.7:{port}"):
            sshd.start(folder, "127.0.0.7", port, KEY, kind=kind)
    assert sshd.status(folder) is None


def test_a_server_that_does_not_come_up_shows_its_last_words(folder, monkeypatch):
    argv = [sys.executable, "-c", "raise SystemExit('no such option')"]
    monkeypatch.setattr(sshd, "_double_argv", lambda _place: argv)
    with pytest.raises(EnvironmentProblem, match="no such option"):
        sshd.start(folder, "127.0.0.7", 0, KEY, kind="double")
    assert sshd.status(folder) is None


def test_a_damaged_record_is_told(folder):
    folder.mkdir()
    (folder / "sshd.json").write_text("{")
    with pytest.raises(CorruptData, match=r"sshd\.json"):
        sshd.status(folder)
    (folder / "sshd.json").unlink()


def test_its_configuration_switches_no_check_of_ours_off(folder):
    if sshd.openssh_path() is None:
        pytest.skip("sshd is not installed: apt-get install openssh-server")
    sshd.start(folder, "127.0.0.7", 0, KEY, kind="openssh")
    text = (folder / "sshd_config").read_text()
    assert "PasswordAuthentication no" in text
    assert "ListenAddress 127.0.0.7:" in text
