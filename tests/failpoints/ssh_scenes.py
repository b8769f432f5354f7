"""What a controller does on a host through a real sshd: provision it, hold its tunnel, deploy to it."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hosts import deploy as deployment
from hosts import health
from hosts.fleet import SshFleet
from hosts.identity import controller_key
from hosts.provision import FleetSettings
from ringrift.cli.demo import sshd
from ringrift.control.domain.ports import HostSpec, ModelFile, StepEvent
from ringrift.control.signing import signed_order
from tests.failpoints.killing import Scene
from tests.failpoints.stage import Stage
from tests.hosts import stub_release

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
TOKEN = "token-of-a-test-0123456789"


def tidy(folder: Path) -> None:
    """Stop the services that a controller began on the host of this folder."""
    for state in (folder / "root" / "run" / "services").glob("*.json"):
        command = [sys.executable, "-m", "agents.supervisor", "stop", "--grace", "3"]
        place = ["--dir", str(state.parent), "--name", state.stem]
        subprocess.run([*command, *place], cwd=stub_release.REPOSITORY, check=True, capture_output=True)


def end(folder: Path) -> None:
    """Stop the host of a scene."""
    sshd.stop(folder / "sshd")


ssh = Scene("a host is changed through ssh", tidy=tidy, end=end)


@ssh.act
async def the_controller_makes_its_key(stage: Stage) -> None:
    controller_key(stage.home)


@ssh.given
async def a_host_runs(stage: Stage) -> None:
    key = (stage.home / "ssh" / "id_ed25519.pub").read_text()
    server = sshd.start(stage.folder.parent / "sshd", "127.0.0.9", 0, key)
    login = (server.user, server.address, server.port, server.host_key)
    root = str(stage.current / "root")
    stage.outside.notes["spec"] = HostSpec("alpha", *login, root, sys.executable, None)
    stub_release.write_source(stage.folder.parent / "source")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        stage.outside.notes["port"] = probe.getsockname()[1]


@asynccontextmanager
async def hands(stage: Stage) -> Any:
    """Give the controller's hands on the host, impatient ones."""
    settings = FleetSettings(warm=False, systemd=False, source=stage.folder.parent / "source")
    fleet = SshFleet(stage.home, settings)
    try:
        with (
            mock.patch.object(deployment, "READY_SECONDS", 10.0),
            mock.patch.object(deployment, "LOOK_SECONDS", 0.5),
            mock.patch.object(health, "POLL_SECONDS", 0.05),
        ):
            yield fleet
    finally:
        await fleet.close()


async def quiet(_: StepEvent) -> None:
    """Hear a step without telling anybody."""


@ssh.act
async def it_is_provisioned_and_its_tunnel_held(stage: Stage) -> None:
    spec = stage.outside.notes["spec"]
    async with hands(stage) as fleet:
        await fleet.provision(spec, TOKEN, quiet)
        assert (await fleet.plan(spec)).lines == ()
        opened = asyncio.Event()

        async def note() -> None:
            opened.set()

        holding = asyncio.create_task(fleet.hold_tunnel(spec, stage.home / "run" / "agents.sock", note))
        waiting = asyncio.create_task(opened.wait())
        await asyncio.wait([holding, waiting], return_when=asyncio.FIRST_COMPLETED)
        assert opened.is_set(), holding.result()
        holding.cancel()
        await asyncio.wait([holding])


@ssh.act
async def it_serves_a_model(stage: Stage) -> None:
    path = stage.folder / "model"
    path.write_bytes(b"one")
    model = ModelFile("hex8_2p", hashlib.sha256(b"one").hexdigest(), path, 1)
    order = signed_order(KEY, "web", stage.outside.notes["port"], "d-1", 1, (model,))
    spec = stage.outside.notes["spec"]
    async with hands(stage) as fleet:
        serving = await fleet.deploy(spec, order, quiet)
        assert serving.healthy and serving.models == {"hex8_2p": model.sha256}
    assert (Path(spec.root) / "inference" / "web" / "current").readlink() == Path("models/1")


SCENES = [ssh]
