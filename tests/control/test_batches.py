"""Batches of hosts: canary, waves, budget, debts; stopped at any point and carried on to the same end."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from sqlalchemy import text, update
from sqlmodel import col

from ringrift import failpoints
from ringrift.control.domain import batches as domain
from ringrift.control.domain.batches import Candidate, Row, Shape, Watch, decide, due, watched
from ringrift.control.domain.ports import HostPlan
from ringrift.control.settings import Settings
from ringrift.control.store import fleet, operations
from ringrift.control.store.tables import Agent, Host, Operation
from ringrift.errors import AccessRefused, HostKeyChanged, Refused, Unreachable
from tests.control.doubles import HOST_KEY, ScriptedAgent
from tests.control.test_operations import eventually
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
        """Let reconcilers, long actions and agents go on until nothing runs any more."""
        calm = 0
        for _ in range(50):
            same = await self.world.reconcile("batches", "operations", "drift") == 1
            # Twice: what a pass starts may end within it, and only the next one sees that.
            calm = calm + 1 if same and not list(self.world.context.flights) else 0
            if calm == 2:
                return
            await self.look()
            await self.work()
        raise AssertionError("the batch never ends")

    async def look(self) -> None:
        """Wait for the looks that are under way."""
        found = [t for t in asyncio.all_tasks() if t.get_name().startswith(("batch:", "look:"))]
        await asyncio.gather(*found)

    async def work(self, *, beating: bool = True) -> None:
        """Let agents beat until the operations that are under way have ended."""

        async def ended() -> bool:
            names = [key for key in self.world.context.flights if key.startswith("operation:")]
            for name in names if beating else []:
                await self.agents[name.removeprefix("operation:")].beat()
            return not names

        await eventually(ended)

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
            await ranch.look()
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
        changed = HostKeyChanged("beta shows another key")
        ranch.world.fleet.fail("plan", *[changed] * 3, subject="beta")  # the look for drift may come first
        identity = await ranch.batch(budget=1)
        await ranch.drive()
        ends = await ranch.ends(identity)
        assert ends.pop("beta") == "failed" and set(ends.values()) == {"waiting"}
        assert (await ranch.world.get(f"/batches/{identity}"))["state"] == "halted"

    async def test_a_key_that_was_trusted_during_a_look_stands(self, ranch: Ranch) -> None:
        """What a look saw before a person answered it blocks the host no more; later looks do."""
        world, changed = ranch.world, HostKeyChanged("beta shows another key")
        for trusted_after, blocked in ((60.0, False), (-60.0, True)):
            world.fleet.fail("plan", *[changed] * 3, subject="beta")
            await ranch.batch(hosts=["beta"])
            await world.post("/hosts/beta/trust", {"host_key": HOST_KEY})
            moved = update(Host).where(col(Host.name) == "beta").values(key_at=Host.key_at + trusted_after)
            await world.write(lambda s, moved=moved: s.execute(moved))
            await ranch.drive()
            host = await world.get("/hosts/beta")
            assert (host["blocked"], host["state"]) == (blocked, "unreachable" if blocked else "ready")
        assert [e["action"] for e in await world.get("/events")].count("host.blocked") == 1

    async def test_a_host_that_changed_since_the_look_is_planned_again_once(self, ranch: Ranch) -> None:
        ranch.world.fleet.fail("provision", Refused("another plan is called for"), subject="alpha")
        identity = await ranch.batch(hosts=["alpha"])
        await ranch.world.reconcile("batches")
        await ranch.look()
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


class TestUpdating:
    """New agents go to a canary, a tenth, then all; a canary that crashes stops it."""

    @pytest.fixture
    def settings(self) -> Settings:
        return small_settings(hosts={"bake_seconds": 3600.0})

    async def halfway(self, ranch: Ranch) -> str:
        """Bring an update to the point where its canary bakes."""
        identity = await ranch.batch("update")
        await ranch.world.reconcile("batches")
        await ranch.look()
        await ranch.world.reconcile("batches", "operations")
        await ranch.work()
        await ranch.world.reconcile("batches", "operations")
        assert sorted((await ranch.ends(identity)).values()) == ["baking", "waiting", "waiting", "waiting"]
        assert ranch.world.fleet.named("provision") == ["alpha"]
        return identity

    async def test_a_canary_that_beats_long_enough_lets_the_others_follow(self, ranch: Ranch) -> None:
        identity = await self.halfway(ranch)
        await ranch.world.write(lambda s: s.execute(text("UPDATE operation SET ended_at = ended_at - 3601")))
        await ranch.agents["alpha"].beat()
        await ranch.world.reconcile("batches")
        ends = await ranch.ends(identity)
        assert ends.pop("alpha") == "succeeded" and set(ends.values()) == {"running"}

    async def test_a_canary_that_starts_anew_halts_the_update(self, ranch: Ranch) -> None:
        identity = await self.halfway(ranch)
        ranch.agents["alpha"].incarnation = "second"
        await ranch.agents["alpha"].beat()
        await ranch.world.reconcile("batches")
        shown = await ranch.world.get(f"/batches/{identity}")
        assert shown["state"] == "halted" and shown["hosts"][0]["state"] == "failed"
        assert "started anew" in shown["hosts"][0]["reason"]

    async def test_a_canary_without_a_heartbeat_of_the_new_release_has_failed(self, ranch: Ranch) -> None:
        vars(ranch.world.context)["settings"] = small_settings(agents={"heartbeat_wait_seconds": 0.3})
        identity = await ranch.batch("update")
        await ranch.world.reconcile("batches")
        await ranch.look()
        await ranch.world.reconcile("batches", "operations")
        await ranch.work(beating=False)
        await ranch.world.reconcile("batches")
        shown = await ranch.world.get(f"/batches/{identity}")
        assert shown["state"] == "halted" and "no heartbeat of release" in shown["hosts"][0]["reason"]


class TestRestarting:
    """A restart succeeds with the heartbeat of a new start."""

    async def test_only_a_new_start_proves_it(self, ranch: Ranch) -> None:
        identity = await ranch.batch("restart", hosts=["alpha"])
        await ranch.world.reconcile("batches", "operations")
        agent = ranch.agents["alpha"]

        async def waits() -> bool:
            row = (await ranch.world.get(f"/batches/{identity}"))["hosts"][0]
            steps = (await ranch.world.get(f"/operations/{row['operation']}"))["steps"]
            return [step["name"] for step in steps] == ["restart", "heartbeat"]

        await eventually(waits)
        await agent.beat()
        await ranch.world.reconcile("batches")
        assert await ranch.ends(identity) == {"alpha": "running"}
        agent.incarnation = "second"
        await ranch.work()
        await ranch.world.reconcile("batches")
        assert await ranch.ends(identity) == {"alpha": "succeeded"}
        assert ranch.world.fleet.named("restart_agent") == ["alpha"]


class TestDebts:
    """What a host that is away owes is paid once when it is back."""

    async def away(self, ranch: Ranch, name: str = "beta") -> None:
        await ranch.set_host(name, state="unreachable", tunnel="closed", tunnel_reason="no answer")

    async def back(self, ranch: Ranch, name: str = "beta") -> None:
        await ranch.world.write(lambda s: fleet.tunnel_opened(s, name))

    async def test_a_host_that_is_away_owes_and_pays_when_its_tunnel_opens(self, ranch: Ranch) -> None:
        await self.away(ranch)
        identity = await ranch.batch()
        await ranch.drive()
        assert (await ranch.ends(identity))["beta"] == "owed"
        [debt] = await ranch.world.get("/debts")
        assert (debt["host"], debt["kind"], debt["batch"]) == ("beta", "provision", identity)
        assert "beta" not in ranch.world.fleet.named("plan")
        await self.back(ranch)
        await ranch.drive()
        assert (await ranch.ends(identity))["beta"] == "succeeded"
        assert await ranch.world.get("/debts") == []
        assert ranch.world.fleet.named("provision").count("beta") == 1
        await ranch.set_host("beta", drift_at=None)
        await ranch.drive()
        assert ranch.world.fleet.named("provision").count("beta") == 1, "a debt is paid once"

    async def test_a_host_that_does_not_answer_the_look_owes_too(self, ranch: Ranch) -> None:
        for name in ranch.agents:
            await ranch.set_host(name, drift_at=4e9)
        ranch.world.fleet.fail("plan", Unreachable("gamma does not answer"), subject="gamma")
        identity = await ranch.batch()
        await ranch.drive()
        ends = await ranch.ends(identity)
        assert ends.pop("gamma") == "owed" and set(ends.values()) == {"succeeded"}
        ranch.world.fleet.fail("plan", Unreachable("still not"), subject="gamma")
        await ranch.set_host("gamma", drift_at=None)
        await ranch.drive()
        assert len(await ranch.world.get("/debts")) == 1, "a look that fails pays nothing"
        await ranch.set_host("gamma", drift_at=None)
        await ranch.drive()
        assert await ranch.world.get("/debts") == []
        assert (await ranch.ends(identity))["gamma"] == "succeeded"

    async def test_one_that_goes_away_during_its_operation_owes_and_is_no_failure(self, ranch: Ranch) -> None:
        await ranch.world.write(lambda s: s.execute(text("UPDATE host SET drift_at = 4e9")))
        ranch.world.fleet.fail("provision", Unreachable("alpha was cut off"), subject="alpha")
        identity = await ranch.batch()
        await ranch.drive()
        ends = await ranch.ends(identity)
        assert ends.pop("alpha") == "owed" and set(ends.values()) == {"succeeded"}

    async def test_the_newest_order_replaces_older_debts(self, ranch: Ranch) -> None:
        await self.away(ranch)
        first = await ranch.batch(hosts=["beta"])
        await ranch.drive()
        second = await ranch.batch("update", hosts=["beta"])
        await ranch.drive()
        assert [debt["batch"] for debt in await ranch.world.get("/debts")] == [second]
        shown = (await ranch.world.get(f"/batches/{first}"))["hosts"][0]
        assert (shown["state"], shown["reason"]) == ("skipped", f"replaced by {second}")

    async def test_a_halted_batch_collects_no_debts_and_a_cancelled_one_forgives_them(
        self, ranch: Ranch
    ) -> None:
        await self.away(ranch)
        ranch.world.fleet.fail("provision", AccessRefused("no"), subject="alpha")
        identity = await ranch.batch()
        await ranch.drive()
        assert (await ranch.world.get(f"/batches/{identity}"))["state"] == "halted"
        await self.back(ranch)
        await ranch.drive()
        assert len(await ranch.world.get("/debts")) == 1
        assert "beta" not in ranch.world.fleet.named("provision")
        await ranch.world.post(f"/batches/{identity}/cancel")
        assert await ranch.world.get("/debts") == []

    async def test_a_host_that_is_as_it_should_be_pays_without_an_operation(self, ranch: Ranch) -> None:
        await self.away(ranch)
        identity = await ranch.batch(hosts=["beta"])
        await ranch.drive()
        ranch.world.fleet.plans.clear()
        assert (await ranch.world.get("/why/beta"))["facts"][0].startswith(f"owes: provision of {identity}")
        await self.back(ranch)
        await ranch.drive()
        shown = (await ranch.world.get(f"/batches/{identity}"))["hosts"][0]
        assert (shown["state"], shown["reason"]) == ("succeeded", "unchanged")
        assert ranch.world.fleet.named("provision") == []

    async def test_what_an_ended_batch_is_owed_can_be_forgiven(self, ranch: Ranch) -> None:
        await self.away(ranch)
        identity = await ranch.batch(hosts=["beta"])
        await ranch.drive()
        assert (await ranch.world.post(f"/batches/{identity}/cancel"))["state"] == "succeeded"
        assert await ranch.ends(identity) == {"beta": "skipped"}
        refused = await ranch.world.post(f"/batches/{identity}/cancel", status=409)
        assert "cannot become cancelled" in refused["error"]["message"]

    async def test_a_removed_host_owes_nothing(self, ranch: Ranch) -> None:
        await self.away(ranch)
        identity = await ranch.batch(hosts=["beta"])
        await ranch.world.post("/hosts/beta/remove")
        assert await ranch.world.get("/debts") == []
        assert await ranch.ends(identity) == {"beta": "skipped"}


class TestKills:
    """A batch that is cut anywhere is carried on to the same end, and nothing is done twice after its end."""

    @pytest.mark.parametrize("point", (1, 6, 15, 30))
    async def test_a_controller_killed_at_any_point_comes_to_the_same_end(
        self, ranch: Ranch, point: int
    ) -> None:
        world = ranch.world
        del world.fleet.plans["delta"]
        await TestDebts().away(ranch, "gamma")
        identity = await ranch.batch()
        turn = 0

        def watch(name: str, moment: str) -> None:
            nonlocal turn
            turn += name.partition(".")[0] in ("batch", "operation", "provision", "fleet")
            if turn > point:
                raise ConnectionAbortedError("the process is dead")

        failpoints.watch(watch)
        try:
            with suppress(ConnectionAbortedError, AssertionError):
                await ranch.drive()
            await world.close()
        finally:
            failpoints.watch(None)
        await world.restart()
        for name in ("alpha", "beta", "delta"):
            await ranch.set_host(name, tunnel="open")
        await ranch.drive()
        assert await ranch.ends(identity) == {
            "alpha": "succeeded", "beta": "succeeded", "delta": "succeeded", "gamma": "owed",
        }  # fmt: skip
        made = await world.read(lambda s: s.query(Operation).count())
        assert made == 2 and len(await world.get("/debts")) == 1
        assert (await world.get("/audit/verify"))["sound"]


class TestDrift:
    """What is not as it should be is named, and left alone unless a setting says so."""

    async def look(self, ranch: Ranch) -> None:
        await ranch.world.write(lambda s: s.execute(text("UPDATE host SET drift_at = 1")))
        await ranch.drive()

    async def drift(self, ranch: Ranch) -> list[str]:
        return await ranch.world.read(lambda s: s.get(Host, "alpha").drift)

    async def actions(self, ranch: Ranch) -> list[str]:
        return [event["action"] for event in await ranch.world.get("/events")]

    async def test_drift_is_named_and_audited_once_and_not_repaired(self, ranch: Ranch) -> None:
        await self.look(ranch)
        assert await self.drift(ranch) == ["release: put new"]
        assert any("release: put new" in fact for fact in (await ranch.world.get("/why/alpha"))["facts"])
        told = (await self.actions(ranch)).count("host.drift")
        await self.look(ranch)
        assert (await self.actions(ranch)).count("host.drift") == told == 4
        assert ranch.world.fleet.named("provision") == []
        ranch.world.fleet.plans.clear()
        await self.look(ranch)
        assert await self.drift(ranch) == []

    async def test_a_machine_that_is_not_what_was_declared_is_drift(self, ranch: Ranch) -> None:
        await ranch.set_host("alpha", cpus=16)
        ranch.world.fleet.plans["alpha"] = HostPlan("0" * 64, (), {"cpus": 8})
        await self.look(ranch)
        assert await self.drift(ranch) == ["cpus: declared 16, found 8"]

    async def test_an_agent_that_works_with_other_settings_than_its_file_holds_is_drift(
        self, ranch: Ranch
    ) -> None:
        ranch.world.fleet.plans["alpha"] = HostPlan("0" * 64, (), {"agent_settings": "aaaabbbbcccc"})
        await self.look(ranch)
        assert await self.drift(ranch) == [], "an agent that tells nothing is not compared"
        for told in ("ddddeeeeffff", "aaaabbbbcccc"):
            change = update(Agent).where(col(Agent.host) == "alpha").values(config_hash=told)
            await ranch.world.write(lambda s, change=change: s.execute(change))
            await self.look(ranch)
            if told == "ddddeeeeffff":
                line = "settings of the agent: it works with ddddeeeeffff, its file holds aaaabbbbcccc"
                assert await self.drift(ranch) == [f"{line}: ringrift-ctl hosts restart alpha"]
                why = await ranch.world.get("/why/alpha")
                assert any(line in fact for fact in why["facts"])
        assert await self.drift(ranch) == []

    async def test_hosts_that_cannot_be_reached_or_are_worked_on_are_not_looked_at(
        self, ranch: Ranch
    ) -> None:
        await ranch.set_host("alpha", tunnel="closed")
        await ranch.set_host("beta", state="quarantined")
        await ranch.world.post("/hosts/gamma/provision")
        await ranch.world.write(lambda s: s.execute(text("UPDATE host SET drift_at = 1")))
        await ranch.world.reconcile("drift")
        await ranch.look()
        assert ranch.world.fleet.named("plan") == ["delta"]

    async def test_a_look_that_fails_leaves_what_was_known(self, ranch: Ranch) -> None:
        await self.look(ranch)
        ranch.world.fleet.fail("plan", *[Unreachable("no answer")] * 4)
        await self.look(ranch)
        assert await self.drift(ranch) == ["release: put new"]


class TestRepairing:
    """With the setting drift is repaired, each plan once."""

    @pytest.fixture
    def settings(self) -> Settings:
        return small_settings(hosts={"repair_drift": 1})

    async def test_a_plan_is_carried_out_and_one_that_failed_is_left_to_a_person(self, ranch: Ranch) -> None:
        ranch.world.fleet.plans = {"alpha": CHANGES}
        ranch.world.fleet.fail("provision", AccessRefused("no"))
        for _ in range(2):
            await ranch.set_host("alpha", drift_at=None, state="ready")
            await ranch.drive()
        assert ranch.world.fleet.named("provision") == ["alpha"]
        ranch.world.fleet.plans = {"alpha": replace(CHANGES, hash="e" * 64)}
        await ranch.set_host("alpha", drift_at=None, state="ready")
        await ranch.world.reconcile("drift")
        await ranch.look()
        assert await ranch.world.read(lambda s: operations.running_operation(s, "provision", "alpha"))
