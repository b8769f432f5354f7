"""A store with many enrolled, busy agents, written straight into an empty database."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import insert
from sqlmodel import Session, select

from ringrift.control.store.clock import now
from ringrift.control.store.store import Store
from ringrift.control.store.tables import Agent, Artifact, Assignment, Host, Job
from ringrift.errors import Refused
from ringrift.protocol.jobs import PlayerSpec, SelfplaySpec

CONFIG = "hex8_2p"
SHARDS = 10_000
"""Units of each job: enough that no assignment ends while it is measured."""
_CHUNK = 2000
_AGENTS = 500
"""Of one transaction: Postgres ends one of ours that lets it wait for seconds."""


def shard_of(agent: int, sequence: int) -> str:
    """Return the SHA-256 that stands for a shard of one game."""
    return hashlib.sha256(f"shard {agent} {sequence}".encode()).hexdigest()


def result_of(agent: int, sequence: int) -> bytes:
    """Return the report of one unit: a shard of one game."""
    shard = shard_of(agent, sequence)
    game = hashlib.sha256(shard.encode()).hexdigest()
    return (
        f'{{"assignment":"try_{agent}","epoch":1,"sequence":{sequence},"artifacts":["{shard}"],"payload":{{'
        f'"kind":"selfplay","config":"{CONFIG}","shard":"{shard}","seconds":1.5,"games":[{{'
        f'"game_id":"{game}","winner":1,"plies":161,"decisions":72}}]}}}}'
    ).encode()


async def seed(store: Store, agents: int, units: int, reporters: int) -> list[str]:
    """Write hosts, agents and their running assignments; return the agents' private keys.

    The files of `units` results are noted as stored for each of the first `reporters` agents. Raises
    `Refused` when the database has hosts already.
    """
    if await store.read(lambda s: s.exec(select(Host.name).limit(1)).first()) is not None:
        raise Refused("the database is not empty", hint="name an empty one: the measurement fills it")
    secrets = [Ed25519PrivateKey.generate() for _ in range(agents)]
    for start in range(0, agents, _AGENTS):
        numbers = range(start, min(start + _AGENTS, agents))
        await store.write("bench.agents", lambda s, numbers=numbers: _add_agents(s, secrets, numbers))
    for start in range(0, reporters * units, _CHUNK):
        part = range(start, min(start + _CHUNK, reporters * units))
        await store.write("bench.artifacts", lambda s, part=part: _add_artifacts(s, part, units))
    return [key.private_bytes_raw().hex() for key in secrets]


def _add_agents(session: Session, keys: list[Ed25519PrivateKey], numbers: range) -> None:
    time = now(session)
    raw = {number: keys[number].public_key().public_bytes_raw() for number in numbers}
    public = {number: base64.b64encode(key).decode() for number, key in raw.items()}
    rows: list[tuple[type[Any], Iterator[dict[str, Any]]]] = [
        (Host, (_host(number, time) for number in numbers)),
        (Agent, (_agent(number, public[number], time) for number in numbers)),
        (Job, (_job(number, time) for number in numbers)),
        (Assignment, (_assignment(number, time) for number in numbers)),
    ]
    for table, made in rows:
        session.execute(insert(table), list(made))


def _host(number: int, time: float) -> dict[str, Any]:
    host = Host(
        name=f"host-{number}",
        state="ready",
        user="u",
        address="127.0.0.2",
        port=22,
        host_key="ssh-ed25519 none",
        fingerprint="SHA256:none",
        confirmed_by="fingerprint",
        root="ringrift",
        release="0" * 12,
        tunnel="open",
        drift_at=time,
        added_at=time,
        changed_at=time,
    )
    return host.model_dump()


def _agent(number: int, key: str, time: float) -> dict[str, Any]:
    agent = Agent(
        id=f"agent_{number}",
        host=f"host-{number}",
        public_key=key,
        enrolled_at=time,
        incarnation="start",
        beat_at=time,
        kinds=["selfplay", "ingest", "train", "evaluate"],
    )
    return agent.model_dump()


def _job(number: int, time: float) -> dict[str, Any]:
    spec = SelfplaySpec(
        config=CONFIG, player=PlayerSpec(kind="random"), shards=SHARDS, games_per_shard=1, seed=number
    )
    job = Job(
        id=f"job_{number}",
        kind="selfplay",
        config=CONFIG,
        state="leased",
        work=f"bench:{number}",
        subject="",
        spec=spec.model_dump(mode="json"),
        total=SHARDS,
        epoch=1,
        created_at=time,
        changed_at=time,
    )
    return job.model_dump()


def _assignment(number: int, time: float) -> dict[str, Any]:
    assignment = Assignment(
        id=f"try_{number}",
        job=f"job_{number}",
        agent=f"agent_{number}",
        epoch=1,
        incarnation="start",
        state="running",
        began_at=time,
        expires_at=time + 3600.0,
        deadline_at=time + 86_400.0,
    )
    return assignment.model_dump()


def _add_artifacts(session: Session, part: range, units: int) -> None:
    time = now(session)
    rows = [
        Artifact(sha256=shard_of(*divmod(number, units)), size=1, stored_at=time).model_dump()
        for number in part
    ]
    session.execute(insert(Artifact), rows)
