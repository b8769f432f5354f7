"""The job runner: typed results, units that are skipped when done, the same units after a kill."""

from __future__ import annotations

import hashlib

import pytest
import torch

from ringrift.errors import BadInput, CorruptData, NotFound
from ringrift.game.config import GameConfig
from ringrift.golden import measure
from ringrift.learning import jobs
from ringrift.learning.jobs import run_job
from ringrift.learning.shards import read_shard
from ringrift.nets.checkpoint import save_checkpoint
from ringrift.nets.network import ArchConfig, RingRiftNet
from ringrift.protocol.jobs import parse_result

SEARCH = {"kind": "gumbel", "simulations": 2, "considered": 2}


@pytest.fixture
def work(inputs, tmp_path):
    """Run a job; return its results by sequence, as (payload, artifact bytes)."""

    def run(kind, spec, done=(), outputs="outputs"):
        folder, found = tmp_path / outputs, {}

        def emit(event):
            if event["type"] == "result":
                files = [(folder / name).read_bytes() for name in event["artifacts"]]
                found[event["sequence"]] = (parse_result(event["payload"]), files)

        run_job(kind, spec, inputs.folder, folder, set(done), emit)
        return found

    return run


def selfplay(**changes):
    fields = {"config": "hex8_2p", "player": SEARCH, "shards": 3, "games_per_shard": 2, "seed": 1}
    return {"kind": "selfplay", **fields, **changes}


def evaluate(**changes):
    fields = {
        "config": "hex8_2p",
        "evaluation": "e" * 64,
        "candidate": SEARCH,
        "opponent": {"kind": "random"},
        "first_block": 2,
        "blocks": 3,
        "seed": 1,
    }
    return {"kind": "evaluate", **fields, **changes}


def test_selfplay_gives_one_shard_per_sequence(work):
    found = work("selfplay", selfplay())
    assert sorted(found) == [0, 1, 2]
    for result, (shard,) in found.values():
        assert result.shard == hashlib.sha256(shard).hexdigest()
        assert len(result.games) == 2


def test_evaluation_gives_one_block_per_sequence(work):
    found = work("evaluate", evaluate())
    assert sorted(found) == [2, 3, 4]
    for number, (result, (shard,)) in found.items():
        assert result.block == number
        assert result.candidate_seats == [1, 2]
        assert result.shard == hashlib.sha256(shard).hexdigest()


@pytest.mark.parametrize(("kind", "spec"), [("selfplay", selfplay()), ("evaluate", evaluate())])
def test_units_that_are_done_are_skipped_and_the_others_are_the_same_bytes(work, kind, spec):
    whole = work(kind, spec)
    first, second, third = sorted(whole)
    rest = work(kind, spec, done={first, third}, outputs="again")
    assert list(rest) == [second]
    assert rest[second][1] == whole[second][1]


def test_a_job_killed_between_two_units_ends_the_same_after_a_restart(inputs, tmp_path, work):
    whole = work("selfplay", selfplay(), outputs="whole")

    class Killed(Exception):
        pass

    reported = []

    def emit(event):
        if event["type"] == "result":
            if len(reported) == 1:
                raise Killed
            reported.append(event["sequence"])

    with pytest.raises(Killed):
        run_job("selfplay", selfplay(), inputs.folder, tmp_path / "killed", set(), emit)
    rest = work("selfplay", selfplay(), done=reported, outputs="killed")
    assert {sequence: files for sequence, (_, files) in rest.items()} == {
        sequence: whole[sequence][1] for sequence in (1, 2)
    }


def test_a_job_with_nothing_left_to_do_emits_nothing(work):
    assert work("selfplay", selfplay(), done={0, 1, 2}) == {}


def test_the_whole_chain_from_games_to_an_evaluated_checkpoint(work, inputs, specs):
    shards = [inputs.add(files[0]) for _, files in work("selfplay", selfplay()).values()]
    for shard in shards:
        ((verdict, _),) = work("ingest", {"kind": "ingest", "config": "hex8_2p", "shard": shard}).values()
        assert verdict.sound
    ((trained, (checkpoint,)),) = work(
        "train", specs.train("hex8_2p", shards).model_dump(mode="json")
    ).values()
    model = inputs.add(checkpoint)
    assert model == trained.model
    candidate = SEARCH | {"model": model}
    ((block, (shard,)),) = work("evaluate", evaluate(candidate=candidate, blocks=1)).values()
    assert block.games and read_shard(inputs.folder / inputs.add(shard))
    ((result, _),) = work("selfplay", selfplay(player=candidate, shards=1, games_per_shard=1)).values()
    assert result.games


def test_no_job_plays_with_a_net_that_does_not_say_what_it_said_after_its_training(inputs, tmp_path, work):
    torch.manual_seed(1)
    net, other = (RingRiftNet(ArchConfig(blocks=1, channels=8)) for _ in range(2))
    vectors = measure(other, GameConfig("hex8", 2)).document()
    metadata = {"config": "hex8_2p", "parent": None, "dataset": None, "recipe": {}, "golden": vectors}
    model = save_checkpoint(tmp_path / "model", net, metadata)
    (tmp_path / "model").rename(inputs.folder / model)
    candidate = SEARCH | {"model": model}
    for kind, spec in (("evaluate", evaluate(candidate=candidate)), ("selfplay", selfplay(player=candidate))):
        with pytest.raises(CorruptData, match="does not say what its golden vectors say"):
            work(kind, spec)


def test_progress_is_told_between_results_and_never_falls(inputs, tmp_path, monkeypatch):
    monkeypatch.setattr(jobs, "REPORT_SECONDS", 0.0)
    events = []
    run_job("selfplay", selfplay(), inputs.folder, tmp_path / "o", set(), events.append)
    told = [event["done"] for event in events if event["type"] == "progress"]
    assert told == sorted(told) and told[-1] == 6.0
    assert all(event["total"] == 6 and event["unit"] == "games" for event in events if "total" in event)


def test_progress_of_a_resumed_job_counts_what_was_done_before(inputs, tmp_path, monkeypatch):
    monkeypatch.setattr(jobs, "REPORT_SECONDS", 0.0)
    events = []
    run_job("selfplay", selfplay(), inputs.folder, tmp_path / "o", {0, 1}, events.append)
    told = [event["done"] for event in events if event["type"] == "progress"]
    assert 4.0 <= told[0] < 5.0 and told[-1] == 6.0


def test_progress_is_told_at_most_once_per_interval(inputs, tmp_path, monkeypatch):
    monkeypatch.setattr(jobs, "REPORT_SECONDS", 1e9)
    events = []
    run_job("selfplay", selfplay(), inputs.folder, tmp_path / "o", set(), events.append)
    assert [event["type"] for event in events] == ["result"] * 3


@pytest.mark.parametrize(
    ("kind", "spec", "said"),
    [
        ("selfplay", {"kind": "selfplay"}, "Field required"),
        ("selfplay", selfplay(config="hex9_2p"), "hex9_2p"),
        ("selfplay", selfplay(surprise=1), "surprise"),
        ("train", selfplay(), "came with a job of kind 'train'"),
        ("dance", selfplay(), "dance"),
        ("selfplay", selfplay(full_share=0.5), "cheap_simulations"),
        ("selfplay", selfplay(player={"kind": "policy"}), "needs a model"),
    ],
)
def test_a_specification_that_is_none_is_refused_in_one_line(work, kind, spec, said):
    with pytest.raises(Exception, match=said) as caught:
        work(kind, spec)
    assert "\n" not in caught.value.line()


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("selfplay", selfplay(player=SEARCH | {"model": "a" * 64})),
        ("evaluate", evaluate(candidate=SEARCH | {"model": "a" * 64})),
        ("ingest", {"kind": "ingest", "config": "hex8_2p", "shard": "a" * 64}),
    ],
)
def test_an_absent_input_is_not_found_and_nothing_is_made(work, tmp_path, kind, spec):
    with pytest.raises(NotFound):
        work(kind, spec)
    assert not list((tmp_path / "outputs").iterdir())


@pytest.mark.parametrize("text", ["0", "many", "-1", "1.5"])
def test_a_thread_count_that_is_none_is_refused(monkeypatch, text):
    monkeypatch.setenv(jobs.THREADS_VARIABLE, text)
    with pytest.raises(BadInput):
        jobs.set_torch_threads()
