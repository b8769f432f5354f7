"""The invariants of section 6 of the rules, at every ply of random games on all twelve configs."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from ringrift.game import moves as m
from ringrift.game import phases
from ringrift.game.board import any_rings
from ringrift.game.config import ALL_CONFIGS, GameConfig
from ringrift.game.play import Game

BOOKKEEPING = {m.NO_PLACEMENT, m.NO_MOVEMENT, m.NO_LINE, m.NO_TERRITORY}
MOVES_OF_PHASE = {
    phases.PLACEMENT: {m.PLACE_RING, m.SKIP_PLACEMENT, m.NO_PLACEMENT, m.SWAP_SIDES},
    phases.MOVEMENT: {m.MOVE_STACK, m.OVERTAKING_CAPTURE, m.RECOVERY_SLIDE, m.SKIP_RECOVERY, m.NO_MOVEMENT},
    phases.CAPTURE: {m.OVERTAKING_CAPTURE, m.SKIP_CAPTURE},
    phases.CHAIN: {m.CONTINUE_CAPTURE},
    phases.LINES: {m.PROCESS_LINE, m.CHOOSE_LINE, m.NO_LINE, m.ELIMINATE},
    phases.TERRITORY: {m.CHOOSE_TERRITORY, m.SKIP_TERRITORY, m.NO_TERRITORY, m.ELIMINATE},
    phases.FORCED: {m.FORCED_ELIMINATION},
}


class Snapshot:
    """What the invariants compare between two plies."""

    def __init__(self, game: Game) -> None:
        position = game.states[0]
        self.collapsed = position["collapsed"].copy()
        self.colours = (position["hand"] + position["on_board"]).copy()
        self.eliminated = int(position["eliminated"].sum())
        self.fixed = int((self.collapsed > 0).sum()) + self.eliminated
        self.progress = self.fixed + int((position["marker"] > 0).sum())


def rings_of(position: np.void, cell: int) -> list[int]:
    return [(int(position["rings"][cell]) >> 2 * depth & 3) + 1 for depth in range(position["height"][cell])]


def check_position(game: Game, config: GameConfig) -> None:
    position = game.states[0]
    contents = (position["height"] > 0).astype(int) + (position["marker"] > 0) + (position["collapsed"] > 0)
    assert contents.max() <= 1
    colours = np.zeros(5, dtype=int)
    for cell in np.flatnonzero(position["height"]):
        rings = rings_of(position, cell)
        cap = next((n for n, owner in enumerate(rings) if owner != rings[0]), len(rings))
        assert (position["top"][cell], position["cap"][cell]) == (rings[0], cap)
        for owner in rings:
            colours[owner] += 1
    assert (colours == position["on_board"]).all()
    for seat in range(1, config.players + 1):
        assert position["stacks"][seat] == (position["top"] == seat).sum()
        assert position["markers"][seat] == (position["marker"] == seat).sum()
        assert position["territory"][seat] == (position["collapsed"] == seat).sum()
        assert position["hand"][seat] + position["on_board"][seat] <= config.rings_per_player
    total = position["hand"].sum() + position["height"].sum() + position["eliminated"].sum()
    assert total == config.players * config.rings_per_player
    if position["pending"] == phases.OWED_LINE:
        assert position["phase"] == phases.LINES
        assert position["stacks"][game.player] > 0


def check_legal_set(game: Game, legal: list[int]) -> None:
    kinds = {int(m.move_type(move)) for move in legal}
    assert legal
    assert len(set(legal)) == len(legal) <= game.geo.max_moves
    assert kinds <= MOVES_OF_PHASE[game.phase]
    assert not kinds & BOOKKEEPING or len(legal) == 1
    if game.phase == phases.CHAIN:
        assert {int(m.move_from(move)) for move in legal} == {int(game.states[0]["chain_cell"])}


def check_step(before: Snapshot, after: Snapshot, move: int) -> None:
    kind, gain = int(m.move_type(move)), after.progress - before.progress
    assert (after.collapsed[before.collapsed > 0] == before.collapsed[before.collapsed > 0]).all()
    assert (after.colours <= before.colours).all()
    assert gain >= 0
    assert after.fixed >= before.fixed
    if kind in (m.MOVE_STACK, m.OVERTAKING_CAPTURE, m.CONTINUE_CAPTURE):
        assert gain == 1
    elif kind == m.RECOVERY_SLIDE:
        assert gain == (0 if m.move_count(move) == 2 else 1)
    elif kind == m.ELIMINATE:
        assert gain >= 1
        assert gain == 1 or m.move_count(move) == phases.OWED_TERRITORY
    elif kind == m.FORCED_ELIMINATION:
        assert after.eliminated > before.eliminated
    elif kind != m.CHOOSE_TERRITORY:
        assert gain == 0


def check_turn_order(game: Game, seat: int, phase: int) -> None:
    if game.over:
        return
    if game.player != seat:
        assert game.phase == phases.PLACEMENT
    if game.phase == phases.PLACEMENT and phase != phases.PLACEMENT:
        assert any_rings(game.states, 0, game.player)


def check_winner(game: Game, config: GameConfig) -> None:
    position, winner = game.states[0], game.winner
    territory = position["territory"]
    reason = position["reason"]
    assert 1 <= winner <= config.players
    assert game.player == 0
    if reason == phases.RING_ELIMINATION:
        assert position["eliminated"][winner] >= config.ring_threshold
    elif reason == phases.TERRITORY_CONTROL:
        assert territory[winner] >= config.territory_minimum
        assert 2 * territory[winner] > territory.sum()
    elif reason == phases.SOLE_SURVIVOR:
        others = [seat for seat in range(1, config.players + 1) if seat != winner]
        assert not any(any_rings(game.states, 0, seat) for seat in others)
    elif reason == phases.LAST_PLAYER_STANDING:
        assert position["lps_streak"] >= 3
    else:
        assert position["height"].sum() == 0


@pytest.mark.parametrize("config", ALL_CONFIGS, ids=lambda config: config.key)
def test_invariants_hold_at_every_ply_of_random_games(config: GameConfig):
    generator: Any = random.Random(config.key)
    for _ in range(6 if config.cells < 100 else 1):
        game = Game.new(config)
        while not game.over:
            legal = game.legal().tolist()
            check_legal_set(game, legal)
            move = generator.choice(legal)
            before, seat, phase = Snapshot(game), game.player, game.phase
            game.apply(move)
            check_position(game, config)
            check_step(before, Snapshot(game), move)
            check_turn_order(game, seat, phase)
        check_winner(game, config)
        assert Snapshot(game).progress <= 2 * config.cells + config.players * config.rings_per_player
