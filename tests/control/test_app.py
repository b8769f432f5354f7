"""The controller as a process: its home, its ports, its end, and its beginning after a kill."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest
from sqlalchemy.engine import URL

from ringrift.control.app import run_controller
from ringrift.control.home import agents_socket, home_lock, operator_token, prepare_home
from ringrift.errors import BadInput, EnvironmentProblem
from ringrift.protocol import agent as wire
from tests.control.conftest import empty
from tests.control.doubles import RecordingFleet

REPOSITORY = Path(__file__).resolve().parents[2]
PROGRAM = """
import asyncio, sys
from pathlib import Path
from ringrift.control.app import run_controller
from tests.control.conftest import empty
from tests.control.doubles import RecordingFleet
asyncio.run(run_controller(Path(sys.argv[1]), 0, RecordingFleet(), ready=lambda: print("ready", flush=True)))
"""


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("RINGRIFT_DATABASE_URL", raising=False)
    return tmp_path_factory.mktemp("h")


@asynccontextmanager
async def running(home: Path, port: int = 0) -> AsyncIterator[RecordingFleet]:
    """Run a controller in this process while inside."""
    fleet, ready = RecordingFleet(), asyncio.Event()
    task = asyncio.create_task(run_controller(home, port, fleet, ready=ready.set))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if task.done():
        await task
    try:
        yield fleet
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def announced(home: Path) -> dict:
    return json.loads((home / "run" / "controller.json").read_text())


def operator(home: Path) -> httpx.AsyncClient:
    token = (home / "operator.token").read_text().strip()
    return httpx.AsyncClient(
        base_url=announced(home)["url"], headers={"authorization": f"Bearer {token}"}, trust_env=False
    )


async def test_it_announces_itself_answers_on_both_apis_and_cleans_up(home: Path) -> None:
    async with running(home) as fleet:
        assert announced(home)["pid"] == os.getpid()
        async with operator(home) as http:
            assert (await http.get("/v1/health")).json()["home"] == str(home)
            assert (await http.get("/v1/status")).status_code == 200
        transport = httpx.AsyncHTTPTransport(uds=str(home / "run" / "agents.sock"))
        async with httpx.AsyncClient(transport=transport, base_url="http://agents") as http:
            answer = await http.post(wire.LEASE, content=b"{}")
            assert answer.status_code == 401
        assert (home / "operator.token").stat().st_mode & 0o777 == 0o600
        assert (home / "run" / "agents.sock").stat().st_mode & 0o777 == 0o600
    assert fleet.closed
    assert not (home / "run" / "controller.json").exists()
    assert not (home / "run" / "agents.sock").exists()
    assert "controller stops" not in (home / "logs" / "controller.log").read_text()


async def test_it_runs_on_postgres_by_url_and_leads_there(
    home: Path, migrated_postgres: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty(migrated_postgres)
    monkeypatch.setenv("RINGRIFT_DATABASE_URL", migrated_postgres.render_as_string(hide_password=False))
    async with running(home), operator(home) as http:
        await http.post("/v1/configs/hex8_2p/enabled", json={"enabled": True})
        async with asyncio.timeout(30):
            while not (await http.get("/v1/jobs")).json():
                await asyncio.sleep(0.05)
        assert (await http.get("/v1/status")).json()["controller"]["database"] == "postgres"
    assert not (home / "ringrift.db").exists()


async def test_a_second_controller_on_the_same_home_is_refused_and_names_the_first(home: Path) -> None:
    async with running(home):
        with pytest.raises(EnvironmentProblem) as refused:
            await run_controller(home, 0, RecordingFleet())
        assert f"process {os.getpid()}" in refused.value.line() and refused.value.exit_status == 9
        assert announced(home)["pid"] == os.getpid()


async def test_a_port_in_use_is_refused_and_leaves_the_home_free(home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(EnvironmentProblem, match=f"port {port} cannot be used"):
            await run_controller(home, port, RecordingFleet())
    async with running(home, port):
        assert announced(home)["url"].endswith(f":{port}")


async def test_a_home_too_deep_for_a_unix_socket_has_it_in_a_private_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = Path(tempfile.mkdtemp(dir="/tmp"))
    monkeypatch.setattr(tempfile, "tempdir", str(short))
    deep = prepare_home(tmp_path / ("d" * 100))
    path, listener = agents_socket(deep)
    listener.close()
    assert path.is_relative_to(short)
    assert path.parent.stat().st_mode & 0o777 == 0o700
    path.unlink()
    path.parent.chmod(0o755)
    with pytest.raises(EnvironmentProblem, match="not a private folder"):
        agents_socket(deep)
    path.parent.rmdir()
    short.rmdir()


async def test_a_wrong_setting_is_refused_before_anything_starts(home: Path) -> None:
    (home / "config.toml").write_text("[training]\nmin_position = 5\n")
    with pytest.raises(BadInput, match=r"config\.toml: unknown setting training\.min_position"):
        await run_controller(home, 0, RecordingFleet())
    assert not (home / "ringrift.db").exists()


async def test_a_newer_database_is_refused_in_one_line(home: Path) -> None:
    import sqlite3

    async with running(home):
        pass
    with sqlite3.connect(home / "ringrift.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(EnvironmentProblem, match="newer than this code"):
        await run_controller(home, 0, RecordingFleet())


def test_a_left_over_socket_file_is_replaced(home: Path) -> None:
    prepare_home(home)
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(home / "run" / "agents.sock"))
    stale.close()
    path, listener = agents_socket(home)
    assert path.is_socket()
    listener.close()


def test_the_token_is_made_once_and_must_be_private(home: Path) -> None:
    prepare_home(home)
    token = operator_token(home)
    assert operator_token(home) == token and len(token) >= 32
    (home / "operator.token").chmod(0o644)
    with pytest.raises(EnvironmentProblem, match="can be read by others"):
        operator_token(home)


def test_the_lock_is_free_again_after_its_holder(home: Path) -> None:
    prepare_home(home)
    for _ in range(2):
        with home_lock(home):
            pass


def start(home: Path) -> subprocess.Popen[str]:
    """Start a controller as a process of its own and wait until it is ready."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(home)],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=REPOSITORY,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


async def test_it_ends_gracefully_at_sigterm_and_goes_on_after_sigkill(home: Path) -> None:
    first = await asyncio.to_thread(start, home)
    async with operator(home) as http:
        await http.post("/v1/configs/hex8_2p/enabled", json={"enabled": True})
    first.kill()
    await asyncio.to_thread(first.wait)
    assert announced(home)["pid"] == first.pid, "a killed controller cannot clean up"
    second = await asyncio.to_thread(start, home)
    assert announced(home)["pid"] == second.pid
    async with operator(home) as http:
        configs = (await http.get("/v1/status")).json()["configs"]
        assert [config["key"] for config in configs if config["enabled"]] == ["hex8_2p"]
        assert (await http.get("/v1/audit/verify")).json()["sound"]
    second.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(second.wait, 20) == 0
    assert not (home / "run" / "controller.json").exists()
    log = (home / "logs" / "controller.log").read_text()
    assert "controller stops" in log and "Traceback" not in log


def test_the_controller_imports_nothing_that_computes() -> None:
    program = (
        "import sys, ringrift.control.app; "
        "print([name for name in ('torch', 'numba', 'numpy', 'asyncssh', 'textual') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
