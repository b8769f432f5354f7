"""A controller without processes: real store, real APIs, real reconcilers, doubles for hosts and agents."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from fastapi import FastAPI
from sqlmodel import Session

from ringrift.control.api.agents import agents_app
from ringrift.control.api.operators import operators_app
from ringrift.control.artifacts import ArtifactStore
from ringrift.control.domain.policy import Policy, parse_policy
from ringrift.control.leadership import take_over
from ringrift.control.reconcile.context import Context
from ringrift.control.reconcile.table import RECONCILERS
from ringrift.control.settings import Settings, parse_settings
from ringrift.control.store import fleet
from ringrift.control.store.clock import now
from ringrift.control.store.jobs import queue_job
from ringrift.control.store.rollouts import active_deployments
from ringrift.control.store.store import Store
from ringrift.control.store.tables import Agent, Assignment, Host
from ringrift.protocol.jobs import IngestSpec
from tests.control.doubles import HOST_KEY, KINDS, RELEASE, Fabrication, RecordingFleet, ScriptedAgent, client

T = TypeVar("T")
TOKEN = "operator-token-for-tests"
CONFIG = "hex8_2p"


def small_policy(text: str = "") -> Policy:
    """Return a policy under which a few won blocks are enough; `text` is appended to it."""
    wide = "elo0 = 0.0\nelo1 = 450.0\nmax_blocks = 40\n"
    document = f"""
version = 1
name = "small"
errors = "default"
[error_rates]
default = {{ alpha = 0.05, beta = 0.05, length = 1 }}
strict = {{ alpha = 0.001, beta = 0.001, length = 3 }}
[superiority]
{wide}
[first_champion]
{wide}
[non_inferiority]
champions = 3
margin = 450.0
max_blocks = 40
[mirror]
elo = 450.0
alpha = 0.05
beta = 0.05
max_blocks = 40
[[anchors]]
player = "random"
{wide}
{text}"""
    return parse_policy(document.encode(), "test policy")


POLICY = small_policy()


def small_settings(**sections: dict[str, Any]) -> Settings:
    """Return settings under which a few fabricated shards are enough."""
    document: dict[str, dict[str, Any]] = {
        "agents": {
            "heartbeat_wait_seconds": 20.0,
            "retry_seconds": 0.0,
            "patience_seconds": 600.0,
            "spot_check_share": 0.0,
        },
        "selfplay": {"games_per_shard": 4, "shards_per_job": 2},
        "training": {"min_positions": 300},
        "evaluation": {"blocks_per_job": 2, "jobs_ahead": 2},
        "rollouts": {"bake_seconds": 0.0, "retry_seconds": 0.0},
        "limits": {"pass_seconds": 0.01, "free_bytes": 0, "reconnect_seconds": 0.01},
    }
    for name, values in sections.items():
        document.setdefault(name, {}).update(values)
    return replace(parse_settings(document, "test settings"), gate=POLICY)


_MADE: list[tuple[Context, FastAPI, FastAPI]] = []


def _apps(wanted: Context) -> tuple[Context, FastAPI, FastAPI]:
    """Return a context like `wanted` and both apps over it, which are made once: that takes 0.2 s of CPU."""
    if not _MADE:
        _MADE.append((wanted, agents_app(wanted), operators_app(wanted, TOKEN)))
    context = _MADE[0][0]
    vars(context).update(vars(wanted))
    return _MADE[0]


class World:
    """Everything that a controller test needs. `restart` is what kill -9 and a new start are to the store."""

    def __init__(self, url: Any, home: Path, settings: Settings) -> None:
        self.url, self.home, self.settings = url, home, settings
        self.fleet = RecordingFleet()
        self.work = Fabrication()
        self._open()

    def _open(self) -> None:
        self.store = Store(self.url)
        limits = self.settings.limits
        artifacts = ArtifactStore(
            self.home / "artifacts", max_bytes=limits.upload_bytes, free_bytes=limits.free_bytes
        )
        artifacts.prepare()
        socket = self.home / "run" / "agents.sock"
        self.context, self.agents_app, self.operators_app = _apps(
            Context(self.store, artifacts, self.fleet, self.settings, self.home, socket)
        )
        self.http = client(self.operators_app, authorization=f"Bearer {TOKEN}")

    async def close(self) -> None:
        await self.context.flights.close()
        self.store.close()

    async def restart(self) -> None:
        """Drop everything but the database and the files, and begin anew as a starting controller does."""
        await self.close()
        self._open()
        await take_over(self.context)

    async def write(self, work: Callable[[Session], T]) -> T:
        return await self.store.write("test", work)

    async def read(self, work: Callable[[Session], T]) -> T:
        return await self.store.read(work)

    async def get(self, path: str) -> Any:
        answer = await self.http.get(f"/v1{path}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, path: str, body: Any = None, status: int = 200) -> Any:
        answer = await self.http.post(f"/v1{path}", json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def agent(self, name: str, slots: int = 1) -> ScriptedAgent:
        """Return an enrolled agent that has beaten once, on a ready host."""

        def ready_host(session: Session) -> str:
            time = now(session)
            session.add(
                Host(
                    name=name,
                    state="ready",
                    user="u",
                    address="127.0.0.2",
                    port=22,
                    host_key=HOST_KEY,
                    fingerprint="SHA256:x",
                    confirmed_by="fingerprint",
                    root="ringrift",
                    slots=slots,
                    release=RELEASE,
                    added_at=time,
                    changed_at=time,
                )
            )
            session.flush()
            return fleet.mint_token(session, name, 900.0)

        agent = ScriptedAgent(self.agents_app, name)
        answer = await agent.enrol(await self.write(ready_host))
        assert answer.status_code == 200, answer.text
        await agent.beat()
        await self.write(lambda session: _offer_all(session, agent.id))
        return agent

    async def holds(self, agent: ScriptedAgent, *files: str) -> None:
        """Let an agent hold an assignment, without a secret, for each of these files."""

        def work(session: Session) -> None:
            time = now(session)
            for name in files:
                job = queue_job(session, IngestSpec(config=CONFIG, shard=name), f"ingest:{agent.id}:{name}")
                job.state = "leased"
                held = Assignment(
                    id=f"try_{name[:12]}_{agent.host}",
                    job=job.id,
                    agent=agent.id,
                    epoch=1,
                    incarnation=agent.incarnation,
                    state="running",
                    began_at=time,
                    expires_at=time + 3600.0,
                    deadline_at=time + 3600.0,
                )
                session.add(held)

        await self.write(work)

    async def reconcile(self, *names: str) -> int:
        """Make passes of the reconcilers (all, or the named ones) until one changes nothing; count them."""
        chosen = [item for item in RECONCILERS if not names or item.name in names]
        for passes in range(1, 50):
            changed = [await item.step(self.context) for item in chosen]
            if not any(changed):
                return passes
        raise AssertionError("the reconcilers never come to rest")

    async def finish_operations(self) -> None:
        """Start the running operations and wait for their ends."""
        await self.reconcile("operations")
        tasks = [task for task in asyncio.all_tasks() if task.get_name().startswith("operation:")]
        await asyncio.gather(*tasks)

    async def flights(self, prefix: str) -> None:
        """Wait for the ends of long actions."""
        await asyncio.gather(*(task for task in asyncio.all_tasks() if task.get_name().startswith(prefix)))

    async def finish_deployments(self) -> None:
        """Carry rollouts on until none goes on, or nothing more happens by itself."""
        for _ in range(100):
            await self.reconcile("rollouts", "operations")
            await self.flights("operation:")
            await self.reconcile("rollouts", "targets")
            await self.flights("target:")
            if not await self.read(active_deployments):
                return
        raise AssertionError("a deployment does not come to its end")

    async def enable(self, config: str = CONFIG) -> None:
        await self.post(f"/configs/{config}/enabled", {"enabled": True})

    async def run_until(
        self, agents: list[ScriptedAgent], done: Callable[[], Any], rounds: int = 200
    ) -> None:
        """Let agents work and reconcilers pass until `done()` is true."""
        for _ in range(rounds):
            await self.reconcile_pipeline()
            if await done():
                return
            for agent in agents:
                while (assignment := (await agent.lease()).assignment) is not None:
                    await agent.do_job(assignment, self.work)
        raise AssertionError("the pipeline did not get there")

    async def reconcile_pipeline(self) -> None:
        await self.reconcile(*(item.name for item in RECONCILERS[:8]))


def _offer_all(session: Session, agent_id: str) -> None:
    """Note what an agent's first question for work would have told: it runs every kind."""
    row = session.get(Agent, agent_id)
    assert row is not None
    row.kinds = list(KINDS)
    session.add(row)
