"""When the hosts of a batch start and when it stops; killed at any point it comes to the same end."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from ringrift.control.domain import batches as domain
from ringrift.control.domain.batches import Candidate, Row, Shape, Watch, decide, due, watched

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
