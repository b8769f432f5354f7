"""How a rollout goes on, and whether a changed target holds: pure decisions."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringrift.control.domain.ports import Traffic
from ringrift.control.domain.rollouts import (
    Limits,
    Row,
    Sample,
    Watch,
    decide,
    differences,
    percentile,
    read_traffic,
    traffic_document,
    watched,
    waves,
)

LIMITS = Limits(bake=10.0, patience=100.0, error_share=0.01, p99=1.0, moves=0)
FIRST = Sample(105.0, 7, Traffic(1000, 5, ((0.5, 900), (1.0, 1000))))
LAST = Sample(116.0, 7, Traffic(1200, 5, ((0.5, 1050), (1.0, 1200))))
WATCH = Watch(since=100.0, state="serving", issues=(), checked_at=116.0, last=LAST, first=FIRST)


@pytest.mark.parametrize(
    ("targets", "share", "expected"),
    [
        (1, 0.5, [1]),
        (2, 0.5, [1, 2]),
        (3, 0.5, [1, 2, 3]),
        (6, 0.5, [1, 2, 2, 3, 3, 3]),
        (6, 0.0, [1, 2, 2, 2, 2, 2]),
        (4, 1.0, [1, 2, 2, 2]),
        (0, 0.5, []),
    ],
)
def test_one_target_goes_first_then_a_share_then_the_rest(targets, share, expected) -> None:
    assert waves(targets, share) == expected


STATES = st.sampled_from(["waiting", "running", "baking", "succeeded", "failed"])


def rows(*states: str) -> list[Row]:
    numbers = waves(len(states), 0.5)
    return [
        Row(f"t{n}", wave, state, "it broke")
        for n, (wave, state) in enumerate(zip(numbers, states, strict=True), 1)
    ]


@pytest.mark.parametrize(
    ("states", "start"),
    [
        ("waiting waiting waiting waiting", ("t1",)),
        ("running waiting waiting waiting", ()),
        ("baking waiting waiting waiting", ()),
        ("succeeded waiting waiting waiting", ("t2",)),
        ("succeeded succeeded waiting waiting", ("t3", "t4")),
        ("succeeded succeeded running waiting", ("t4",)),
        ("succeeded succeeded running baking", ()),
    ],
)
def test_a_wave_starts_when_every_target_before_it_is_proven(states, start) -> None:
    verdict = decide("running", rows(*states.split()))
    assert (verdict.state, verdict.start) == ("running", start)


def test_a_rollout_whose_targets_are_all_proven_has_succeeded() -> None:
    assert decide("running", rows("succeeded", "succeeded")).state == "succeeded"


def test_one_failure_halts_and_names_the_target_and_the_reason() -> None:
    verdict = decide("running", rows("succeeded", "failed", "waiting"))
    assert (verdict.state, verdict.reason) == ("halting", "t2: it broke")


@pytest.mark.parametrize(("going", "end"), [("halting", "failed"), ("cancelling", "cancelled")])
def test_everything_touched_goes_back_and_then_it_ends(going, end) -> None:
    verdict = decide(going, rows("succeeded", "failed", "running", "waiting"))
    assert (verdict.state, verdict.back, verdict.skip) == (going, ("t1", "t2"), ("t4",))
    on_the_way = [replace(row, state="rolling_back", returning=True) for row in rows("failed", "failed")]
    assert decide(going, on_the_way).state == going
    lost = replace(rows("failed")[0], returning=True)
    assert decide(going, [lost, *rows("rolled_back", "skipped")]).state == end


def test_a_target_that_served_nothing_before_has_nothing_to_go_back_to() -> None:
    assert decide("halting", [replace(rows("failed")[0], returnable=False)]).state == "failed"


@given(st.lists(STATES, min_size=1, max_size=9))
def test_more_than_one_wave_is_never_on_the_way(states) -> None:
    placed = rows(*states)
    verdict = decide("running", placed)
    started = {row.wave for row in placed if row.target in verdict.start}
    unproven = {row.wave for row in placed if row.state != "succeeded"}
    assert started <= {min(unproven, default=0)}


def test_a_target_that_keeps_its_budget_for_the_whole_time_is_proven() -> None:
    assert watched(WATCH, 116.0, LIMITS) == ("succeeded", "200 moves, p99 at most 1 s, 0 errors")


def test_without_a_move_there_is_no_latency_to_tell() -> None:
    assert watched(replace(WATCH, last=replace(FIRST, at=116.0)), 116.0, LIMITS) == (
        "succeeded",
        "0 moves, 0 errors",
    )


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (replace(WATCH, state="unhealthy", issues=("hash differs",)), "it is unhealthy: hash differs"),
        (replace(WATCH, state="drifted"), "it is drifted"),
        (replace(WATCH, last=None), "it shows no counters"),
        (replace(WATCH, last=replace(LAST, process=8)), "started anew"),
        (replace(WATCH, last=replace(LAST, traffic=Traffic(3, 0))), "started anew"),
        (replace(WATCH, last=replace(LAST, traffic=Traffic(1100, 7))), "2 errors beside 100 moves, 1.0% are"),
        (replace(WATCH, last=replace(LAST, at=106.0, traffic=Traffic(1000, 6))), "1 errors beside 0 moves"),
        (
            replace(WATCH, last=replace(LAST, traffic=Traffic(1200, 5, ((1.0, 1100),)))),
            "p99 is above what is",
        ),
        (
            replace(WATCH, last=replace(LAST, traffic=Traffic(1200, 5, ((1.0, 1100), (2.0, 1200))))),
            "p99 is at most 2 s, 1 s are allowed",
        ),
    ],
)
def test_every_breach_fails_at_once_and_says_what_was_found(seen, reason) -> None:
    state, told = watched(seen, 116.0, LIMITS)
    assert state == "failed" and reason in told


@pytest.mark.parametrize(
    "seen",
    [
        replace(WATCH, state="unreachable", issues=("no answer",)),
        replace(WATCH, checked_at=None),
        replace(WATCH, checked_at=100.0, state="unhealthy"),
    ],
)
def test_silence_is_unknown_and_fails_only_after_the_patience(seen) -> None:
    assert watched(seen, 210.0, LIMITS)[0] == "baking"
    state, told = watched(seen, 210.1, LIMITS)
    assert state == "failed" and "could not be asked" in told


def test_the_watch_is_as_long_as_ordered() -> None:
    assert watched(replace(WATCH, last=replace(LAST, at=114.9)), 115.0, LIMITS) == ("baking", "")
    assert watched(replace(WATCH, first=None), 116.0, LIMITS) == ("baking", "")


def test_too_few_moves_are_no_evidence() -> None:
    strict = replace(LIMITS, moves=201)
    assert watched(WATCH, 116.0, strict)[0] == "baking"
    assert watched(WATCH, 999.0, strict) == ("failed", "200 moves were asked of it, 201 are needed")


def test_a_percentile_is_of_the_moves_between_two_samples() -> None:
    first, last = Traffic(10, 0, ((0.1, 0), (1.0, 10))), Traffic(110, 0, ((0.1, 99), (1.0, 110)))
    assert percentile(first, last, 0.99) == 0.1
    assert percentile(first, last, 1.0) == 1.0
    assert percentile(first, Traffic(110, 0), 0.5) == inf
    assert percentile(last, last, 0.99) == 0.0


def test_counters_are_read_as_they_were_stored() -> None:
    assert read_traffic(traffic_document(LAST.traffic)) == LAST.traffic


def test_what_is_served_otherwise_is_named_config_by_config() -> None:
    ordered, serving = (
        {"a": "1" * 64, "b": "2" * 64, "d": "4" * 64},
        {"b": "3" * 64, "c": "5" * 64, "d": "4" * 64},
    )
    assert differences(ordered, serving) == [
        "a serves nothing instead of 11111111",
        "b serves 33333333 instead of 22222222",
        "c serves 55555555 instead of nothing",
    ]
