"""Whatever is retried, lost, reordered or restarted: no game counts twice, and no receipted one is lost."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.engine import URL
from sqlmodel import Session, select

from ringrift.control.store import filing, jobs
from ringrift.control.store.engine import database_url
from ringrift.control.store.tables import Assignment, Game, Job, Result
from ringrift.protocol import agent as wire
from ringrift.protocol.jobs import PlayerSpec, SelfplaySpec
from tests.control.conftest import empty
from tests.control.doubles import ScriptedAgent
from tests.control.world import CONFIG, World, small_settings

AGENTS, UNITS = 2, 3
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("lease"), st.integers(0, AGENTS - 1)),
        st.tuples(st.just("report"), st.integers(0, AGENTS - 1), st.integers(0, UNITS - 1)),
        st.tuples(st.just("report old"), st.integers(0, AGENTS - 1), st.integers(0, UNITS - 1)),
        st.tuples(st.just("finish"), st.integers(0, AGENTS - 1)),
        st.tuples(st.just("beat"), st.integers(0, AGENTS - 1)),
        st.tuples(st.just("new start"), st.integers(0, AGENTS - 1)),
        st.tuples(st.just("expire")),
        st.tuples(st.just("restart")),
    ),
    max_size=14,
)


class Play:
    """Carries random steps out and remembers every receipt that an agent was given."""

    def __init__(self, world: World, agents: list[ScriptedAgent]) -> None:
        self.world, self.agents = world, agents
        self.held: list[list[wire.Assignment]] = [[] for _ in agents]
        self.receipts: dict[int, set[str]] = {}
        self.accepted_under: dict[tuple[str, int], set[str]] = {}

    async def step(self, name: str, *arguments: int) -> None:
        await getattr(self, name.replace(" ", "_"))(*arguments)

    async def lease(self, number: int) -> None:
        assignment = (await self.agents[number].lease()).assignment
        if assignment is not None:
            self.held[number].append(assignment)

    async def report(self, number: int, unit: int, which: int = -1) -> None:
        if not self.held[number]:
            return
        assignment = self.held[number][which]
        reply = await self.agents[number].do_unit(assignment, unit, self.world.work)
        if reply.accepted:
            payload, _ = self.world.work.unit(assignment.spec, unit)
            self.receipts[unit] = {game["game_id"] for game in payload["games"]}
        if reply.accepted and not reply.duplicate:
            epoch = (assignment.job, assignment.epoch)
            self.accepted_under.setdefault(epoch, set()).add(self.agents[number].id)

    async def report_old(self, number: int, unit: int) -> None:
        await self.report(number, unit, 0)

    async def finish(self, number: int) -> None:
        if self.held[number]:
            await self.agents[number].finish(self.held[number][-1])

    async def beat(self, number: int) -> None:
        await self.agents[number].beat(
            *(wire.Progress(assignment=item.assignment, epoch=item.epoch) for item in self.held[number])
        )

    async def new_start(self, number: int) -> None:
        self.agents[number].incarnation += "+"
        await self.agents[number].beat()

    async def expire(self) -> None:
        await self.world.write(lambda s: s.execute(text("UPDATE assignment SET expires_at = 1")))
        await self.world.reconcile("leases")

    async def restart(self) -> None:
        await self.world.restart()
        for agent in self.agents:
            agent.http = ScriptedAgent(self.world.agents_app, agent.host).http

    async def check(self) -> None:
        """Hold the store against what the agents were told."""
        stored, results, running = await self.world.read(_contents)
        receipted = set().union(*self.receipts.values()) if self.receipts else set()
        assert receipted == stored, "every receipted game is stored, and nothing else"
        assert sorted(results) == sorted(self.receipts), "one result for each receipted unit"
        assert running <= 1, "one live assignment"
        assert all(len(writers) == 1 for writers in self.accepted_under.values()), "one writer an epoch"
        counts = (await self.world.get("/status"))["receipts"]
        assert counts["games_receipted"] == counts["games_stored"] == len(stored)


def _contents(session: Session) -> tuple[set[str], list[int], int]:
    games = set(session.exec(select(Game.game_id)).all())
    results = list(session.exec(select(Result.sequence)).all())
    running = session.exec(select(Assignment).where(Assignment.state == "running")).all()
    return games, results, len(running)


async def play(world: World, steps: list[tuple[Any, ...]]) -> None:
    spec = SelfplaySpec(
        config=CONFIG, player=PlayerSpec(kind="random"), shards=UNITS, games_per_shard=2, seed=5
    )
    await world.write(lambda s: jobs.queue_job(s, spec, "selfplay:property"))
    agents = [await world.agent(name) for name in ("alpha", "beta")]
    game = Play(world, agents)
    for step in steps:
        await game.step(*step)
    await game.check()
    await finish_everything(world, game)
    await game.check()
    assert sorted(game.receipts) == list(range(UNITS)), "in the end every unit has its receipt"


async def finish_everything(world: World, game: Play) -> None:
    """Let the job end: no agent is held up by former failures."""
    for _ in range(4):
        if len(game.receipts) == UNITS:
            return
        await world.write(_another_chance)
        await game.expire()
        for number in range(AGENTS):
            await game.lease(number)
            for unit in range(UNITS):
                await game.report(number, unit)
            await game.finish(number)


def _another_chance(session: Session) -> None:
    for job in session.exec(select(Job)).all():
        if job.state in ("failed", "quarantined"):
            job.state, job.attempts = "queued", 0
            session.add(job)


async def run(url: URL, home: Path, steps: list[tuple[Any, ...]]) -> None:
    world = World(url, home, small_settings(agents={"attempts": 20}))
    try:
        await play(world, steps)
    finally:
        await world.close()


SLOW = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]


@given(steps=STEPS)
@settings(max_examples=20, deadline=None, suppress_health_check=SLOW)
def test_no_game_is_counted_twice_and_no_receipted_one_is_lost(steps, migrated_sqlite: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(migrated_sqlite, Path(folder) / "ringrift.db")
        asyncio.run(run(database_url(Path(folder), None), Path(folder), steps))


@given(steps=STEPS)
@settings(max_examples=5, deadline=None, suppress_health_check=SLOW)
def test_the_same_holds_on_postgres(steps, migrated_postgres: URL) -> None:
    empty(migrated_postgres)
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(migrated_postgres, Path(folder), steps))


@pytest.mark.parametrize("kill_after", range(4))
async def test_a_result_is_whole_or_absent_wherever_it_is_interrupted(
    world: World, kill_after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fail at each write of a result; then the same report is taken as if for the first time."""
    spec = SelfplaySpec(config=CONFIG, player=PlayerSpec(kind="random"), shards=1, games_per_shard=2, seed=5)
    await world.write(lambda s: jobs.queue_job(s, spec, "selfplay:interrupted"))
    agent = await world.agent("alpha")
    assignment = (await agent.lease()).assignment
    names = ["_add_shards", "those", "record_all", "_apply"]
    real = getattr(filing, names[kill_after])

    def interrupted(*arguments: Any, **more: Any) -> Any:
        real(*arguments, **more)
        raise RuntimeError("power loss")

    monkeypatch.setattr(filing, names[kill_after], interrupted)
    payload, contents = world.work.unit(assignment.spec, 0)
    await agent.upload(contents[0])
    failed = await agent.report(assignment, 0, payload, [payload["shard"]])
    assert failed.status_code == 500
    assert await world.read(_contents) == (set(), [], 1)
    monkeypatch.setattr(filing, names[kill_after], real)
    assert (await agent.do_unit(assignment, 0, world.work)).accepted
    assert len((await world.read(_contents))[0]) == 2
    assert (await world.get("/audit/verify"))["sound"]
