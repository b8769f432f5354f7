"""Real SSH servers on loopback addresses as hosts: OpenSSH's sshd where installed, else the double."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import stub_release
from stub_release import Report

from hosts import deploy as deployment
from hosts import health
from hosts.fleet import SshFleet
from hosts.identity import controller_key
from hosts.provision import FleetSettings
from ringrift.cli.demo import sshd
from ringrift.control.domain.ports import HostSpec

REPOSITORY = Path(__file__).resolve().parents[2]
HAS_OPENSSH = sshd.openssh_path() is not None
TOKEN = "token-of-a-test-0123456789"

if not HAS_OPENSSH:
    warnings.warn(
        "sshd is not installed: the tests of hosts run against the asyncssh double only "
        "(to have them all: apt-get install openssh-server)",
        stacklevel=1,
    )


@dataclass
class Host:
    """One server on a loopback address, and the folder that is its root."""

    spec: HostSpec
    folder: Path
    root: Path

    def cut(self) -> None:
        """Cut every connection; the server goes on."""
        sshd.cut(self.folder)

    def stop_services(self) -> None:
        """Stop what our supervisor keeps running below the root."""
        for state in (self.root / "run" / "services").glob("*.json"):
            command = [sys.executable, "-m", "agents.supervisor", "stop", "--grace", "3"]
            place = ["--dir", str(state.parent), "--name", state.stem]
            subprocess.run([*command, *place], env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, check=True)


@pytest.fixture(scope="session")
def home(tmp_path_factory) -> Path:
    """The controller's RINGRIFT_HOME with its key."""
    folder = tmp_path_factory.mktemp("home")
    controller_key(folder)
    return folder


@pytest.fixture
def start_host(home, tmp_path):
    """Return a function that starts a host; everything it started is stopped at the end."""
    started: list[Host] = []

    def start(
        name: str = "alpha",
        *,
        kind: str | None = None,
        root: Path | None = None,
        python: str | None = sys.executable,
        authorized: str | None = None,
        **options: Any,
    ) -> Host:
        folder = tmp_path / f"sshd-{name}"
        line = authorized or (home / "ssh" / "id_ed25519.pub").read_text()
        address = f"127.0.0.{2 + len(started)}"
        server = sshd.start(folder, address, 0, line, kind=kind, **options)
        root = root or tmp_path / f"root-{name}"
        login = (server.user, server.address, server.port, server.host_key)
        started.append(Host(HostSpec(name, *login, str(root), python, None), folder, root))
        return started[-1]

    yield start
    for host in started:
        host.stop_services()
        sshd.stop(host.folder)


@pytest.fixture
def host(start_host) -> Host:
    return start_host()


@pytest.fixture(params=["openssh", "double"])
def either_host(request, start_host) -> Host:
    """The same test against OpenSSH's sshd and against the double."""
    if request.param == "openssh" and not HAS_OPENSSH:
        pytest.skip("sshd is not installed: apt-get install openssh-server")
    return start_host(kind=request.param)


@pytest.fixture
async def make_fleet(home):
    """Return a function that makes a fleet; each is closed at the end."""
    made: list[SshFleet] = []

    def make(**settings) -> SshFleet:
        made.append(SshFleet(home, FleetSettings(**{"warm": False, "systemd": False, **settings})))
        return made[-1]

    yield make
    for fleet in made:
        await fleet.close()


@pytest.fixture
def fleet(make_fleet) -> SshFleet:
    """A fleet that provisions the release of this checkout."""
    return make_fleet()


@pytest.fixture
def source(tmp_path) -> Path:
    """The sources of a small release with stand-ins for agent and service."""
    return stub_release.write_source(tmp_path / "source")


@pytest.fixture
def stub_fleet(make_fleet, source) -> SshFleet:
    """A fleet that provisions the small release."""
    return make_fleet(source=source)


@pytest.fixture
async def remote(fleet, host):
    """An open connection to `host`."""
    return await fleet._remote(host.spec)


@pytest.fixture
def report() -> Report:
    return Report()


@pytest.fixture
def impatient(monkeypatch):
    """A stand-in answers within a second, so that what never comes is noticed soon."""
    monkeypatch.setattr(deployment, "READY_SECONDS", 5.0)
    monkeypatch.setattr(deployment, "LOOK_SECONDS", 0.5)
    monkeypatch.setattr(health, "POLL_SECONDS", 0.05)


@pytest.fixture
def opened_tunnel():
    """Return an async context manager that holds a tunnel open in the background."""

    @contextlib.asynccontextmanager
    async def hold(fleet: SshFleet, spec: HostSpec, socket: Path):
        opened = asyncio.Event()

        async def note() -> None:
            opened.set()

        task = asyncio.create_task(fleet.hold_tunnel(spec, socket, note))
        waiting = asyncio.create_task(opened.wait())
        await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if task.done():
            task.result()
            raise AssertionError("the tunnel ended before it was opened")
        try:
            yield task
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    return hold
