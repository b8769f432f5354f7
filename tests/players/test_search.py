"""The tree search: legal, deterministic, independent of the batch, and right where the answer is known."""

from __future__ import annotations

import time

import numpy as np
import pytest

from ringrift.game import phases
from ringrift.game.config import ALL_CONFIGS, GameConfig
from ringrift.game.legal import legal_moves
from ringrift.game.moves import SWAP_SIDES, move_from, move_to, move_type
from ringrift.players.base import Deadline, PlayerSpec, build_player

HEX = GameConfig("hex8", 2)
SEARCHING = [
    PlayerSpec("gumbel", simulations=16, considered=8),
    PlayerSpec("mcts", simulations=16),
    PlayerSpec("minimax", simulations=60),
]


def seeds(count, first=1):
    return np.arange(first, first + count, dtype=np.uint64)


def legal(player, states, i):
    out = np.zeros(player.geo.max_moves, np.int64)
    return set(out[: legal_moves(player.geo, states, i, player.scratch, out)].tolist())


def check_result(player, states, result):
    players = player.config.players
    assert result.values.dtype == np.float32
    np.testing.assert_allclose(result.values.sum(1), 1, atol=1e-5)
    assert (result.values[:, players:] == 0).all()
    for i, (moves, shares) in enumerate(result.policy):
        assert int(result.moves[i]) in legal(player, states, i)
        assert set(moves.tolist()) == legal(player, states, i)
        assert shares.dtype == np.float32
        assert (shares >= 0).all()
        assert shares.sum() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("spec", SEARCHING, ids=lambda spec: spec.kind)
@pytest.mark.parametrize("config", ALL_CONFIGS, ids=lambda config: config.key)
def test_every_config_gets_legal_moves_a_value_per_seat_and_a_policy(config, spec, positions):
    states = positions(config, 3, 40)
    before = states.copy()
    player = build_player(spec, config)
    check_result(player, states, player.search(states, seeds(3)))
    assert (states == before).all()


@pytest.mark.parametrize("spec", SEARCHING, ids=lambda spec: spec.kind)
def test_the_same_position_and_seed_give_the_same_answer(spec, positions):
    states = positions(HEX, 6, 60)
    first = build_player(spec, HEX).search(states, seeds(6))
    again = build_player(spec, HEX).search(states, seeds(6))
    assert (first.moves == again.moves).all()
    assert (first.values == again.values).all()


@pytest.mark.parametrize("spec", SEARCHING, ids=lambda spec: spec.kind)
def test_an_answer_does_not_depend_on_the_batch_around_it(spec, positions):
    states = positions(HEX, 9, 60)
    player = build_player(spec, HEX)
    together = player.search(states, seeds(9))
    for i in range(9):
        alone = player.search(states[i : i + 1], seeds(1, i + 1))
        assert alone.moves[0] == together.moves[i]
        assert (alone.values[0] == together.values[i]).all()
        assert (alone.policy[0][1] == together.policy[i][1]).all()


def test_gumbel_noise_makes_seeds_differ_and_no_noise_makes_them_agree(positions):
    states = np.repeat(positions(HEX, 1, 0), 12)
    noisy = build_player(PlayerSpec("gumbel", simulations=4, considered=4), HEX)
    quiet = build_player(PlayerSpec("gumbel", simulations=4, considered=4, noise=0.0), HEX)
    assert len(set(noisy.choose(states, seeds(12)).tolist())) > 3
    assert len(set(quiet.choose(states, seeds(12)).tolist())) == 1


def test_budgets_may_differ_within_a_batch_without_changing_each_other(positions):
    states = positions(HEX, 4, 40)
    player = build_player(PlayerSpec("gumbel", simulations=32, considered=8), HEX)
    budgets = np.array([32, 4, 16, 2])
    mixed = player.search(states, seeds(4), simulations=budgets)
    for i, budget in enumerate(budgets):
        alone = player.search(states[i : i + 1], seeds(1, i + 1), simulations=np.array([budget]))
        assert alone.moves[0] == mixed.moves[i]
        assert (alone.values[0] == mixed.values[i]).all()


def test_more_games_than_the_memory_holds_are_searched_in_groups(positions, monkeypatch):
    states = positions(HEX, 7, 40)
    player = build_player(PlayerSpec("gumbel", simulations=8, considered=4), HEX)
    whole = player.search(states, seeds(7))
    monkeypatch.setattr("ringrift.players.search.player.NODES", 20)
    grouped = build_player(player.spec, HEX).search(states, seeds(7))
    assert (whole.moves == grouped.moves).all()
    assert (whole.values == grouped.values).all()


@pytest.mark.parametrize("spec", SEARCHING, ids=lambda spec: spec.kind)
def test_a_deadline_in_the_past_still_gives_a_legal_move(spec, positions):
    states = positions(HEX, 2, 40)
    player = build_player(PlayerSpec(spec.kind, simulations=50_000), HEX)
    check_result(player, states, player.search(states, seeds(2), deadline=Deadline(time.monotonic() - 1)))


def one_ring_from_victory(position, seat=1, config="square8_2p"):
    """Everybody lacks one eliminated ring; `seat` gets it by (1, 1) onto the marker at (3, 1) alone."""
    parsed = GameConfig.parse(config)
    other = seat % parsed.players + 1
    return position(
        config,
        stacks={(1, 1): [seat, seat], (6, 6): [other], (0, 7): [seat], (7, 0): [other]},
        markers={(3, 1): other},
        player=seat,
        eliminated=[parsed.ring_threshold - 1] * parsed.players,
    )


@pytest.mark.parametrize("spec", [*SEARCHING, PlayerSpec("heuristic")], ids=lambda spec: spec.kind)
@pytest.mark.parametrize(("config", "seat"), [("square8_2p", 1), ("square8_2p", 2), ("square8_3p", 3)])
def test_the_winning_elimination_is_played(spec, config, seat, position):
    game = one_ring_from_victory(position, seat, config)
    assert sum(wins_at_once(game, move) for move in game.legal()) == 1
    result = build_player(spec, game.config).search(game.states, seeds(1))
    assert wins_at_once(game, result.moves[0])


def test_a_found_win_dominates_the_improved_policy_and_the_value(position):
    game = one_ring_from_victory(position)
    player = build_player(PlayerSpec("gumbel", simulations=64, considered=16, noise=0.0), game.config)
    result = player.search(game.states, seeds(1))
    moves, shares = result.policy[0]
    best = int(moves[shares.argmax()])
    assert (int(move_from(best)), int(move_to(best))) == (9, 11)
    assert shares.max() > 0.9
    assert result.values[0, 0] > 0.9


def wins_at_once(game, move):
    """True when the mover has won after `move` and the forced plies behind it."""
    seat, after = game.player, game.copy()
    after.apply(move)
    while not after.over and len(after.legal()) == 1:
        after.apply(after.legal()[0])
    return after.over and after.winner == seat


@pytest.mark.parametrize("spec", [*SEARCHING, PlayerSpec("heuristic")], ids=lambda spec: spec.kind)
def test_seats_are_swapped_when_the_other_one_is_far_better(spec, position):
    game = position("square8_2p", stacks={(3, 3): [1, 1]}, hand=10, player=2, phase=phases.PLACEMENT)
    state = game.states[0]
    state["eliminated"][1], state["last_actor"], state["moved"] = 16, 1, 1 << 1
    assert SWAP_SIDES in [int(move_type(move)) for move in game.legal()]
    player = build_player(PlayerSpec(spec.kind, simulations=spec.simulations * 8), game.config)
    result = player.search(game.states, seeds(1))
    assert move_type(int(result.moves[0])) == SWAP_SIDES


def test_the_value_before_a_swap_belongs_to_who_sits_there_now(position):
    game = position("square8_2p", stacks={(3, 3): [1, 1]}, hand=10, player=2, phase=phases.PLACEMENT)
    state = game.states[0]
    state["eliminated"][1], state["last_actor"], state["moved"] = 16, 1, 1 << 1
    player = build_player(PlayerSpec("gumbel", simulations=64, considered=32, noise=0.0), game.config)
    with_swap = player.search(game.states, seeds(1)).values[0]
    game.states[0]["swap_rule"] = 0
    without = player.search(game.states, seeds(1)).values[0]
    assert with_swap[1] > 0.6
    assert without[1] < 0.4


def test_a_forced_move_is_answered_without_a_simulation(position):
    game = position("square8_2p", stacks={(0, 0): [1], (5, 5): [2]}, phase=phases.LINES)
    assert len(game.legal()) == 1
    player = build_player(PlayerSpec("gumbel", simulations=50), game.config)
    result = player.search(game.states, seeds(1))
    assert result.moves.tolist() == game.legal().tolist()
    assert result.policy[0][1].tolist() == [1]


def test_no_games_give_an_empty_result(positions):
    for spec in SEARCHING:
        result = build_player(spec, HEX).search(positions(HEX, 0, 0), seeds(0))
        assert len(result.moves) == 0
        assert result.values.shape == (0, 4)
        assert result.policy == []
