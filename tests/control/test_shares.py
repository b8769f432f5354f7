"""Shares of job kinds and configs: the split over many leases, and how operators set it."""

from __future__ import annotations

import heapq
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlmodel import select

from ringrift.control.domain.leases import FleetLoad, LiveAgent, Rules, Waiting, decide_lease
from ringrift.control.domain.shares import check_share, config_shares, faded, kind_shares
from ringrift.control.store import shares as store_shares
from ringrift.control.store.tables import Event
from ringrift.errors import BadInput, NotFound, Refused
from ringrift.protocol.jobs import JobKind
from tests.control.world import CONFIG, World

ALL = frozenset(kind.value for kind in JobKind)
CONFIGS = ("hex8_2p", "hex8_3p", "square8_2p")
RULES = Rules(placement=0.0)


class Fleet:
    """A fleet under a virtual clock: every kind of every config always waits, and slots are asked for as they
    fall free. Trainings are left out, since a config has only one."""

    def __init__(self, slots: int, kinds: list[str], rules: Rules, seed: int) -> None:
        self.random = random.Random(seed)
        self.agents = tuple(LiveAgent(f"h{number}", 1, ALL) for number in range(slots))
        self.waiting = [
            Waiting(f"{kind} {config}", kind, config, 1e6) for kind in kinds for config in CONFIGS
        ]
        self.rules, self.time = rules, 0.0
        self.ends: list[tuple[float, float, tuple[str, str]]] = []
        self.running: Counter[tuple[str, str]] = Counter()
        self.used: Counter[tuple[str, str]] = Counter()
        self.ledger: dict[tuple[str, str], float] = {}
        self.served: dict[tuple[str, str], float] = {}

    def lease(self) -> None:
        since = {key: self.time - time for key, time in self.served.items()}
        load = FleetLoad(self.agents, self.running, self.ledger, since)
        chosen = decide_lease(self.agents[0], load, self.waiting, self.rules).job
        assert chosen is not None
        kind, config = chosen.split(" ")
        self.running[kind, config] += 1
        self.served[kind, config] = self.time
        end = self.time + self.random.choice([10.0, 60.0, 600.0])
        heapq.heappush(self.ends, (end, self.time, (kind, config)))

    def run(self, leases: int) -> None:
        for _ in range(leases):
            if len(self.ends) == len(self.agents):
                end, began, key = heapq.heappop(self.ends)
                self.ledger = {k: faded(v, end - self.time) for k, v in self.ledger.items()}
                self.ledger[key] = self.ledger.get(key, 0.0) + (end - began) / 3600.0
                self.time = end
                self.running[key] -= 1
                self.used[key] += end - began
            self.lease()

    def held(self, kind: str) -> int:
        return sum(count for (name, _), count in self.running.items() if name == kind)


@settings(deadline=None, max_examples=25)
@given(slots=st.integers(1, 60), seed=st.integers(0, 2**32), reserve=st.sampled_from([0.2, 0.4, 0.6]))
def test_a_full_fleet_is_split_by_the_shares_within_a_slot_and_the_reserve_holds(
    slots, seed, reserve
) -> None:
    kinds = ["selfplay", "evaluate", "ingest"]
    shares = kind_shares({}, reserve)
    total = sum(shares[kind] for kind in kinds)
    fleet = Fleet(slots, kinds, Rules(placement=0.0, kinds=shares), seed)
    fleet.run(slots)
    for _ in range(100):
        fleet.run(1)
        assert fleet.held("selfplay") >= int(slots * reserve + 1e-9) - 1
    for kind in kinds:
        due = slots * shares[kind] / total
        assert abs(fleet.held(kind) - due) <= 2.0, (kind, fleet.running)


@pytest.mark.parametrize("slots", [1, 2, 3])
def test_a_small_fleet_is_split_by_the_shares_over_time_and_nobody_starves(slots: int) -> None:
    kinds = ["selfplay", "evaluate", "ingest", "repeat"]
    fleet = Fleet(slots, kinds, RULES, 7)
    fleet.run(6000)
    total = sum(RULES.kinds[kind] for kind in kinds)
    for kind in kinds:
        used = sum(seconds for (name, _), seconds in fleet.used.items() if name == kind)
        assert used / sum(fleet.used.values()) == pytest.approx(RULES.kinds[kind] / total, abs=0.08), kind
    for kind in kinds:
        for config in CONFIGS:
            assert fleet.time - fleet.served[kind, config] < 12 * 3600, (kind, config)


def test_configs_divide_what_the_explicit_shares_leave() -> None:
    fleet = Fleet(40, ["selfplay"], Rules(placement=0.0, configs={"hex8_2p": 0.5}), 3)
    fleet.run(400)
    held = {config: fleet.running["selfplay", config] for config in CONFIGS}
    assert held == pytest.approx({"hex8_2p": 20, "hex8_3p": 10, "square8_2p": 10}, abs=2)


def test_shares_always_make_a_whole_and_explicit_ones_stand() -> None:
    for explicit in ({}, {"train": 0.3}, {"selfplay": 0.2, "ingest": 0.5}):
        shares = kind_shares(explicit, 0.4)
        assert sum(shares.values()) == pytest.approx(1.0) and min(shares.values()) >= 0.01
        assert explicit.items() <= shares.items()
    assert kind_shares({"train": 0.3}, 0.4)["selfplay"] == 0.4
    assert config_shares({"a": 0.7}, ["a", "b", "c"]) == pytest.approx({"a": 0.7, "b": 0.15, "c": 0.15})


@pytest.mark.parametrize(
    ("scope", "share", "error", "words"),
    [
        ("kind:dance", 0.1, BadInput, "no scope"),
        ("train", 0.1, BadInput, "no scope"),
        ("config:hex9_2p", 0.1, Exception, "unknown config"),
        ("kind:train", 0.0, BadInput, "between 0.01 and 1"),
        ("kind:train", float("nan"), BadInput, "between 0.01 and 1"),
        ("kind:train", 0.6, Refused, "selfplay 40%, train 60%"),
        ("config:hex8_2p", 0.95, Refused, "for each of 11 others"),
    ],
)
def test_a_share_that_cannot_be_is_refused_with_the_numbers(scope, share, error, words) -> None:
    with pytest.raises(error, match=words):
        check_share(scope, share, {}, 0.4)


async def test_shares_are_set_and_reset_with_an_audit_row_each(world: World) -> None:
    asked = {"scope": "kind:train", "share": 0.3, "actor": "ann"}
    assert (await world.post("/shares", {**asked, "dry_run": True}))["shares"][2]["share"] != 0.3
    view = await world.post("/shares", asked)
    train = next(row for row in view["shares"] if row["scope"] == "kind:train")
    assert (train["share"], train["explicit"], train["actor"]) == (0.3, True, "operator: ann")
    await world.post("/shares", asked)
    await world.post("/shares", {"scope": "kind:train", "share": 0.7}, status=409)
    await world.post("/shares", {"scope": "kind:train", "share": None, "actor": "bob"})
    await world.post("/shares", {"scope": "kind:train", "share": None}, status=404)
    rows = await world.read(lambda s: [(e.action, e.actor, e.detail) for e in s.exec(select(Event)).all()])
    assert [row for row in rows if row[0].startswith("share.")] == [
        ("share.set", "operator: ann", {"before": None, "share": 0.3}),
        ("share.reset", "operator: bob", {"before": 0.3}),
    ]


async def test_shares_are_shown_against_what_is_used(world: World) -> None:
    alpha = await world.agent("alpha", slots=4)
    await world.enable()
    await world.reconcile("selfplay")
    first, _ = (await alpha.lease()).assignment, await alpha.lease()
    await alpha.do_job(first, world.work)
    rows = {row["scope"]: row for row in (await world.get("/shares"))["shares"]}
    assert (rows["kind:selfplay"]["held"], rows["kind:selfplay"]["share"]) == (1, 0.4)
    assert rows[f"config:{CONFIG}"]["held"] == 1 and rows["kind:train"]["held"] == 0
    assert rows["kind:selfplay"]["recent_hours"] > 0.0
    assert await world.read(store_shares.drain_rates) == pytest.approx({CONFIG: 0.2}, abs=0.001)


async def test_a_share_that_nobody_set_cannot_be_reset(world: World) -> None:
    with pytest.raises(NotFound, match="no share of its own"):
        await world.write(lambda s: store_shares.reset_share(s, "config:hex8_2p", "ann"))
