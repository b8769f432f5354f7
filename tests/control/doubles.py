"""Doubles for controller tests: a scripted agent that signs, a fleet that records, fabricated results."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import struct
import zipfile
import zlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI

from ringrift.control.domain.ports import (
    DeployOrder,
    HostPlan,
    HostSpec,
    ProvisionOutcome,
    Serving,
    ShownKey,
    StepEvent,
    StepReport,
    Traffic,
)
from ringrift.errors import NotFound
from ringrift.game.config import GameConfig
from ringrift.protocol import agent as wire
from ringrift.protocol.jobs import EvaluateSpec, IngestSpec, SelfplaySpec, TrainSpec, parse_spec, sequences

KINDS = ("selfplay", "ingest", "train", "evaluate")
RELEASE = "abcdef012345"


def sha(*parts: object) -> str:
    """Return a SHA-256 that stands for these words."""
    return hashlib.sha256(" ".join(map(str, parts)).encode()).hexdigest()


def shard(*words: object) -> bytes:
    """Return bytes with the structure of a shard, made of these words."""
    end = " ".join(map(str, words)).encode()
    frames = ((b"H", b"{}"), (b"G", b""), (b"E", end))
    parts = [kind + struct.pack("<II", len(data), zlib.crc32(kind + data)) + data for kind, data in frames]
    return b"RRSHARD2" + b"".join(parts)


def checkpoint(*words: object) -> bytes:
    """Return bytes with the structure of a checkpoint, made of these words."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("archive/data.pkl"), " ".join(map(str, words)))
    return buffer.getvalue()


def client(app: FastAPI, **headers: str) -> httpx.AsyncClient:
    """Return an HTTP client of an app in this process."""
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://controller", headers=headers)


class ScriptedAgent:
    """An agent that does exactly what a test tells it, over the real agents' API."""

    def __init__(self, app: FastAPI, host: str) -> None:
        self.http = client(app)
        self.host = host
        self.key = Ed25519PrivateKey.generate()
        self.id = ""
        self.incarnation = "first"
        self.shown: dict[str, str] = {}
        """Says for which assignment a file is fetched or put."""

    @property
    def public_key(self) -> str:
        return base64.b64encode(self.key.public_key().public_bytes_raw()).decode()

    def signed(self, text: bytes) -> dict[str, str]:
        signature = base64.b64encode(self.key.sign(text)).decode()
        return {wire.AGENT_HEADER: self.id, wire.SIGNATURE_HEADER: signature}

    async def enrol(self, token: str) -> httpx.Response:
        wish = wire.EnrolRequest(token=token, host=self.host, public_key=self.public_key)
        answer = await self.http.post(wire.ENROL, content=wish.model_dump_json())
        if answer.status_code == 200:
            self.id = answer.json()["agent"]
        return answer

    async def post(self, path: str, body: bytes) -> httpx.Response:
        return await self.http.post(
            path, content=body, headers=self.signed(wire.signing_text("POST", path, body))
        )

    async def beat(self, *running: wire.Progress, release: str = RELEASE) -> wire.BeatReply:
        wish = wire.BeatRequest(
            version="0.1.0",
            release=release,
            incarnation=self.incarnation,
            telemetry=wire.Telemetry(cpus=2),
            running=list(running),
        )
        answer = await self.post(wire.BEAT, wish.model_dump_json().encode())
        assert answer.status_code == 200, answer.text
        return wire.BeatReply.model_validate(answer.json())

    async def lease(self, *kinds: str) -> wire.LeaseReply:
        wish = wire.LeaseRequest(kinds=list(kinds or KINDS), credentials=True)
        answer = await self.post(wire.LEASE, wish.model_dump_json().encode())
        assert answer.status_code == 200, answer.text
        reply = wire.LeaseReply.model_validate(answer.json())
        self.works_for(reply.assignment)
        return reply

    def works_for(self, assignment: wire.Assignment | None) -> None:
        """Fetch and put files for this assignment from now on."""
        if assignment is not None:
            self.shown = {wire.ASSIGNMENT_HEADER: f"{assignment.assignment}:{assignment.credential}"}

    async def upload(self, content: bytes, name: str | None = None) -> httpx.Response:
        digest = name or hashlib.sha256(content).hexdigest()
        path = f"{wire.ARTIFACTS}/{digest}"
        headers = self.signed(wire.streaming_signing_text("PUT", path, digest)) | self.shown
        return await self.http.put(path, content=content, headers=headers)

    async def download(self, digest: str, **headers: str) -> httpx.Response:
        path = f"{wire.ARTIFACTS}/{digest}"
        signed = self.signed(wire.signing_text("GET", path, b""))
        return await self.http.get(path, headers={**signed, **self.shown, **headers})

    async def report(
        self, assignment: wire.Assignment, sequence: int, payload: dict[str, Any], artifacts: list[str]
    ) -> httpx.Response:
        wish = wire.ResultRequest(
            assignment=assignment.assignment,
            epoch=assignment.epoch,
            sequence=sequence,
            payload=payload,
            artifacts=artifacts,
            credential=assignment.credential,
        )
        return await self.post(wire.RESULTS, wish.model_dump_json().encode())

    async def finish(
        self, assignment: wire.Assignment, outcome: str = "succeeded", reason: str = ""
    ) -> wire.FinishReply:
        wish = wire.FinishRequest(
            assignment=assignment.assignment,
            epoch=assignment.epoch,
            outcome=outcome,
            reason=reason,
            credential=assignment.credential,
        )
        answer = await self.post(wire.FINISH, wish.model_dump_json().encode())
        assert answer.status_code == 200, answer.text
        return wire.FinishReply.model_validate(answer.json())

    async def do_unit(
        self, assignment: wire.Assignment, sequence: int, work: Fabrication
    ) -> wire.ResultReply:
        """Do one unit of work: upload its artifacts, report it."""
        payload, contents = work.unit(assignment.spec, sequence)
        self.works_for(assignment)
        for content in contents:
            await self.upload(content)
        digests = [hashlib.sha256(content).hexdigest() for content in contents]
        answer = await self.report(assignment, sequence, payload, digests)
        assert answer.status_code == 200, answer.text
        return wire.ResultReply.model_validate(answer.json())

    async def do_job(self, assignment: wire.Assignment, work: Fabrication) -> None:
        """Do all missing units of a job and finish it."""
        for sequence in sequences(parse_spec(assignment.spec)):
            if sequence not in assignment.done:
                assert (await self.do_unit(assignment, sequence, work)).accepted
        assert (await self.finish(assignment)).accepted


@dataclass
class Fabrication:
    """Makes results that fit their spec. `share` of the games are won by the candidate (1 or 0 here)."""

    candidate_wins: bool = True
    plies: int = 60
    decisions: int = 40
    shards: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    unsound: set[str] = field(default_factory=set)

    def unit(self, document: dict[str, Any], sequence: int) -> tuple[dict[str, Any], list[bytes]]:
        """Return the payload of one unit and the bytes of its artifacts."""
        spec = parse_spec(document)
        if isinstance(spec, SelfplaySpec):
            return self._selfplay(spec, sequence)
        if isinstance(spec, IngestSpec):
            return self._ingest(spec), []
        if isinstance(spec, TrainSpec):
            return self._train(spec)
        return self._evaluate(spec, sequence)

    def _games(self, config: str, count: int, *words: object) -> list[dict[str, Any]]:
        players = GameConfig.parse(config).players
        return [
            {
                "game_id": sha(*words, number),
                "winner": number % players + 1,
                "plies": self.plies,
                "decisions": self.decisions,
            }
            for number in range(count)
        ]

    def _selfplay(self, spec: SelfplaySpec, sequence: int) -> tuple[dict[str, Any], list[bytes]]:
        content = shard("shard", spec.seed, sequence)
        name = hashlib.sha256(content).hexdigest()
        self.shards[name] = self._games(spec.config, spec.games_per_shard, spec.seed, sequence)
        payload = {
            "kind": "selfplay",
            "config": spec.config,
            "shard": name,
            "games": self.shards[name],
            "seconds": 1.0,
        }
        return payload, [content]

    def _ingest(self, spec: IngestSpec) -> dict[str, Any]:
        if spec.shard in self.unsound:
            return {
                "kind": "ingest",
                "config": spec.config,
                "shard": spec.shard,
                "sound": False,
                "reason": "game 3: illegal move",
            }
        return {
            "kind": "ingest",
            "config": spec.config,
            "shard": spec.shard,
            "sound": True,
            "games": self.shards[spec.shard],
            "soft_target_share": 0.5,
        }

    def _train(self, spec: TrainSpec) -> tuple[dict[str, Any], list[bytes]]:
        content = checkpoint("model", spec.dataset, spec.parent)
        payload = {
            "kind": "train",
            "config": spec.config,
            "dataset": spec.dataset,
            "model": hashlib.sha256(content).hexdigest(),
            "architecture": spec.architecture.model_dump(),
            "positions": 1000,
            "train_loss": 1.0,
            "holdout_loss": 1.1,
            "parent_holdout_loss": 1.2 if spec.parent else None,
            "holdout_value_accuracy": 0.6,
            "seconds": 5.0,
            "golden": vectors(spec.config),
        }
        return payload, [content]

    def _evaluate(self, spec: EvaluateSpec, sequence: int) -> tuple[dict[str, Any], list[bytes]]:
        players = GameConfig.parse(spec.config).players
        content = shard("block", spec.evaluation, sequence)
        name = hashlib.sha256(content).hexdigest()
        games = self._games(spec.config, players, spec.evaluation, sequence)
        for seat, game in enumerate(games, 1):
            wins = seat == 1 if spec.candidate == spec.opponent else self.candidate_wins
            game["winner"] = seat if wins else seat % players + 1
        self.shards[name] = games
        payload = {
            "kind": "evaluate",
            "config": spec.config,
            "evaluation": spec.evaluation,
            "block": sequence,
            "shard": name,
            "games": games,
            "candidate_seats": list(range(1, players + 1)),
        }
        return payload, [content]


HOST_KEY = (
    "ssh-ed25519 "
    + base64.b64encode(
        (11).to_bytes(4, "big") + b"ssh-ed25519" + (32).to_bytes(4, "big") + bytes(range(32))
    ).decode()
)
OTHER_KEY = (
    "ssh-ed25519 "
    + base64.b64encode(
        (11).to_bytes(4, "big") + b"ssh-ed25519" + (32).to_bytes(4, "big") + bytes(32)
    ).decode()
)

Provisioned = Callable[[HostSpec, str | None], Awaitable[None]]


def vectors(config: str) -> dict[str, Any]:
    """Return golden vectors such as a net of this config could have."""
    players = GameConfig.parse(config).players
    moves = [[-1.0, -2.5]] * 8
    return {"version": 1, "positions": "0" * 16, "values": [[1 / players] * players] * 8, "moves": moves}


class RecordingFleet:
    """A fleet without machines. It remembers every call; a test says how each one ends."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.tokens: list[str | None] = []
        self.orders: list[DeployOrder] = []
        self.enrolled: set[str] = set()
        self.failures: dict[str, list[Exception | None]] = {}
        self.cuts: dict[str, asyncio.Event] = {}
        self.serving: dict[str, Serving] = {}
        self.served: dict[str, Serving] = {}
        self.traffic: dict[str, Traffic] = {}
        self.process: int | None = None
        self.plans: dict[str, HostPlan] = {}
        self.after_provision: Provisioned | None = None
        self.stand_still: asyncio.Event | None = None
        self.release = RELEASE
        self.closed = False
        self.waiting: dict[str, dict[str, str]] = {}
        self.engines: dict[str, set[str]] = {}
        """Target -> the models that wait there -> the release that proved them."""

    def fail(self, call: str, *errors: Exception | None, subject: str = "") -> None:
        """Let the next calls of this name (on this subject) end with these errors; None: well."""
        self.failures[f"{call} {subject}".strip()] = list(errors)

    def _call(self, name: str, subject: str) -> None:
        self.calls.append((name, subject))
        for key in (name, f"{name} {subject}"):
            failure = self.failures[key].pop(0) if self.failures.get(key) else None
            if failure is not None:
                raise failure

    def named(self, name: str) -> list[str]:
        """Return the subjects of all calls of this name."""
        return [subject for call, subject in self.calls if call == name]

    async def scan(self, address: str, port: int, jump: HostSpec | None = None) -> list[ShownKey]:
        self._call("scan", f"{address}:{port}")
        return [ShownKey("ssh-ed25519", "SHA256:shown", HOST_KEY)]

    async def plan(self, host: HostSpec) -> HostPlan:
        self._call("plan", host.name)
        return self.plans.get(host.name, HostPlan("0" * 64, (), {"system": "linux"}))

    async def provision(
        self, host: HostSpec, token: str | None, report: StepReport, plan_hash: str | None = None
    ) -> ProvisionOutcome:
        await report(StepEvent("facts", "running"))
        self._call("provision", host.name)
        self.tokens.append(token)
        await report(StepEvent("facts", "done", "linux", 0.1))
        await report(StepEvent("release", "running"))
        if self.stand_still is not None:
            await self.stand_still.wait()
        await report(StepEvent("release", "unchanged", RELEASE, 0.2))
        if self.after_provision is not None:
            await self.after_provision(host, token)
        self.enrolled.add(host.name)
        return ProvisionOutcome({"system": "linux"}, RELEASE)

    async def hold_tunnel(
        self, host: HostSpec, agents_socket: Path, opened: Callable[[], Awaitable[None]]
    ) -> None:
        self._call("hold_tunnel", host.name)
        self.cuts[host.name] = asyncio.Event()
        await opened()
        await self.cuts[host.name].wait()

    async def agent_enrolled(self, host: HostSpec) -> bool:
        self._call("agent_enrolled", host.name)
        return host.name in self.enrolled

    async def restart_agent(self, host: HostSpec) -> None:
        self._call("restart_agent", host.name)

    async def installable(self, release: str = "") -> str:
        if release not in ("", RELEASE, self.release):
            raise NotFound(f"there is no release {release}")
        return release or self.release

    async def stage(
        self, host: HostSpec, target: str, release: str, orders: Sequence[DeployOrder], report: StepReport
    ) -> None:
        self._call("stage", target)
        self.waiting[target] = {order.models[0].sha256: release for order in orders}
        self.engines.setdefault(target, set()).update(order.engine for order in orders)

    async def deploy(self, host: HostSpec, order: DeployOrder, report: StepReport) -> Serving:
        self.orders.append(order)
        await report(StepEvent("copy", "running"))
        self._call("deploy", order.target)
        if self.stand_still is not None:
            await self.stand_still.wait()
        await report(StepEvent("copy", "done", "", 0.1))
        models = {model.config: model.sha256 for model in order.models}
        release = order.release or RELEASE
        said = Serving(True, order.generation, models, process=self.process, release=release)
        self.served[order.target] = self.serving.get(order.target, said)
        return self.served[order.target]

    async def observe(self, host: HostSpec, target: str, port: int) -> Serving:
        self._call("observe", target)
        said = self.serving.get(target) or self.served[target]
        traffic = said.traffic or self.traffic.get(target, Traffic(0, 0))
        return replace(said, traffic=traffic, process=self.process)

    async def close(self) -> None:
        self.closed = True
