"""Training: it learns, it begins where it is told, and it stops rather than hand out a bad net."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from ringrift.errors import BadInput, CorruptData, IncompatibleModel, NotFound, Refused
from ringrift.game.config import GameConfig
from ringrift.game.moves import move_count, move_type
from ringrift.game.state import new_positions
from ringrift.golden import measure
from ringrift.learning import train as training
from ringrift.learning.dataset import load_games, replay_positions
from ringrift.learning.losses import Scores, losses, score
from ringrift.learning.optimise import (
    COLLAPSE_AFTER,
    FINAL_RATE,
    RunningLoss,
    descend,
    make_optimizer,
    rate_factor,
)
from ringrift.learning.records import FULL, GameRecord, RecordBuilder
from ringrift.learning.replay import Board
from ringrift.learning.seeds import derive
from ringrift.learning.shards import read_shard, shard_bytes
from ringrift.learning.train import train
from ringrift.nets.checkpoint import load_checkpoint
from ringrift.nets.features import Encoder
from ringrift.nets.network import ArchConfig, RingRiftNet

HEX8 = GameConfig("hex8", 2)
CPU = torch.device("cpu")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def positions(played):
    folder, sha = played
    return replay_positions(load_games(HEX8, [sha], folder), Board(HEX8))


@pytest.fixture
def run(played, specs, tmp_path):
    """Train on the played shard; keyword arguments change the specification."""
    folder, sha = played

    def go(report=specs.quiet, inputs=folder, **changes):
        return train(specs.train("hex8_2p", [sha], **changes), inputs, tmp_path, report)

    return go


def fresh_net(seed: int = 0) -> RingRiftNet:
    torch.manual_seed(seed)
    return RingRiftNet(ArchConfig(blocks=1, channels=8))


def biased_game(header, seed: int) -> GameRecord:
    """Random moves, whose targets follow a plan: the highest type of move, then the most rings placed."""
    board, states, builder = Board(HEX8), new_positions(1), RecordBuilder(2)
    board.start(states, 0, swap=True)
    while len(legal := board.decision(states, 0)):
        rank = [(move_type(int(move)), move_count(int(move))) for move in legal]
        planned = [at for at, kind in enumerate(rank) if kind == max(rank)]
        chosen = planned[derive(seed, builder.decisions, "target") % len(planned)]
        move = derive(seed, builder.decisions) % len(legal)
        builder.add(move, FULL, None, (np.array([chosen]), np.array([1.0], np.float32)))
        board.play(states, 0, int(legal[move]))
    return builder.finish(header("hex8_2p"), seed, board.end(states, 0))


def test_training_lowers_the_loss_on_held_out_games(inputs, specs, header, tmp_path):
    sha = inputs.add(shard_bytes([biased_game(header, seed) for seed in range(40)]))
    recipe = {"batch_size": 64, "learning_rate": 5e-3, "holdout_share": 0.3, "value_weight": 0.1}

    def run(**changes):
        spec = specs.train("hex8_2p", [sha], recipe=recipe | changes)
        return train(spec, inputs.folder, tmp_path, specs.quiet).result

    trained, untrained = run(steps=120), run(steps=1, learning_rate=1e-9)
    assert trained.holdout_loss < untrained.holdout_loss - 0.5
    assert trained.train_loss < untrained.train_loss - 0.3
    assert trained.parent_holdout_loss is None


def test_the_checkpoint_is_named_by_its_hash_loads_and_tells_its_descent(run, played):
    trained = run()
    net, metadata = load_checkpoint(trained.path, trained.result.model, "hex8_2p")
    assert trained.path.name == f"{trained.result.model}.pth"
    assert (net.arch.blocks, net.arch.channels) == (1, 8)
    assert metadata["parent"] is None
    assert metadata["dataset"] == trained.result.dataset
    assert metadata["recipe"]["steps"] == 2
    assert metadata["golden"] == trained.result.golden.model_dump() == measure(net, HEX8).document()


def test_a_training_tells_how_far_onnxruntime_is_from_torch(run):
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    assert 0 <= run().result.onnx_difference < 0.0002


def test_the_same_run_gives_the_same_checkpoint(run):
    assert run().result.model == run().result.model


def test_another_seed_gives_another_checkpoint(run):
    assert run().result.model != run(seed=6).result.model


def test_a_child_starts_from_its_parents_weights(run, tmp_path, played):
    parent = run(recipe={"steps": 40})
    folder = with_parent(played, parent, tmp_path)
    child = run(inputs=folder, parent=parent.result.model, recipe={"steps": 1, "learning_rate": 1e-9})
    assert child.result.parent_holdout_loss == pytest.approx(parent.result.holdout_loss, rel=1e-5)
    assert child.result.holdout_loss == pytest.approx(parent.result.holdout_loss, rel=1e-3)
    assert load_checkpoint(child.path, child.result.model, "hex8_2p")[1]["parent"] == parent.result.model


def with_parent(played, parent, tmp_path):
    folder = tmp_path / "with-parent"
    folder.mkdir()
    (folder / played[1]).symlink_to(played[0] / played[1])
    (folder / parent.result.model).symlink_to(parent.path)
    return folder


def test_an_absent_parent_is_an_error_and_never_a_start_from_scratch(run, tmp_path):
    with pytest.raises(NotFound):
        run(parent="a" * 64)
    assert list(tmp_path.iterdir()) == []


def test_a_parent_with_other_bytes_than_its_name_is_refused(run, tmp_path, played):
    parent = run()
    folder = with_parent(played, parent, tmp_path)
    parent.path.write_bytes(parent.path.read_bytes() + b"\0")
    with pytest.raises(CorruptData):
        run(inputs=folder, parent=parent.result.model)


def test_a_parent_of_another_shape_is_refused(run, tmp_path, played):
    parent = run()
    folder = with_parent(played, parent, tmp_path)
    with pytest.raises(IncompatibleModel, match="1 blocks of 8 channels, the job wants 2 of 8"):
        run(inputs=folder, parent=parent.result.model, architecture={"blocks": 2, "channels": 8})


def test_a_data_set_whose_name_is_not_of_its_shards_is_refused(run):
    with pytest.raises(BadInput, match="not those of the named data set"):
        run(dataset="b" * 64)


def test_a_damaged_shard_is_refused(inputs, specs, tmp_path, played):
    whole = (played[0] / played[1]).read_bytes()
    sha = inputs.add(whole[:-100])
    with pytest.raises(CorruptData, match=r"cut off|damaged"):
        train(specs.train("hex8_2p", [sha]), inputs.folder, tmp_path, specs.quiet)


def test_a_shard_of_another_config_is_refused(inputs, specs, tmp_path, played):
    sha = inputs.add((played[0] / played[1]).read_bytes())
    with pytest.raises(CorruptData, match="of hex8_2p, not square8_2p"):
        train(specs.train("square8_2p", [sha]), inputs.folder, tmp_path, specs.quiet)


def test_a_record_that_breaks_the_rules_stops_training(inputs, specs, tmp_path, played):
    records = read_shard(played[0] / played[1])
    played = records[0].played.copy()
    played[10] = 60_000
    sha = inputs.add(shard_bytes([dataclasses.replace(records[0], played=played), *records[1:]]))
    with pytest.raises(CorruptData, match="not legal"):
        train(specs.train("hex8_2p", [sha]), inputs.folder, tmp_path, specs.quiet)


def test_games_without_search_targets_are_refused(inputs, specs, tmp_path):
    sha = inputs.add_games(specs.selfplay(player=specs.search, full_share=0.0, cheap_simulations=1))
    with pytest.raises(Refused, match="soft-target share 0"):
        train(specs.train("hex8_2p", [sha]), inputs.folder, tmp_path, specs.quiet)


def test_targets_in_held_out_games_alone_are_refused(inputs, specs, tmp_path, played, monkeypatch):
    bare = specs.selfplay(player=specs.search, full_share=0.0, cheap_simulations=1)
    shards = sorted([inputs.add_games(bare), inputs.add((played[0] / played[1]).read_bytes())])

    def all_targets_held(games, share):
        return [game for game in games if not game.positions], [game for game in games if game.positions]

    monkeypatch.setattr(training, "split_holdout", all_targets_held)
    with pytest.raises(Refused, match="outside of the holdout"):
        train(specs.train("hex8_2p", shards), inputs.folder, tmp_path, specs.quiet)


def test_a_run_beyond_its_time_limit_fails_and_leaves_no_checkpoint(run, tmp_path):
    with pytest.raises(Refused, match="passed its limit"):
        run(recipe={"steps": 1000, "max_seconds": 1e-3})
    assert list(tmp_path.iterdir()) == []


def test_progress_counts_every_step(run):
    told = []
    run(report=told.append, recipe={"steps": 5})
    assert told == [1, 2, 3, 4, 5]


def test_a_net_worse_than_its_parent_on_held_out_games_is_refused(run, tmp_path, played, monkeypatch):
    parent = run(recipe={"steps": 40})
    folder = with_parent(played, parent, tmp_path)
    scores = iter([Scores(2.0, 0.5, 0.7), Scores(2.2, 0.5, 0.7)])
    monkeypatch.setattr(training, "score", lambda *_: next(scores))
    with pytest.raises(Refused, match=r"held-out loss 2.700, the parent has 2.500"):
        run(inputs=folder, parent=parent.result.model)


@pytest.mark.parametrize("bad", [math.nan, 50.0])
def test_a_net_that_knows_less_than_nothing_is_refused(run, monkeypatch, bad):
    monkeypatch.setattr(training, "score", lambda *_: Scores(bad, 0.7, 0.5))
    with pytest.raises(Refused, match="collapsed"):
        run()


def test_a_run_that_climbs_is_stopped_and_gives_no_checkpoint(run, tmp_path, monkeypatch):
    def climb(net, optimizer, loss, limit):
        return descend(net, optimizer, -loss, limit)

    monkeypatch.setattr(training, "descend", climb)
    with pytest.raises(Refused, match=r"collapsed by step \d+|diverged"):
        run(recipe={"steps": 200, "learning_rate": 1e-2})
    assert list(tmp_path.iterdir()) == []


def gradient_norm(net) -> float:
    return math.sqrt(sum(float((p.grad**2).sum()) for p in net.parameters() if p.grad is not None))


def test_a_step_uses_the_gradient_cut_to_the_limit(positions):
    net = fresh_net()
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    loss = losses(net, Encoder("hex8"), positions.take(np.arange(32)), CPU).policy * 1000
    norm = descend(net, torch.optim.SGD(net.parameters(), lr=1.0), loss, limit=0.5)
    assert norm > 5
    assert gradient_norm(net) == pytest.approx(0.5, rel=1e-4)
    moved = math.sqrt(
        sum(float(((p.detach() - before[name]) ** 2).sum()) for name, p in net.named_parameters())
    )
    assert moved == pytest.approx(0.5, rel=1e-3)


def test_a_gradient_below_the_limit_is_left_alone(positions):
    net = fresh_net()
    loss = losses(net, Encoder("hex8"), positions.take(np.arange(32)), CPU).value
    norm = descend(net, torch.optim.SGD(net.parameters(), lr=0.1), loss, limit=1e6)
    assert gradient_norm(net) == pytest.approx(norm, rel=1e-5)


def test_a_gradient_that_is_not_finite_changes_nothing(positions):
    net = fresh_net()
    before = [p.detach().clone() for p in net.parameters()]
    loss = losses(net, Encoder("hex8"), positions.take(np.arange(8)), CPU).value * math.inf
    with pytest.raises(Refused, match="not finite"):
        descend(net, torch.optim.SGD(net.parameters(), lr=1.0), loss, limit=1.0)
    assert all(torch.equal(p, old) for p, old in zip(net.parameters(), before, strict=True))


def test_weight_decay_leaves_vectors_alone():
    matrices, vectors = make_optimizer(fresh_net(), 1e-3, 0.1).param_groups
    assert matrices["weight_decay"] == 0.1 and all(p.ndim >= 2 for p in matrices["params"])
    assert vectors["weight_decay"] == 0.0 and all(p.ndim < 2 for p in vectors["params"])


def test_the_learning_rate_rises_and_then_falls_to_its_end():
    factors = [rate_factor(step, 100) for step in range(100)]
    assert factors[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert factors[5:] == sorted(factors[5:], reverse=True)
    assert factors[-1] == pytest.approx(FINAL_RATE, abs=0.01)


def test_the_watch_forgives_a_bad_start_but_no_collapse():
    watch = RunningLoss()
    for _ in range(COLLAPSE_AFTER):
        watch.add(10.0, 3.0)
    with pytest.raises(Refused, match="collapsed by step 51"):
        watch.add(10.0, 3.0)


def test_the_watch_stops_at_the_first_loss_that_is_not_finite():
    watch = RunningLoss()
    watch.add(3.0, 3.0)
    with pytest.raises(Refused, match="step 2"):
        watch.add(math.inf, 3.0)


def test_scores_do_not_depend_on_the_batch_size(positions):
    part = positions.take(np.arange(50))
    small, large = (score(fresh_net(), Encoder("hex8"), part, size, CPU) for size in (7, 50))
    assert small.policy == pytest.approx(large.policy, rel=1e-5)
    assert small.value == pytest.approx(large.value, rel=1e-5)
    assert small.accuracy == pytest.approx(large.accuracy)
