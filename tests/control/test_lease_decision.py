"""Which job an agent gets, and why it gets none."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringrift.control.domain.leases import (
    Capacity,
    FleetLoad,
    LiveAgent,
    Rules,
    Waiting,
    decide_lease,
    reserved_slots,
)
from ringrift.control.domain.needs import Needs, needs_of
from ringrift.control.domain.shares import kind_shares
from ringrift.protocol.jobs import (
    Architecture,
    IngestSpec,
    PlayerSpec,
    Recipe,
    RepeatSpec,
    SelfplaySpec,
    TrainSpec,
)

ALL = frozenset({"selfplay", "ingest", "train", "evaluate", "repeat"})
ME, YOU = LiveAgent("me", 1, ALL), LiveAgent("you", 1, ALL)
TWO = (ME, YOU)
RULES = Rules()


def choose(*waiting: Waiting, asking: LiveAgent = ME, load: FleetLoad | None = None, rules: Rules = RULES):
    return decide_lease(asking, load or FleetLoad(TWO), list(waiting), rules)


def job(kind: str, name: str = "", config: str = "hex8_2p", waited: float = 1.0, **more) -> Waiting:
    return Waiting(name or kind, kind, config, waited, **more)


def test_the_first_slot_of_an_idle_fleet_goes_along_the_pipeline() -> None:
    waiting = [job("selfplay"), job("train"), job("evaluate"), job("ingest"), job("repeat")]
    order = []
    while waiting:
        order.append(choose(*waiting).job)
        waiting = [item for item in waiting if item.id != order[-1]]
    assert order == ["ingest", "evaluate", "train", "repeat", "selfplay"]


def test_an_agent_gets_only_what_it_can_run_and_is_told_what_waits() -> None:
    asking = replace(ME, kinds=frozenset({"selfplay"}))
    assert choose(job("train"), job("selfplay"), asking=asking).job == "selfplay"
    nothing = choose(job("train"), job("train", "second"), job("ingest"), asking=asking)
    assert nothing.job is None
    assert nothing.reason == (
        "2 train jobs wait: this agent cannot run them; 1 ingest job waits: this agent cannot run them"
    )


def test_a_full_or_refused_agent_gets_nothing_with_the_reason() -> None:
    assert "1 slots are busy" in choose(job("ingest"), asking=replace(ME, running=1)).reason
    refused = decide_lease(ME, FleetLoad(TWO), [job("ingest")], RULES, "the host is draining")
    assert (refused.job, refused.reason) == (None, "the host is draining")
    assert "configs enable" in choose().reason


def test_self_play_gets_its_reserve_before_anything_else_while_it_waits() -> None:
    fleet = tuple(LiveAgent(f"h{number}", 1, ALL) for number in range(5))
    for running, kind in ((0, "selfplay"), (1, "selfplay"), (2, "evaluate")):
        load = FleetLoad(fleet, {("selfplay", "hex8_2p"): running})
        assert choose(job("evaluate"), job("selfplay"), load=load).job == kind
    assert choose(job("evaluate"), load=FleetLoad(fleet)).job == "evaluate"


def test_an_agent_that_cannot_play_works_on_what_it_can_although_the_reserve_is_open() -> None:
    fleet = FleetLoad(tuple(LiveAgent(f"h{number}", 1, ALL) for number in range(5)))
    asking = replace(ME, kinds=ALL - {"selfplay"})
    assert choose(job("evaluate"), job("selfplay"), asking=asking, load=fleet).job == "evaluate"


def test_a_config_has_one_training_at_a_time() -> None:
    busy = FleetLoad(TWO, {("train", "hex8_2p"): 1})
    nothing = choose(job("train"), load=busy)
    assert nothing.job is None and "a training of hex8_2p runs already" in nothing.reason
    assert choose(job("train", config="hex8_3p"), load=busy).job == "train"


def test_ingest_prefers_another_host_than_the_producer_while_there_is_one() -> None:
    mine, yours = frozenset({"me"}), frozenset({"you"})
    waits = choose(job("ingest", avoid=mine))
    assert waits.job is None and "this one may in 59 s" in waits.reason
    assert choose(job("ingest", avoid=yours)).job == "ingest"
    assert choose(job("ingest", avoid=mine), load=FleetLoad((ME,))).job == "ingest"
    other_cannot = FleetLoad((ME, replace(YOU, kinds=frozenset({"selfplay"}))))
    assert choose(job("ingest", avoid=mine), load=other_cannot).job == "ingest"
    assert choose(job("ingest", avoid=mine, waited=60.0)).job == "ingest"


def test_a_host_that_must_not_have_a_job_never_gets_it() -> None:
    alone = FleetLoad((ME,))
    waits = choose(job("ingest", waited=1e9, never=frozenset({"me"})), load=alone)
    assert waits.job is None and "another host" in waits.reason


def test_a_repetition_goes_only_to_its_numeric_class() -> None:
    repeat = job("repeat", numeric_class="x86_64 cpu")
    assert "x86_64 cpu" in choose(repeat, asking=replace(ME, numeric_class="aarch64 cpu")).reason
    assert choose(repeat, asking=replace(ME, numeric_class="x86_64 cpu")).job == "repeat"


def test_configs_share_fairly_and_the_oldest_goes_first() -> None:
    busy = FleetLoad(TWO, {("selfplay", "hex8_2p"): 2, ("selfplay", "hex8_3p"): 1})
    old, few = job("selfplay", "old", "hex8_2p", 99.0), job("selfplay", "few", "hex8_3p", 1.0)
    assert choose(old, few, load=busy).job == "few"
    favoured = Rules(configs={"hex8_2p": 0.9})
    assert choose(old, few, load=busy, rules=favoured).job == "old"
    assert choose(job("selfplay", "new", waited=1.0), job("selfplay", "old", waited=2.0)).job == "old"


@pytest.mark.parametrize(("slots", "reserved"), [(0, 0), (1, 0), (2, 0), (5, 2), (10, 4), (100, 40)])
def test_the_reserve_is_40_percent_of_the_slots_rounded_down(slots: int, reserved: int) -> None:
    assert reserved_slots(slots, kind_shares({}, 0.4)["selfplay"]) == reserved


# --- placement -------------------------------------------------------------------------------------


def test_a_job_goes_only_where_its_memory_fits_beside_what_runs_there() -> None:
    big = job("train", needs=Needs(ram_gb=6.0, vram_gb=10.0))
    gpu = replace(ME, slots=8, capacity=Capacity(ram_gb=64.0, vram_gb=24.0, gpus=2))
    assert choose(big, asking=gpu).job == "train"
    full = replace(gpu, held=Needs(ram_gb=12.0, vram_gb=40.0))
    assert "needs 10.0 GB of GPU memory, 8.0 GB are free" in choose(big, asking=full).reason
    small = replace(gpu, capacity=Capacity(ram_gb=64.0, vram_gb=8.0, gpus=8))
    assert "8.0 GB are free" in choose(big, asking=small).reason
    poor = replace(gpu, capacity=Capacity(ram_gb=7.0, vram_gb=24.0), held=Needs(ram_gb=2.0))
    assert "needs 6.0 GB of memory, 5.0 of 7.0 GB are free" in choose(big, asking=poor).reason


def test_without_a_gpu_device_memory_is_host_memory_and_unknown_capacity_refuses_nothing() -> None:
    big = job("train", needs=Needs(ram_gb=6.0, vram_gb=10.0))
    assert choose(big, asking=replace(ME, capacity=Capacity(ram_gb=16.0))).job == "train"
    assert "needs 16.0 GB" in choose(big, asking=replace(ME, capacity=Capacity(ram_gb=15.0))).reason
    assert choose(big, asking=ME).job == "train"


def test_a_training_goes_to_no_spot_host_while_a_stable_one_that_fits_is_live() -> None:
    spot = replace(ME, spot=True)
    assert "spot host" in choose(job("train", waited=1e9), asking=spot).reason
    assert choose(job("evaluate"), asking=spot).job == "evaluate"
    assert choose(job("train"), asking=spot, load=FleetLoad((spot, replace(YOU, spot=True)))).job == "train"
    tiny = replace(YOU, capacity=Capacity(ram_gb=1.0))
    needy = job("train", needs=Needs(ram_gb=2.0))
    assert choose(needy, asking=spot, load=FleetLoad((spot, tiny))).job == "train"


def test_a_job_waits_briefly_for_a_clearly_faster_host_with_a_free_slot() -> None:
    key = ("selfplay", "hex8_2p")
    slow, fast = replace(ME, rates={key: 100.0}), replace(YOU, rates={key: 310.0})
    fleet = FleetLoad((slow, fast))
    waits = choose(job("selfplay"), asking=slow, load=fleet)
    assert waits.job is None and "you has a free slot and is 3.1 times as fast" in waits.reason
    assert choose(job("selfplay", waited=15.0), asking=slow, load=fleet).job == "selfplay"
    busy = FleetLoad((slow, replace(fast, running=1)))
    assert choose(job("selfplay"), asking=slow, load=busy).job == "selfplay"
    alike = FleetLoad((slow, replace(fast, rates={key: 190.0})))
    assert choose(job("selfplay"), asking=slow, load=alike).job == "selfplay"
    assert choose(job("selfplay"), asking=ME, load=fleet).job == "selfplay", "an unmeasured host is measured"


def test_needs_grow_with_net_and_batch_and_are_modest_without_a_net() -> None:
    def train(blocks: int, channels: int, batch: int) -> Needs:
        return needs_of(
            TrainSpec(
                config="square19_2p",
                dataset="a" * 64,
                shards=["b" * 64],
                parent=None,
                architecture=Architecture(blocks=blocks, channels=channels),
                recipe=Recipe(steps=1, batch_size=batch, learning_rate=0.001),
                seed=1,
            )
        )

    small, wide, large = train(4, 32, 256), train(16, 256, 256), train(16, 256, 1024)
    assert small.vram_gb < 1.0 < wide.vram_gb < large.vram_gb < 60.0
    assert small.ram_gb == wide.ram_gb == 2.1
    player = PlayerSpec(kind="gumbel", simulations=8)
    play = SelfplaySpec(config="hex8_2p", player=player, shards=1, games_per_shard=32, seed=1)
    assert needs_of(play) == needs_of(IngestSpec(config="hex8_2p", shard="a" * 64)) == Needs(0.6)
    with_net = play.model_copy(update={"player": player.model_copy(update={"model": "c" * 64})})
    repeat = RepeatSpec(config="hex8_2p", origin=with_net, sequence=0, shard="a" * 64)
    assert needs_of(repeat) == needs_of(with_net)
    assert (
        0.0 < needs_of(with_net).vram_gb < needs_of(with_net, Architecture(blocks=32, channels=512)).vram_gb
    )


# --- whatever waits and runs -----------------------------------------------------------------------

hosts = st.frozensets(st.sampled_from(["me", "you"]), max_size=2)
needs = st.builds(Needs, st.sampled_from([0.5, 4.0]), st.sampled_from([0.0, 8.0]))
waiting_jobs = st.builds(
    Waiting,
    id=st.uuids().map(str),
    kind=st.sampled_from(sorted(ALL)),
    config=st.sampled_from(["hex8_2p", "hex8_3p"]),
    waited=st.floats(0, 1000),
    avoid=hosts,
    never=hosts,
    needs=needs,
)
live_agents = st.builds(
    LiveAgent,
    st.sampled_from(["me", "you", "she"]),
    st.integers(1, 8),
    st.frozensets(st.sampled_from(sorted(ALL)), min_size=1),
    spot=st.booleans(),
    capacity=st.sampled_from([Capacity(), Capacity(2.0), Capacity(16.0, 16.0, 2)]),
)
loads = st.builds(
    FleetLoad,
    agents=st.lists(live_agents, max_size=3, unique_by=lambda agent: agent.host).map(tuple),
    running=st.dictionaries(
        st.tuples(st.sampled_from(sorted(ALL)), st.sampled_from(["hex8_2p", "hex8_3p"])), st.integers(1, 9)
    ),
)


@given(waiting=st.lists(waiting_jobs, max_size=8), load=loads, asking=live_agents, running=st.integers(0, 3))
def test_every_decision_is_a_fitting_job_or_a_reason(waiting, load, asking, running) -> None:
    asking = replace(asking, running=running)
    decision = decide_lease(asking, load, waiting, RULES)
    assert (decision.job is None) == bool(decision.reason)
    if decision.job is not None:
        chosen = next(item for item in waiting if item.id == decision.job)
        assert chosen.kind in asking.kinds and running < asking.slots and asking.host not in chosen.never
        assert chosen.kind != "train" or not load.running.get(("train", chosen.config))
        assert asking.capacity.ram_gb is None or chosen.needs.ram_gb <= asking.capacity.ram_gb


@given(waiting=st.lists(waiting_jobs, min_size=1, max_size=8), load=loads, asking=live_agents)
def test_a_free_slot_stays_idle_only_when_no_patient_job_may_use_it(waiting, load, asking) -> None:
    patient = [replace(item, waited=1e6, never=frozenset(), needs=Needs()) for item in waiting]
    decision = decide_lease(asking, load, patient, RULES)
    usable = [
        item
        for item in patient
        if item.kind in asking.kinds
        and (item.kind != "train" or not (load.running.get(("train", item.config)) or asking.spot))
    ]
    assert decision.job is not None or not usable
