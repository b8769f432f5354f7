"""A controller of this process, and machines with an sshd each that carry a target: all real, on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import torch
from sqlmodel import Session

from hosts.fleet import SshFleet
from hosts.identity import controller_key
from hosts.provision import FleetSettings
from hosts.wheel import PACKAGES
from ringrift.cli.demo import sshd
from ringrift.control.app import run_controller
from ringrift.control.domain.ports import DeployOrder, HostSpec, Serving, StepReport
from ringrift.control.store.clock import now
from ringrift.control.store.engine import database_url
from ringrift.control.store.operations import latest_operation
from ringrift.control.store.production import software
from ringrift.control.store.store import Store
from ringrift.control.store.tables import Artifact, Dataset, Job, Model
from ringrift.game.config import GameConfig
from ringrift.golden import measure
from ringrift.nets.checkpoint import save_checkpoint
from ringrift.nets.network import ArchConfig, RingRiftNet

REPOSITORY = Path(__file__).resolve().parents[2]
CONFIG = "hex8_2p"
ENDED = ("succeeded", "failed", "cancelled")
_ARCHITECTURE = ArchConfig(blocks=4, channels=32)
"""The default of a training."""
_LOOK_SECONDS = 0.05


class FaultyFleet(SshFleet):
    """The controller's hands, which spoil an order where a test says how."""

    spoil: Callable[[DeployOrder], DeployOrder] = staticmethod(lambda order: order)

    async def deploy(self, host: HostSpec, order: DeployOrder, report: StepReport) -> Serving:
        return await super().deploy(host, self.spoil(order), report)


class Served(NamedTuple):
    """The hash of the config's model, and the release that serves it."""

    model: str
    release: str


class Stand:
    """What was set up: machines by name, and the controller's operators' API."""

    def __init__(self, folder: Path, fleet: FaultyFleet) -> None:
        self.folder, self.home, self.fleet = folder, folder / "home", fleet
        self.ports: dict[str, int] = {}
        self._sources: dict[Path, str] = {}
        self.http = httpx.AsyncClient()
        self.services = httpx.AsyncClient(timeout=60, trust_env=False)
        self.store: Store

    def root(self, name: str) -> Path:
        """Return the folder of ours on a machine."""
        return self.folder / name / "root"

    async def post(self, path: str, **body: Any) -> Any:
        answer = await self.http.post(path, json=body)
        assert answer.is_success, answer.text
        return answer.json()

    async def get(self, path: str) -> Any:
        answer = await self.http.get(path)
        assert answer.is_success, answer.text
        return answer.json()

    async def add(self, name: str, address: str, engine: str) -> None:
        """Start a machine whose kernels are compiled already, and make it a target."""
        key = (self.home / "ssh" / "id_ed25519.pub").read_text()
        server = await asyncio.to_thread(sshd.start, self.folder / name / "sshd", address, 0, key)
        cache = self.root(name) / "cache" / "numba"
        cache.mkdir(parents=True)
        (cache / "ringrift").symlink_to(REPOSITORY / "ringrift" / "__pycache__" / "jit")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.ports[name] = probe.getsockname()[1]
        await self.post(
            "/hosts",
            name=name,
            user=server.user,
            address=address,
            port=server.port,
            host_key=server.host_key,
            confirmed_by="fingerprint",
            root=str(self.root(name)),
            python=sys.executable,
        )
        await self.post("/targets", name=name, host=name, port=self.ports[name], engine=engine)

    async def model(self, seed: int, config: str = CONFIG, **changes: Any) -> str:
        """Store a candidate with random weights; `changes` replace columns of its row. Return its hash."""
        metadata = {"config": config, "parent": None, "dataset": None, "recipe": {"seed": seed}}
        path = self.folder / "checkpoint"
        sha256 = save_checkpoint(path, _net(seed), metadata)
        await self.file(sha256, path.read_bytes())
        await self.row(sha256, **{"golden": golden(seed, config), **changes})
        return sha256

    async def file(self, sha256: str, data: bytes) -> None:
        """Put a file among the controller's artifacts."""
        place = self.home / "artifacts" / sha256[:2]
        place.mkdir(parents=True, exist_ok=True)
        (place / sha256).write_bytes(data)

    async def row(self, sha256: str, **changes: Any) -> None:
        """Store the row of a candidate whose file is there."""

        def work(session: Session) -> None:
            at = now(session)
            session.add(Artifact(sha256=sha256, size=1, stored_at=at))
            dataset = {"sha256": sha256, "config": CONFIG, "games": 1, "positions": 1}
            session.add(Dataset(**dataset, statistics={}, made_at=at))
            job = {"id": sha256[:20], "kind": "train", "config": CONFIG, "state": "succeeded", "work": sha256}
            session.add(Job(**job, subject="", spec={}, total=1, created_at=at, changed_at=at))
            session.flush()
            losses = {"train_loss": 1.0, "holdout_loss": 1.0, "holdout_value_accuracy": 0.5}
            columns = {"state": "candidate", "dataset": sha256, "job": sha256[:20], "recipe": {}, **losses}
            columns |= {"architecture": {"blocks": 4, "channels": 32}, "positions": 1, "made_at": at}
            session.add(Model(sha256=sha256, config=CONFIG, **{**columns, **changes}))

        await self.store.write("stand.model", work)

    def spoil(self, model: str, how: Callable[[DeployOrder], DeployOrder]) -> None:
        """Spoil every order that names a model."""

        def spoiled(order: DeployOrder) -> DeployOrder:
            return how(order) if model in {file.sha256 for file in order.models} else order

        self.fleet.spoil = spoiled

    def edit(self, file: str, before: str, after: str) -> None:
        """Change the sources of which the next release is built."""
        path = self.folder / "source" / file
        self._sources[path] = text = path.read_text()
        assert before in text
        path.write_text(text.replace(before, after, 1))

    def mend(self) -> None:
        """Let orders be what they are, and the sources what they were."""
        self.fleet.spoil = FaultyFleet.spoil
        for path, text in self._sources.items():
            path.write_text(text)
        self._sources.clear()

    async def champion(self) -> str:
        """Return the champion's hash."""
        return str((await self.get(f"/configs/{CONFIG}"))["champion"]["model"])

    async def promote(self, model: str) -> None:
        """Make a model the champion, as a person does who overrides the gate."""
        await self.post("/promotions", config=CONFIG, model=model, override=True, reason="load test")

    async def deploy(self, **wish: Any) -> Any:
        """Deploy and wait for the end; the answer has `served`: seconds until all targets served it."""
        began = time.monotonic()
        view = await self.post("/deployments", **wish)
        served = None
        while view["state"] not in ENDED:
            await asyncio.sleep(_LOOK_SECONDS)
            view = await self.get(f"/deployments/{view['id']}")
            if served is None and {row["state"] for row in view["targets"]} <= {"baking", "succeeded"}:
                served = time.monotonic() - began
        return {**view, "served": served, "seconds": time.monotonic() - began}

    async def staged(self, model: str) -> None:
        """Wait until a model waits on every target, proven by what runs there; a failure is raised."""

        def waits(session: Session, name: str) -> bool:
            operation, release = latest_operation(session, "stage", name), software(session, name)
            if operation is None or operation.order["release"] != release:
                return False
            if model not in {entry["sha256"] for entry in operation.order["models"]}:
                return False
            assert operation.state != "failed", operation.error
            return operation.state == "succeeded"

        while not await self.store.read(lambda s: all(waits(s, name) for name in self.ports)):
            await asyncio.sleep(_LOOK_SECONDS)

    async def health(self, name: str) -> Any:
        """Ask a target's service itself."""
        return (await self.services.get(f"http://127.0.0.1:{self.ports[name]}/health")).json()

    async def serves(self, name: str) -> Served | None:
        """Return what a healthy target tells that it serves; None where none answers."""
        try:
            answer = await self.services.get(f"http://127.0.0.1:{self.ports[name]}/health")
        except httpx.TransportError:
            return None
        told = answer.json()
        model = told["models"].get(CONFIG, {}).get("sha256")
        return Served(str(model), str(told["release"])) if answer.is_success and model else None

    async def serving(self) -> dict[str, Served | None]:
        """Return what each target serves."""
        return dict(zip(self.ports, await asyncio.gather(*map(self.serves, self.ports)), strict=True))

    def stop(self) -> None:
        """Stop every service and every sshd."""
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        for name in self.ports:
            for state in (self.root(name) / "run" / "services").glob("*.json"):
                command = [sys.executable, "-m", "agents.supervisor", "stop", "--grace", "5"]
                place = ["--dir", str(state.parent), "--name", state.stem]
                subprocess.run([*command, *place], env=environment, check=False, capture_output=True)
            sshd.stop(self.folder / name / "sshd")


def _net(seed: int) -> RingRiftNet:
    torch.manual_seed(seed)
    return RingRiftNet(_ARCHITECTURE)


def golden(seed: int, config: str = CONFIG) -> dict[str, Any]:
    """Return the golden vectors of the net of a seed."""
    return measure(_net(seed), GameConfig.parse(config)).document()


def copied_source(folder: Path) -> Path:
    """Copy the packages of this checkout, as a release is built from them."""
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPOSITORY / package, folder / package, ignore=ignored)
    shutil.copy(REPOSITORY / "pyproject.toml", folder)
    return folder


@asynccontextmanager
async def standing(
    folder: Path, targets: int, settings: str = "", engine: str = "torch"
) -> AsyncIterator[Stand]:
    """Set up so many targets `t1`, `t2`, ... below a folder; everything is stopped at the end."""
    home = folder / "home"
    home.mkdir(parents=True)
    controller_key(home)
    (home / "config.toml").write_text(settings)
    # A copy, so that an edit of the checkout makes no other release meanwhile.
    source = copied_source(folder / "source")
    made = Stand(folder, FaultyFleet(home, FleetSettings(warm=False, systemd=False, source=source)))
    ready = asyncio.Event()
    controller = asyncio.create_task(run_controller(home, 0, made.fleet, ready=ready.set))
    waiting = asyncio.create_task(ready.wait())
    try:
        await asyncio.wait((controller, waiting), return_when=asyncio.FIRST_COMPLETED)
        if controller.done():
            await controller
        url = json.loads((home / "run" / "controller.json").read_text())["url"]
        token = (home / "operator.token").read_text().strip()
        headers = {"authorization": f"Bearer {token}"}
        made.http = httpx.AsyncClient(base_url=f"{url}/v1", headers=headers, timeout=60)
        made.store = Store(database_url(home, None))
        for number in range(1, targets + 1):
            await made.add(f"t{number}", f"127.0.0.{20 + number}", engine)
        yield made
    finally:
        waiting.cancel()
        controller.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await controller
        await made.http.aclose()
        await made.services.aclose()
        await asyncio.to_thread(made.stop)
