"""Repeating games by seed: an honest shard comes out the same, every kind of lie is named."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from pydantic import ValidationError

from ringrift.errors import BadInput, CorruptData
from ringrift.learning.jobs import run_job
from ringrift.learning.records import GameHeader
from ringrift.learning.shards import read_shard, shard_bytes
from ringrift.nets.checkpoint import save_checkpoint
from ringrift.nets.network import ArchConfig, RingRiftNet
from ringrift.protocol.jobs import RepeatSpec, exact_everywhere, parse_result, required_artifacts, sequences

SEQUENCE = 1


@pytest.fixture(scope="module")
def honest(tmp_path_factory, module_specs):
    """The specification of a job of small searched games, and the records of its shard 1."""
    from tests.learning.conftest import Inputs

    origin = module_specs(shards=2, games_per_shard=3, full_share=0.5, cheap_simulations=2)
    here = Inputs(tmp_path_factory.mktemp("honest"))
    return origin, read_shard(here.folder / here.add_games(origin, SEQUENCE))


@pytest.fixture(scope="module")
def module_specs():
    from tests.learning.conftest import selfplay_spec

    return selfplay_spec


@pytest.fixture
def repeat(honest, inputs, tmp_path):
    """Repeat a shard with these records; return the result of the job."""

    def run(records, **changes):
        shard = inputs.add(shard_bytes(records) if not isinstance(records, bytes) else records)
        fields = {"config": "hex8_2p", "origin": honest[0], "sequence": SEQUENCE, "shard": shard}
        spec = RepeatSpec.model_validate(fields | changes)
        found = []

        def emit(event):
            if event["type"] == "result":
                found.append(parse_result(event["payload"]))

        run_job("repeat", spec.model_dump(mode="json"), inputs.folder, tmp_path / "out", set(), emit)
        return found[0]

    return run


def changed(column, at=0):
    copy = column.copy()
    copy[at] = copy[at] + 1
    return copy


def test_an_honest_shard_comes_out_the_same(repeat, honest):
    result = repeat(honest[1])
    assert (result.same, result.reason, result.games) == (True, "", 3)


def test_single_games_without_a_net_come_out_as_in_the_whole_shard(repeat, honest):
    liar = [honest[1][0], honest[1][1], replace(honest[1][2], played=changed(honest[1][2].played, 7))]
    assert repeat(liar, games=[1]).same
    result = repeat(liar, games=[2, 1, 2])
    assert (result.same, result.reason, result.games) == (False, "game 2 differs at decision 7", 2)


@pytest.mark.parametrize(
    ("lie", "reason"),
    [
        (lambda r: replace(r, played=r.played[:-2]), "game 0 differs at decision {last}"),
        (
            lambda r: replace(r, values=changed(r.values, (9, 1))),
            "game 0 has other root values at decision 9",
        ),
        (lambda r: replace(r, weights=changed(r.weights)), "game 0 has other policy targets"),
        (lambda r: replace(r, end=replace(r.end, winner=3 - r.end.winner)), "game 0 ends otherwise"),
        (lambda r: replace(r, game=8), "game 0 is not in the shard"),
        (
            lambda r: replace(r, header=GameHeader.model_validate(r.header.model_dump() | {"seed": 99})),
            "game 0 was played for another job",
        ),
    ],
    ids=["cut", "value", "target", "end", "number", "header"],
)
def test_every_kind_of_lie_is_named(honest, lie, reason):
    from ringrift.learning.repeat import _difference

    true = honest[1][0]
    lying = lie(true)
    said = _difference(true, None if lying.game != true.game else lying)
    assert f"game 0 {said}" == reason.format(last=true.decisions - 2)


def test_a_shard_that_cannot_be_read_is_a_difference(repeat, honest):
    result = repeat(shard_bytes(honest[1])[:-3])
    assert not result.same and "damaged at byte" in result.reason and result.games == 0


def test_a_file_damaged_on_this_host_is_no_fault_of_the_producer(repeat, honest, inputs):
    shard = inputs.add(shard_bytes(honest[1]))
    (inputs.folder / shard).write_bytes(b"rotten")
    with pytest.raises(CorruptData, match="SHA-256"):
        repeat(b"unused", shard=shard)


def test_games_of_another_sequence_are_a_difference(repeat, honest):
    result = repeat(honest[1], sequence=0)
    assert not result.same and result.reason == "game 0 was played for another job"


def test_what_a_repetition_needs(honest):
    fields = {"config": "hex8_2p", "origin": honest[0], "sequence": 0, "shard": "a" * 64}
    spec = RepeatSpec.model_validate(fields)
    assert required_artifacts(spec) == ["a" * 64] and sequences(spec) == range(1)
    player = honest[0].player.model_copy(update={"model": "b" * 64})
    netted = RepeatSpec.model_validate(fields | {"origin": honest[0].model_copy(update={"player": player})})
    assert required_artifacts(netted) == ["a" * 64, "b" * 64]
    assert not exact_everywhere(player)


@pytest.mark.parametrize(
    "wrong",
    [{"sequence": 2}, {"games": [3]}, {"config": "hex8_3p"}],
    ids=["sequence", "games", "config"],
)
def test_a_repetition_must_fit_its_origin(honest, wrong):
    fields = {"config": "hex8_2p", "origin": honest[0], "sequence": 0, "shard": "a" * 64}
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        RepeatSpec.model_validate(fields | wrong)


def test_single_games_of_a_net_are_not_repeated(honest):
    origin = honest[0].model_dump(mode="json")
    origin["player"]["model"] = "b" * 64
    spec = {
        "kind": "repeat",
        "config": "hex8_2p",
        "origin": origin,
        "sequence": 0,
        "shard": "a" * 64,
        "games": [0],
    }
    with pytest.raises(BadInput, match="whole shards"):
        run_job("repeat", spec, None, None, set(), print)


def test_a_shard_played_by_a_net_comes_out_the_same_on_the_same_machine(inputs, specs, tmp_path):
    path = tmp_path / "net.pth"
    torch.manual_seed(1)
    metadata = {"config": "hex8_2p", "parent": None, "dataset": None, "recipe": {}}
    save_checkpoint(path, RingRiftNet(ArchConfig(blocks=1, channels=16)), metadata)
    model = inputs.add(path.read_bytes())
    origin = specs.selfplay(player={**specs.search, "model": model}, games_per_shard=2)
    results = []

    def emit(event):
        if event["type"] == "result":
            results.append(parse_result(event["payload"]))

    run_job("selfplay", origin.model_dump(mode="json"), inputs.folder, tmp_path, set(), emit)
    shard = inputs.add((tmp_path / f"{results[0].shard}.shard").read_bytes())
    spec = RepeatSpec(config="hex8_2p", origin=origin, sequence=0, shard=shard)
    run_job("repeat", spec.model_dump(mode="json"), inputs.folder, tmp_path, set(), emit)
    assert results[1].same, results[1].reason
    assert results[1].games == 2
