"""Data sets: statistics that guard training, a stable holdout, and batches of what was really played."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ringrift.errors import CorruptData, NotFound, Refused
from ringrift.game.config import GameConfig
from ringrift.game.moves import SWAP_SIDES, move_to, move_type
from ringrift.game.state import new_positions
from ringrift.learning import dataset
from ringrift.learning.dataset import (
    Game,
    batches,
    check_statistics,
    load_games,
    replay_positions,
    split_holdout,
    statistics,
)
from ringrift.learning.records import FULL, GameEnd, RecordBuilder
from ringrift.learning.replay import Board, replay
from ringrift.learning.seeds import derive
from ringrift.learning.shards import read_shard, shard_bytes
from ringrift.nets.targets import dense_targets

HEX8 = GameConfig("hex8", 2)


@pytest.fixture(scope="module")
def games(played) -> list[Game]:
    folder, sha = played
    return load_games(HEX8, [sha], folder)


@pytest.fixture(scope="module")
def positions(games):
    return replay_positions(games, Board(HEX8))


def test_statistics_count_what_is_there(games):
    found = statistics(games)
    assert found.games == 16 == sum(found.wins.values())
    assert found.positions == sum(int((game.record.kinds == FULL).sum()) for game in games)
    assert found.soft_target_share == pytest.approx(found.positions / found.decisions)
    check_statistics(found)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"games": 1}, "at least 2"),
        ({"positions": 0}, "soft-target share 0"),
        ({"games": 40, "wins": {1: 40}}, "seat 1 won 40 of 40"),
    ],
)
def test_data_not_worth_training_on_is_refused_with_the_reason(games, change, said):
    with pytest.raises(Refused, match=said):
        check_statistics(dataclasses.replace(statistics(games), **change))


def test_a_game_that_is_in_two_shards_is_refused(played, inputs):
    folder, sha = played
    records = read_shard(folder / sha)
    first, second = inputs.add(shard_bytes(records[:3])), inputs.add(shard_bytes(records[2:5]))
    with pytest.raises(CorruptData, match="in the data set twice"):
        load_games(HEX8, [first, second], inputs.folder)


def test_a_game_of_another_config_is_refused(played):
    folder, sha = played
    with pytest.raises(CorruptData, match="of hex8_2p, not hex8_3p"):
        load_games(GameConfig("hex8", 3), [sha], folder)


def test_an_absent_shard_is_not_found(tmp_path):
    with pytest.raises(NotFound):
        load_games(HEX8, ["a" * 64], tmp_path)


def test_the_holdout_has_about_the_wished_share_and_nothing_in_common_with_the_rest(games):
    held = [split_holdout(games, share)[1] for share in (0.1, 0.3, 0.49)]
    assert [len(part) for part in held] == sorted(len(part) for part in held)
    training, held_out = split_holdout(games, 0.3)
    assert {game.id for game in training} | {game.id for game in held_out} == {game.id for game in games}
    assert not {game.id for game in training} & {game.id for game in held_out}


def test_a_held_out_game_stays_held_out_when_games_are_added(games):
    _, few = split_holdout(games[::2], 0.4)
    _, all_of_them = split_holdout(games, 0.4)
    assert {game.id for game in few} <= {game.id for game in all_of_them}


def test_both_sides_of_the_holdout_have_a_game_whatever_the_share(games):
    for share in (1e-9, 0.499):
        training, held = split_holdout(games[:2], share)
        assert len(training) == len(held) == 1


def test_positions_are_the_searched_decisions_with_their_legal_moves(games, positions):
    decisions = [
        (decision.states[0].copy(), decision.legal.copy())
        for decision in replay(games[0].record)
        if games[0].record.kinds[decision.index] == FULL
    ]
    for at, (state, legal) in enumerate(decisions):
        assert positions.states[at] == state
        assert (positions.moves[positions.offsets[at] : positions.offsets[at + 1]] == legal).all()


def test_the_part_of_a_target_that_was_not_kept_is_spread_over_the_other_moves():
    offsets, starts = np.array([0, 5, 8]), np.array([0, 2, 3])
    ranks, weights = np.array([1, 4], np.uint16), np.array([102, 51], np.uint8)
    policy = np.zeros(8, np.float32)
    dense_targets(offsets, starts, np.append(ranks, ranks[:1]), np.append(weights, weights[:1]), 255, policy)
    assert policy[:5] == pytest.approx([2 / 15, 0.4, 2 / 15, 2 / 15, 0.2])
    assert policy[5:] == pytest.approx([0.3, 0.4, 0.3])


def test_policy_targets_sum_to_one(positions):
    sums = np.add.reduceat(positions.policy, positions.offsets[:-1])
    assert sums == pytest.approx(np.ones(len(sums)), abs=1e-5)


def play_random_game(header, seed: int, swap: bool) -> Game:
    """A game of random moves, all with a target; `swap` tells whether seat 2 uses the pie rule."""
    board, states, builder = Board(HEX8), new_positions(1), RecordBuilder(2)
    board.start(states, 0, swap=True)
    while len(legal := board.decision(states, 0)):
        ranks = np.flatnonzero([(move_type(int(move)) == SWAP_SIDES) == swap for move in legal])
        open_to_choice = ranks if len(ranks) else np.arange(len(legal))
        rank = int(open_to_choice[derive(seed, builder.decisions) % len(open_to_choice)])
        builder.add(rank, FULL, None, (np.array([0]), np.array([1.0], np.float32)))
        board.play(states, 0, int(legal[rank]))
    record = builder.finish(header("hex8_2p"), seed, board.end(states, 0))
    return Game(record.id, record)


def test_the_canonical_order_is_by_destination_then_by_packed_value(games):
    for decision in replay(games[0].record):
        moves = decision.legal.tolist()
        assert moves == sorted(moves, key=lambda move: (int(move_to(move)), move))


def test_a_record_still_means_the_game_that_it_meant(header):
    record = play_random_game(header, 0, swap=False).record
    end = GameEnd(winner=1, plies=150, checksum=74582838)
    assert (record.decisions, record.end) == (71, end), "old records mean other games: raise `rules`"
    assert record.id[:16] == "107fadafcf5eac7e", "ids changed: raise the version of the format"


def target_seats(found) -> np.ndarray:
    """The seats that the value targets name."""
    return (found.states["player"] - 1 + found.winner) % 2 + 1


@pytest.mark.parametrize("seed", range(4))
def test_the_winner_is_told_as_turns_after_the_mover(header, seed):
    game = play_random_game(header, seed, swap=False)
    found = replay_positions([game], Board(HEX8))
    assert (found.states["swapped"] == 0).all()
    assert (target_seats(found) == game.record.end.winner).all()


@pytest.mark.parametrize("seed", range(4))
def test_before_a_swap_the_winner_is_the_player_and_not_the_colour(header, seed):
    game = play_random_game(header, seed, swap=True)
    found = replay_positions([game], Board(HEX8))
    before = found.states["swapped"] == 0
    assert 0 < before.sum() < len(before)
    assert (target_seats(found)[before] == 3 - game.record.end.winner).all()
    assert (target_seats(found)[~before] == game.record.end.winner).all()


def test_taking_positions_takes_their_moves_and_targets_along(positions):
    chosen = np.array([7, 2, 2])
    part = positions.take(chosen)
    for k, at in enumerate(chosen):
        own, all_of_them = slice(*part.offsets[k : k + 2]), slice(*positions.offsets[at : at + 2])
        assert (part.moves[own] == positions.moves[all_of_them]).all()
        assert (part.policy[own] == positions.policy[all_of_them]).all()
    assert (part.winner == positions.winner[chosen]).all()
    assert (part.nodes == chosen).all()


def seen(batch) -> list[bytes]:
    """Positions as comparable keys (the record's padding is undefined)."""
    states = batch.states[batch.nodes]
    return [b"".join(state[name].tobytes() for name in state.dtype.names) for state in states]


def test_one_pass_of_batches_shows_every_position_once(games, positions):
    size = 50
    stream = batches(games, Board(HEX8), size, seed=1)
    whole = len(positions) // size
    shown = [state for _ in range(whole) for state in seen(next(stream))]
    expected = sorted(seen(positions))
    assert len(shown) == whole * size
    remaining = list(expected)
    for state in shown:
        remaining.remove(state)


def test_equal_seeds_give_equal_batches_and_others_do_not(games):
    first, again, other = (next(batches(games, Board(HEX8), 20, seed)) for seed in (1, 1, 2))
    assert seen(first) == seen(again) != seen(other)


def test_a_data_set_larger_than_the_pool_is_shown_pool_by_pool(games, monkeypatch):
    monkeypatch.setattr(dataset, "POOL_POSITIONS", 150)
    stream = batches(games, Board(HEX8), 40, seed=1)
    batch_states = [state for _ in range(12) for state in seen(next(stream))]
    assert len(set(batch_states)) > 300


def test_a_data_set_smaller_than_a_batch_is_one_batch(games):
    batch = next(batches(games[:1], Board(HEX8), 100_000, seed=1))
    assert len(batch) == games[0].positions
