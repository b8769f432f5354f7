"""Positions for the players' tests: hand-made ones and ones from random play."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pytest

from ringrift.game import phases
from ringrift.game.apply import apply
from ringrift.game.board import add_marker, put_stack
from ringrift.game.config import GameConfig
from ringrift.game.geometry import cell_index, geometry
from ringrift.game.legal import legal_moves
from ringrift.game.play import Game
from ringrift.game.playout import settle
from ringrift.game.state import new_positions, new_scratch, start
from ringrift.players.base import Player, PlayerSpec, build_player

Cell = tuple[int, int]
Positions = npt.NDArray[np.void]


def hand_made(
    config: str,
    *,
    stacks: Mapping[Cell, Sequence[int]],
    markers: Mapping[Cell, int] | None = None,
    player: int = 1,
    phase: int = phases.MOVEMENT,
    hand: int = 0,
    eliminated: Sequence[int] = (),
) -> Game:
    """Return the game with these stacks (rings top first) and markers, everybody with `hand` rings."""
    parsed = GameConfig.parse(config)
    game = Game.new(parsed)
    state = game.states[0]
    state["hand"][1 : parsed.players + 1] = hand
    state["player"], state["phase"] = player, phase
    state["eliminated"][1 : 1 + len(eliminated)] = eliminated
    for (x, y), rings in stacks.items():
        packed = sum((owner - 1) << 2 * depth for depth, owner in enumerate(rings))
        put_stack(game.geo, game.states, 0, cell_index(parsed.board, x, y), packed, len(rings))
        for owner in rings:
            state["on_board"][owner] += 1
    for (x, y), owner in (markers or {}).items():
        add_marker(game.geo, game.states, 0, cell_index(parsed.board, x, y), owner)
    return game


def random_positions(config: GameConfig, count: int, decisions: int, seed: int = 0) -> Positions:
    """Return active positions after up to `decisions` random decisions of different games."""
    geo, scratch = geometry(config.board), new_scratch(config.board)
    random = np.random.default_rng(seed)
    states = new_positions(count)
    for i in range(count):
        start(states, i, config)
        for _ in range(int(random.integers(0, decisions + 1))):
            before = states[i].copy()
            moves = scratch.moves[: legal_moves(geo, states, i, scratch, scratch.moves)]
            apply(geo, states, i, scratch, int(random.choice(moves)))
            settle(geo, states, i, scratch)
            if states[i]["status"] != phases.ACTIVE:
                states[i] = before
                break
    return states


def play_match(config: GameConfig, first: Player, others: Player, games: int, seed: int) -> float:
    """Return the share of games that `first` wins when its seat rotates; four random decisions open each."""
    geo, scratch = geometry(config.board), new_scratch(config.board)
    states = new_positions(games)
    for i in range(games):
        start(states, i, config, swap=False)
    seats = np.arange(games) % config.players + 1
    seeds = np.array([seed + i // config.players for i in range(games)], np.uint64)
    opening = build_player(PlayerSpec("random"), config)
    for turn in range(10_000):
        active = states["status"] == phases.ACTIVE
        if not active.any():
            return float((states["winner"] == seats).mean())
        mine = active & (states["player"] == seats)
        for who, player in ((mine, first), (active & ~mine, others)):
            chosen = np.flatnonzero(who)
            moves = (player if turn >= 4 else opening).choose(states[chosen], seeds[chosen])
            for i, move in zip(chosen, moves, strict=True):
                apply(geo, states, i, scratch, move)
                settle(geo, states, i, scratch)
    raise AssertionError("a game did not end")


@pytest.fixture
def position() -> Callable[..., Game]:
    return hand_made


@pytest.fixture
def positions() -> Callable[..., Positions]:
    return random_positions


@pytest.fixture
def match() -> Callable[..., float]:
    return play_match
