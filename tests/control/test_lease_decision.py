"""Which job an agent gets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringrift.control.domain.leases import (
    Asking,
    FleetLoad,
    LiveAgent,
    Waiting,
    after_bad_end,
    decide_lease,
    heavy_slots,
)

ALL = frozenset({"selfplay", "ingest", "train", "evaluate"})
ME = Asking("me", 1, ALL, 0)
TWO = (LiveAgent("me", 1, ALL), LiveAgent("you", 1, ALL))


def choose(*waiting: Waiting, asking: Asking = ME, load: FleetLoad | None = None, reserve: float = 0.4):
    return decide_lease(asking, load or FleetLoad(TWO), list(waiting), reserve=reserve, patience=60.0)


def job(kind: str, name: str = "", config: str = "hex8_2p", waited: float = 1.0, avoid: str | None = None):
    return Waiting(name or kind, kind, config, waited, avoid)


def test_ingest_goes_before_evaluation_before_training_before_self_play() -> None:
    waiting = [job("selfplay"), job("train"), job("evaluate"), job("ingest")]
    order = []
    while waiting:
        chosen = choose(*waiting).job
        order.append(chosen)
        waiting = [item for item in waiting if item.id != chosen]
    assert order == ["ingest", "evaluate", "train", "selfplay"]


def test_an_agent_gets_only_what_it_can_run_and_is_told_what_waits() -> None:
    asking = Asking("me", 1, frozenset({"selfplay"}), 0)
    assert choose(job("train"), job("selfplay"), asking=asking).job == "selfplay"
    nothing = choose(job("train"), asking=asking)
    assert nothing.job is None and "train jobs wait, which this agent cannot run" in nothing.reason


def test_a_full_or_refused_agent_gets_nothing_with_the_reason() -> None:
    assert "1 slots are busy" in choose(job("ingest"), asking=Asking("me", 1, ALL, 1)).reason
    assert choose(job("ingest"), asking=Asking("me", 1, ALL, 0, "the host is draining")) == (
        choose(asking=Asking("me", 1, ALL, 0, "the host is draining"))
    )
    assert "configs enable" in choose().reason


def test_self_play_keeps_its_reserve_while_it_waits() -> None:
    busy = FleetLoad(TWO, {("evaluate", "hex8_2p"): 1})
    assert choose(job("evaluate"), job("selfplay"), load=busy).job == "selfplay"
    assert choose(job("evaluate"), load=busy).job == "evaluate"
    assert choose(job("evaluate"), job("selfplay"), load=busy, reserve=0.0).job == "evaluate"


def test_ingest_never_waits_for_the_reserve() -> None:
    busy = FleetLoad(TWO, {("evaluate", "hex8_2p"): 5})
    assert choose(job("ingest"), job("selfplay"), load=busy).job == "ingest"


def test_a_config_has_one_training_at_a_time() -> None:
    busy = FleetLoad(TWO, {("train", "hex8_2p"): 1})
    assert choose(job("train"), load=busy).job is None
    assert choose(job("train", config="hex8_3p"), load=busy).job == "train"


def test_ingest_prefers_another_agent_than_the_producer_while_there_is_one() -> None:
    assert choose(job("ingest", avoid="me")).job is None
    assert choose(job("ingest", avoid="you")).job == "ingest"
    assert choose(job("ingest", avoid="me"), load=FleetLoad(TWO[:1])).job == "ingest"
    other_cannot = FleetLoad((TWO[0], LiveAgent("you", 1, frozenset({"selfplay"}))))
    assert choose(job("ingest", avoid="me"), load=other_cannot).job == "ingest"
    assert choose(job("ingest", avoid="me", waited=60.0)).job == "ingest"


def test_configs_share_fairly_and_the_oldest_goes_first() -> None:
    busy = FleetLoad(TWO, {("selfplay", "hex8_2p"): 2, ("selfplay", "hex8_3p"): 1})
    old, few = job("selfplay", "old", "hex8_2p", 99.0), job("selfplay", "few", "hex8_3p", 1.0)
    assert choose(old, few, load=busy).job == "few"
    assert choose(job("selfplay", "new", waited=1.0), job("selfplay", "old", waited=2.0)).job == "old"


@pytest.mark.parametrize(("slots", "allowed"), [(0, 1), (1, 1), (2, 1), (5, 3), (10, 6), (100, 60)])
def test_the_reserve_is_40_percent_of_the_slots_but_never_stops_all_training(
    slots: int, allowed: int
) -> None:
    assert heavy_slots(slots, 0.4) == allowed


@pytest.mark.parametrize(
    ("attempts", "how", "state"),
    [
        (1, "failed", "queued"),
        (2, "expired", "queued"),
        (3, "failed", "failed"),
        (3, "expired", "quarantined"),
    ],
)
def test_a_job_is_tried_three_times(attempts: int, how, state: str) -> None:
    assert after_bad_end(attempts, 3, how) == state


waiting_jobs = st.builds(
    Waiting,
    id=st.uuids().map(str),
    kind=st.sampled_from(sorted(ALL)),
    config=st.sampled_from(["hex8_2p", "hex8_3p"]),
    waited=st.floats(0, 1000),
    avoid=st.sampled_from([None, "me", "you"]),
)
loads = st.builds(
    FleetLoad,
    agents=st.lists(
        st.builds(LiveAgent, st.sampled_from(["me", "you", "she"]), st.integers(1, 8), st.just(ALL)),
        max_size=3,
    ).map(tuple),
    running=st.dictionaries(
        st.tuples(st.sampled_from(sorted(ALL)), st.sampled_from(["hex8_2p", "hex8_3p"])), st.integers(1, 9)
    ),
)


@given(
    waiting=st.lists(waiting_jobs, max_size=8),
    load=loads,
    kinds=st.sets(st.sampled_from(sorted(ALL))),
    running=st.integers(0, 3),
)
def test_every_decision_is_a_fitting_job_or_a_reason(waiting, load, kinds, running) -> None:
    asking = Asking("me", 2, frozenset(kinds), running)
    decision = decide_lease(asking, load, waiting, reserve=0.4, patience=60.0)
    assert (decision.job is None) == bool(decision.reason)
    if decision.job is not None:
        chosen = next(item for item in waiting if item.id == decision.job)
        assert chosen.kind in kinds and running < 2
        assert chosen.kind != "train" or not load.running.get(("train", chosen.config))
        selfplay_waits = any(item.kind == "selfplay" for item in waiting)
        if chosen.kind in ("train", "evaluate") and selfplay_waits:
            assert load.count("train", "evaluate") < heavy_slots(sum(a.slots for a in load.agents), 0.4)
