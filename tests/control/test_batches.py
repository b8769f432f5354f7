"""Batches of hosts: canary, waves, budget, debts; stopped at any point and carried on to the same end."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from sqlalchemy import text

from ringrift.control.domain import batches as domain
from ringrift.control.domain.batches import Candidate, Row, Shape, Watch, decide, due, watched
from ringrift.control.domain.ports import HostPlan
from ringrift.control.settings import Settings
from ringrift.control.store.tables import BatchHost, Debt, Host, Operation
from ringrift.errors import AccessRefused, HostKeyChanged, Refused, Unreachable
from tests.control.doubles import RELEASE, ScriptedAgent
from tests.control.world import World, small_settings

SHAPE = Shape(gates=(1,), width=3, budget=1)


def rows(*states: str) -> list[Row]:
    """Return rows `a`, `b`, ... in these states; `proved` is a success with an operation."""
    made = []
    for name, state in zip("abcdefgh", states, strict=False):
        known = "succeeded" if state == "proved" else "waiting" if state == "unseen" else state
        made.append(Row(name, known, planned=state != "unseen", proved=state == "proved"))
    return made


@pytest.mark.parametrize(
    ("states", "state", "start"),
    [
        (["waiting", "waiting", "waiting"], "running", "a"),
        (["running", "waiting", "waiting"], "running", ""),
        (["baking", "waiting", "waiting"], "running", ""),
        (["unseen", "waiting", "waiting"], "running", ""),
        (["succeeded", "waiting", "waiting"], "running", "b"),
        (["owed", "waiting", "waiting"], "running", "b"),
        (["skipped", "waiting", "waiting"], "running", "b"),
        (["proved", "waiting", "waiting", "waiting", "waiting"], "running", "bcd"),
        (["proved", "running", "running", "waiting", "waiting"], "running", "d"),
        (["proved", "baking", "baking", "waiting", "waiting"], "running", "de"),
        (["proved", "failed", "running", "waiting", "waiting"], "running", "de"),
        (["failed", "waiting", "waiting"], "halted", ""),
        (["proved", "failed", "failed", "waiting"], "halted", ""),
        (["proved", "failed", "failed", "owed"], "halted", ""),
        (["proved", "failed", "failed", "running"], "running", ""),
        (["proved", "failed", "failed"], "failed", ""),
        (["succeeded", "succeeded"], "succeeded", ""),
        (["proved", "owed"], "succeeded", ""),
        (["owed", "owed"], "succeeded", ""),
        (["failed"], "failed", ""),
        (["running", "running"], "running", ""),
        (["proved", "baking"], "running", ""),
    ],
)
def test_who_starts_now_and_when_it_stops(states: list[str], state: str, start: str) -> None:
    verdict = decide(rows(*states), SHAPE)
    assert (verdict.state, "".join(verdict.start)) == (state, start)


def test_an_update_goes_from_a_canary_to_a_tenth_to_all() -> None:
    shape = Shape(domain.gates("update", 1, 41), 16, 4)
    assert shape.gates == (1, 5)
    hosts = [Row(str(n), "waiting") for n in range(41)]
    sizes, waves = [], []
    while (verdict := decide(hosts, shape)).state == "running":
        sizes.append(len(verdict.start))
        waves.append(verdict.wave)
        hosts = [
            replace(row, state="succeeded", proved=True) if row.host in verdict.start else row
            for row in hosts
        ]
    assert (sizes, waves, verdict.state) == ([1, 4, 16, 16, 4], [1, 2, 3, 3, 3], "succeeded")


def test_forgiven_failures_do_not_stop_it_again() -> None:
    states = rows("failed", "waiting", "waiting")
    assert decide(states, SHAPE).reason == "1 host failed before the canary was healthy"
    again = decide(states, replace(SHAPE, forgiven=1))
    assert (again.state, again.start) == ("running", ("b",))


def test_a_healthy_host_that_nobody_outbids_is_the_canary() -> None:
    hosts = [Candidate("a", False, False), Candidate("b", True, True), Candidate("c", True, False)]
    assert domain.ordered(hosts) == ["c", "b", "a"]


def test_the_defaults_are_one_canary_and_a_tenth_of_failures() -> None:
    assert domain.defaults("provision", 41) == (1, 16, 4)
    assert domain.defaults("drain", 41) == (0, 41, 41)


WATCH = Watch(100.0, 150.0, "one", "one", False, True)


@pytest.mark.parametrize(
    ("change", "time", "state"),
    [
        ({}, 155.0, "baking"),
        ({"beat_at": 160.0}, 161.0, "succeeded"),
        ({"incarnation": "two"}, 155.0, "failed"),
        ({"quarantined": True}, 155.0, "failed"),
        ({}, 251.0, "failed"),
        ({"connected": False}, 251.0, "skipped"),
        ({"beat_at": None}, 251.0, "failed"),
    ],
)
def test_a_baking_host_must_beat_without_a_crash_and_silence_is_unknown(
    change: dict[str, Any], time: float, state: str
) -> None:
    assert watched(replace(WATCH, **change), time, 60.0, 90.0)[0] == state


def test_looks_are_spread_evenly_and_none_is_later_than_the_pace() -> None:
    names = [f"host-{n}" for n in range(41)]
    looked: dict[str, float] = dict.fromkeys(names, 1000.0)
    gaps, at_once = [], []
    for tenth in range(10_000, 13_000):
        now = tenth / 10
        chosen = [name for name in names if due(now, looked[name], 45.0, name)]
        at_once.append(len(chosen))
        gaps += [now - looked[name] for name in chosen]
        looked |= dict.fromkeys(chosen, now)
    assert max(gaps) <= 45.2 and max(at_once) <= 3
    assert due(0.0, None, 45.0, "new")


@dataclass
class Model:
    """A controller over rows alone: what it holds in memory is lost at a kill, the rows are not."""

    shape: Shape
    outcomes: dict[str, str]
    kills: random.Random | None = None
    rows: dict[str, Row] = field(default_factory=dict)
    state: str = "running"
    deaths: int = 0

    def run(self) -> tuple[str, dict[str, str]]:
        self.rows = {name: Row(name, "waiting", planned=False) for name in self.outcomes}
        while self.state == "running":
            self.one_step()
        while any(row.state == "running" for row in self.rows.values()):
            self.finish_oldest()
        return self.state, {name: row.state for name, row in self.rows.items()}

    def killed(self) -> bool:
        dies = self.kills is not None and self.kills.random() < 0.4 and self.deaths < 30
        self.deaths += dies
        return dies

    def one_step(self) -> None:
        unseen = [row for row in self.rows.values() if row.state == "waiting" and not row.planned]
        if unseen:
            seen = unseen[: self.kills.randint(0, len(unseen))] if self.killed() and self.kills else unseen
            for row in seen:
                end = self.outcomes[row.host]
                known = {"unchanged": "succeeded", "away": "owed"}.get(end)
                self.rows[row.host] = replace(row, planned=True, state=known or "waiting")
            return
        verdict = decide(list(self.rows.values()), self.shape)
        if self.killed():
            return
        for name in verdict.start:
            self.rows[name] = replace(self.rows[name], state="running")
        self.state = verdict.state
        if not verdict.start and not self.killed():
            self.finish_oldest()

    def finish_oldest(self) -> None:
        running = next((row for row in self.rows.values() if row.state == "running"), None)
        if running is not None:
            good = self.outcomes[running.host] == "good"
            ended = replace(running, state="succeeded" if good else "failed", proved=good)
            self.rows[running.host] = ended


@pytest.mark.parametrize("seed", range(60))
def test_kills_at_random_points_lead_to_the_same_end(seed: int) -> None:
    dice = random.Random(seed)
    hosts = dice.randint(1, 41)
    bad = dice.choice([0.0, 0.02, 0.1, 0.5])
    ends = ["unchanged", "away", "bad", "good"]
    weights = [0.2, 0.1, bad, 0.7]
    outcomes = {f"h{n:02}": dice.choices(ends, weights)[0] for n in range(hosts)}
    kind = dice.choice(["provision", "update"])
    canary, width, budget = domain.defaults(kind, hosts)
    shape = Shape(domain.gates(kind, canary, hosts), dice.choice([1, 4, width]), budget)
    calm = Model(shape, outcomes).run()
    assert Model(shape, outcomes, random.Random(seed + 1)).run() == calm
    failed = sum(state == "failed" for state in calm[1].values())
    assert failed <= budget + shape.width, "no more than what ran when the budget was spent"
    assert calm[0] != "succeeded" or failed == 0


CHANGES = HostPlan("c" * 64, ("release: put new",), {"system": "linux"})


@dataclass
class Ranch:
    """Ready hosts with agents; `plans` of the fleet say which of them want changes."""

    world: World
    agents: dict[str, ScriptedAgent]

    async def drive(self) -> None:
        """Let the reconcilers, their long actions and the agents go on until nothing runs any more."""
        for _ in range(200):
            await self.world.reconcile("batches", "operations", "drift")
            for name in {step.get_name() for step in asyncio.all_tasks()}:
                if name.startswith("operation:"):
                    await self.agents[name.removeprefix("operation:")].beat()
            held = [t for t in asyncio.all_tasks() if t.get_name().startswith(("batch:", "look:"))]
            await asyncio.gather(*held)
            await asyncio.sleep(0)
            if not list(self.world.context.flights) and not await self.running():
                return
        raise AssertionError("the batch never ends")

    async def running(self) -> bool:
        found = await self.world.get("/batches")
        due_now = await self.world.read(
            lambda s: s.query(Operation).where(Operation.state == "running").count()
        )
        return bool(due_now) or any(batch["state"] == "running" for batch in found)

    async def batch(self, kind: str = "provision", **more: Any) -> str:
        body = {"kind": kind, "hosts": list(self.agents), **more}
        return (await self.world.post("/batches", body))["id"]

    async def ends(self, identity: str) -> dict[str, str]:
        shown = await self.world.get(f"/batches/{identity}")
        return {row["host"]: row["state"] for row in shown["hosts"]}

    async def set_host(self, name: str, **values: Any) -> None:
        def work(session: Any) -> None:
            session.get(Host, name).sqlmodel_update(values)

        await self.world.write(work)


@pytest.fixture
async def ranch(world: World) -> Ranch:
    agents = {name: await world.agent(name) for name in ("alpha", "beta", "delta", "gamma")}
    made = Ranch(world, agents)
    for name in agents:
        world.fleet.plans[name] = CHANGES
        world.fleet.enrolled.add(name)
        await made.set_host(name, tunnel="open")
    return made


@pytest.fixture
def settings() -> Settings:
    return small_settings(hosts={"bake_seconds": 0.0})


class TestConverging:
    """Hosts are looked at, and get an operation only where something is to be done."""

    async def test_hosts_that_are_right_get_no_operation_and_one_write_tells_of_all(
        self, ranch: Ranch
    ) -> None:
        ranch.world.fleet.plans.clear()
        before = (await ranch.world.get("/events?limit=1"))[0]["id"]
        identity = await ranch.batch()
        await ranch.drive()
        shown = await ranch.world.get(f"/batches/{identity}")
        assert shown["state"] == "succeeded" and shown["counts"] == {"succeeded": 4}
        assert {(row["reason"], row["operation"]) for row in shown["hosts"]} == {("unchanged", None)}
        assert ranch.world.fleet.named("provision") == []
        told = [event["action"] for event in await ranch.world.get(f"/events?after={before}")]
        assert told == ["batch.provision", "batch.looked", "batch.succeeded"]

    async def test_the_canary_goes_first_and_every_operation_carries_the_plan(self, ranch: Ranch) -> None:
        await ranch.set_host("alpha", spot=True)
        identity = await ranch.batch()
        await ranch.drive()
        assert set((await ranch.ends(identity)).values()) == {"succeeded"}
        called = ranch.world.fleet.named("provision")
        assert called[0] == "beta" and sorted(called) == sorted(ranch.agents)
        waves = {row["host"]: row["wave"] for row in (await ranch.world.get(f"/batches/{identity}"))["hosts"]}
        assert waves == {"beta": 1, "alpha": 2, "delta": 2, "gamma": 2}
        made = await ranch.world.read(lambda s: [(o.batch, o.plan_hash) for o in s.query(Operation).all()])
        assert set(made) == {(identity, CHANGES.hash)}

    async def test_a_failed_canary_stops_the_batch_and_retry_takes_only_what_failed(
        self, ranch: Ranch
    ) -> None:
        ranch.world.fleet.fail("provision", AccessRefused("login refused"))
        identity = await ranch.batch()
        for _ in range(3):
            await ranch.world.finish_operations()
            await ranch.world.reconcile("batches")
            await asyncio.gather(*(t for t in asyncio.all_tasks() if t.get_name().startswith("batch:")))
        shown = await ranch.world.get(f"/batches/{identity}")
        assert shown["state"] == "halted" and "before the canary was healthy" in shown["reason"]
        assert await ranch.ends(identity) == {
            "alpha": "failed", "beta": "waiting", "delta": "waiting", "gamma": "waiting",
        }  # fmt: skip
        again = await ranch.world.post(f"/batches/{identity}/retry")
        assert [row["host"] for row in again["hosts"]] == ["alpha"]
        await ranch.drive()
        assert await ranch.ends(again["id"]) == {"alpha": "succeeded"}
        await ranch.world.post(f"/batches/{identity}/resume")
        await ranch.drive()
        ends = await ranch.ends(identity)
        assert ends == {"alpha": "failed", "beta": "succeeded", "delta": "succeeded", "gamma": "succeeded"}

    async def test_a_cancelled_batch_starts_nothing_more(self, ranch: Ranch) -> None:
        identity = await ranch.batch()
        await ranch.world.post(f"/batches/{identity}/cancel")
        await ranch.drive()
        assert set((await ranch.ends(identity)).values()) == {"skipped"}
        refused = await ranch.world.post(f"/batches/{identity}/resume", status=409)
        assert "cannot become running" in refused["error"]["message"]

    async def test_asking_again_returns_the_batch_that_runs(self, ranch: Ranch) -> None:
        assert await ranch.batch() == await ranch.batch()
        assert await ranch.batch("restart") != await ranch.batch()

    async def test_a_changed_key_fails_that_host_alone(self, ranch: Ranch) -> None:
        ranch.world.fleet.fail("plan", HostKeyChanged("beta shows another key"), subject="beta")
        identity = await ranch.batch(budget=1)
        await ranch.drive()
        ends = await ranch.ends(identity)
        assert ends.pop("beta") == "failed" and set(ends.values()) == {"waiting"}
        assert (await ranch.world.get(f"/batches/{identity}"))["state"] == "halted"

    async def test_a_host_that_changed_since_the_look_is_planned_again_once(self, ranch: Ranch) -> None:
        ranch.world.fleet.fail("provision", Refused("another plan is called for"), subject="alpha")
        identity = await ranch.batch(hosts=["alpha"])
        await ranch.world.reconcile("batches")
        await asyncio.gather(*(t for t in asyncio.all_tasks() if t.get_name().startswith("batch:")))
        ranch.world.fleet.plans["alpha"] = replace(CHANGES, hash="d" * 64)
        await ranch.drive()
        assert await ranch.ends(identity) == {"alpha": "succeeded"}
        assert ranch.world.fleet.named("provision") == ["alpha", "alpha"]
        made = await ranch.world.read(lambda s: [o.plan_hash for o in s.query(Operation).all()])
        assert made == ["d" * 64]

    @pytest.mark.parametrize(
        ("body", "status"),
        [({"hosts": []}, 422), ({"hosts": ["alpha"], "everything": True}, 422), ({"hosts": ["nobody"]}, 404),
         ({"hosts": [], "kinds": ["mac"]}, 404)],
    )  # fmt: skip
    async def test_hosts_are_named_or_chosen_and_must_exist(
        self, ranch: Ranch, body: Any, status: int
    ) -> None:
        await ranch.world.post("/batches", {"kind": "provision", **body}, status=status)
        assert await ranch.world.get("/batches") == []

    async def test_quarantined_hosts_are_taken_only_by_name(self, ranch: Ranch) -> None:
        await ranch.set_host("beta", state="quarantined", reason="it lies")
        every = await ranch.batch("restart", hosts=[], everything=True)
        assert (await ranch.ends(every))["beta"] == "skipped"
        named = await ranch.batch("restart", hosts=["beta"])
        assert (await ranch.ends(named))["beta"] == "waiting"

    async def test_draining_and_resuming_many_takes_no_operation(self, ranch: Ranch) -> None:
        identity = await ranch.batch("drain")
        await ranch.drive()
        assert set((await ranch.ends(identity)).values()) == {"succeeded"}
        assert {host["state"] for host in await ranch.world.get("/hosts")} == {"draining"}
        await ranch.batch("resume")
        await ranch.drive()
        assert {host["state"] for host in await ranch.world.get("/hosts")} == {"ready"}
