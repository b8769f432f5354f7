"""The invariants of section 6 of the rules, at every ply of random games on all twelve configs."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from ringrift.game import moves as m
from ringrift.game import phases
from ringrift.game.config import ALL_CONFIGS, GameConfig
from ringrift.game.play import Game
from ringrift.notation.statedump import history_json
from tests.game.games import choose, opening

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


class View:
    """A position as the invariants read it: counted from the cells, not from the counters."""

    def __init__(self, game: Game) -> None:
        self.position = position = game.states[0].copy()
        self.cells = game.config.cells
        self.seats = range(1, game.config.players + 1)
        self.player, self.phase, self.over = game.player, game.phase, game.over
        self.rings = {int(cell): _rings(position, cell) for cell in np.flatnonzero(position["height"])}
        self.colours = np.bincount([ring for stack in self.rings.values() for ring in stack], minlength=5)
        self.eliminated = int(position["eliminated"].sum())
        self.collapsed = int((position["collapsed"] > 0).sum())
        self.progress = self.eliminated + self.collapsed + int((position["marker"] > 0).sum())
        """S of section 6."""

    def controlled(self, seat: int) -> int:
        return sum(stack[0] == seat for stack in self.rings.values())

    def has_rings(self, seat: int) -> bool:
        return bool(self.position["hand"][seat] + self.colours[seat] > 0)


def _rings(position: np.void, cell: int) -> list[int]:
    return [(int(position["rings"][cell]) >> 2 * depth & 3) + 1 for depth in range(position["height"][cell])]


@dataclass
class Turn:
    """What has happened since the turn began."""

    seat: int
    progress: int
    placed: bool = False
    recovered_freely: bool = False
    controlled: int = 0
    """Stacks of the seat when it came to its movement."""

    def note(self, view: View, kind: int, count: int) -> None:
        self.placed |= kind == m.PLACE_RING
        self.recovered_freely |= kind == m.RECOVERY_SLIDE and count == 2
        if view.phase == phases.MOVEMENT:
            self.controlled = view.controlled(self.seat)


@dataclass
class Ply:
    """One ply: the positions around it, its legal set and its move."""

    before: View
    after: View
    turn: Turn
    legal: list[int]
    move: int

    @property
    def kind(self) -> int:
        return self.move & 31

    @property
    def count(self) -> int:
        return int(m.move_count(self.move))

    @property
    def gain(self) -> int:
        return self.after.progress - self.before.progress


def a_cell_holds_at_most_one_thing(ply: Ply) -> None:  # 1
    position = ply.after.position
    contents = (position["height"] > 0).astype(int) + (position["marker"] > 0) + (position["collapsed"] > 0)
    assert contents.max() <= 1


def height_cap_and_controller_follow_from_the_rings(ply: Ply) -> None:  # 2
    position = ply.after.position
    for cell, rings in ply.after.rings.items():
        cap = next((n for n, owner in enumerate(rings) if owner != rings[0]), len(rings))
        assert (position["top"][cell], position["cap"][cell]) == (rings[0], cap)
    assert ((position["height"] > 0) == (position["top"] > 0)).all()
    for seat in ply.after.seats:
        assert position["stacks"][seat] == ply.after.controlled(seat)
        assert position["markers"][seat] == (position["marker"] == seat).sum()


def rings_are_conserved(ply: Ply) -> None:  # 3
    position = ply.after.position
    in_stacks = sum(map(len, ply.after.rings.values()))
    supply = position["players"] * position["rings_per_player"]
    assert position["hand"].sum() + in_stacks + ply.after.eliminated == supply


def no_colour_gains_rings(ply: Ply) -> None:  # 4
    before, after = (view.position["hand"] + view.colours for view in (ply.before, ply.after))
    assert (after <= before).all()
    assert after.max() <= ply.after.position["rings_per_player"]
    assert (ply.after.colours == ply.after.position["on_board"]).all()


def territory_counts_collapsed_cells_which_stay(ply: Ply) -> None:  # 5
    before, after = ply.before.position["collapsed"], ply.after.position["collapsed"]
    for seat in ply.after.seats:
        assert ply.after.position["territory"][seat] == (after == seat).sum()
    assert (after[before > 0] == before[before > 0]).all()


def progress_grows_as_the_move_says(ply: Ply) -> None:  # 6
    if ply.kind in (m.MOVE_STACK, m.OVERTAKING_CAPTURE, m.CONTINUE_CAPTURE):
        assert ply.gain == 1
    elif ply.kind == m.RECOVERY_SLIDE:
        assert ply.gain == (0 if ply.count == 2 else 1)
    elif ply.kind == m.ELIMINATE:
        assert ply.gain == 1 or (ply.gain > 1 and ply.count == phases.OWED_TERRITORY)
    elif ply.kind == m.FORCED_ELIMINATION:
        assert ply.gain >= 1
    elif ply.kind == m.CHOOSE_TERRITORY:
        assert ply.gain >= 0
    else:
        assert ply.gain == 0


def collapsed_and_eliminated_never_decrease(ply: Ply) -> None:  # 7
    before, after = ply.before, ply.after
    assert after.collapsed + after.eliminated >= before.collapsed + before.eliminated
    assert (after.position["eliminated"] >= before.position["eliminated"]).all()


def moves_belong_to_their_phase(ply: Ply) -> None:  # 8
    assert {move & 31 for move in ply.legal} <= MOVES_OF_PHASE[ply.before.phase]


def a_legal_set_is_never_empty_and_bookkeeping_stands_alone(ply: Ply) -> None:  # 9
    assert ply.legal
    assert len(set(ply.legal)) == len(ply.legal)
    assert len(ply.legal) == 1 or not {move & 31 for move in ply.legal} & BOOKKEEPING


def a_chain_goes_on_from_its_cell(ply: Ply) -> None:  # 10
    if ply.before.phase == phases.CHAIN:
        cell = int(ply.before.position["chain_cell"])
        assert {int(m.move_from(move)) for move in ply.legal} == {cell}


def a_line_debt_has_a_payer(ply: Ply) -> None:  # 11
    if ply.after.position["pending"] == phases.OWED_LINE:
        assert ply.after.phase == phases.LINES
        assert ply.after.controlled(ply.after.player) > 0


def a_turn_has_one_player_and_starts_with_placement(ply: Ply) -> None:  # 12
    assert ply.before.player == ply.turn.seat
    assert ply.after.position["last_actor"] == ply.turn.seat
    if not ply.after.over and ply.after.player != ply.turn.seat:
        assert ply.after.phase == phases.PLACEMENT
        assert ply.after.has_rings(ply.after.player)


def a_forced_elimination_takes_rings_of_the_mover(ply: Ply) -> None:  # 13
    if ply.kind == m.FORCED_ELIMINATION:
        assert ply.after.colours[ply.turn.seat] < ply.before.colours[ply.turn.seat]


def every_turn_leads_towards_the_end(ply: Ply) -> None:  # 14
    position, turn = ply.after.position, ply.turn
    assert ply.after.progress <= 2 * ply.after.cells + position["players"] * position["rings_per_player"]
    ends = ply.after.over or (ply.after.phase == phases.PLACEMENT != ply.before.phase)
    if ends and not turn.placed and ply.after.progress == turn.progress:
        assert turn.controlled == 0 or turn.recovered_freely


def a_winner_has_met_a_condition(ply: Ply) -> None:  # 15
    view, position = ply.after, ply.after.position
    winner, reason, territory = int(position["winner"]), position["reason"], position["territory"]
    assert (winner > 0) == (reason > 0) == view.over
    if reason == phases.RING_ELIMINATION:
        assert position["eliminated"][winner] >= position["ring_threshold"]
    elif reason == phases.TERRITORY_CONTROL:
        assert territory[winner] >= position["territory_threshold"]
        assert 2 * territory[winner] > territory.sum()
    elif reason == phases.SOLE_SURVIVOR:
        assert view.controlled(winner) == len(view.rings) > 0
        assert not any(view.has_rings(seat) for seat in view.seats if seat != winner)
    elif reason == phases.LAST_PLAYER_STANDING:
        assert position["lps_streak"] >= position["lps_required"]
        assert position["lps_exclusive"] == winner
    elif reason == phases.STALEMATE:
        assert not view.rings


INVARIANTS: tuple[Callable[[Ply], None], ...] = (
    a_cell_holds_at_most_one_thing,
    height_cap_and_controller_follow_from_the_rings,
    rings_are_conserved,
    no_colour_gains_rings,
    territory_counts_collapsed_cells_which_stay,
    progress_grows_as_the_move_says,
    collapsed_and_eliminated_never_decrease,
    moves_belong_to_their_phase,
    a_legal_set_is_never_empty_and_bookkeeping_stands_alone,
    a_chain_goes_on_from_its_cell,
    a_line_debt_has_a_payer,
    a_turn_has_one_player_and_starts_with_placement,
    a_forced_elimination_takes_rings_of_the_mover,
    every_turn_leads_towards_the_end,
    a_winner_has_met_a_condition,
)
"""In the order of section 6."""


def check_game(game: Game, generator: random.Random) -> None:
    """Play a game to its end, with every invariant at every ply."""
    before = View(game)
    turn, seats = Turn(before.player, before.progress), []
    while not game.over:
        legal = game.legal().tolist()
        move = choose(legal, generator)
        seats.append(game.player)
        turn.note(before, move & 31, int(m.move_count(move)))
        game.apply(move)
        after = View(game)
        for invariant in INVARIANTS:
            invariant(Ply(before, after, turn, legal, move))
        if after.phase == phases.PLACEMENT != before.phase:
            turn = Turn(after.player, after.progress)
        before = after
    assert [entry["player"] for entry in history_json(game)] == seats


@pytest.mark.parametrize("config", ALL_CONFIGS, ids=lambda config: config.key)
def test_every_invariant_holds_at_every_ply(config: GameConfig):
    examples = 24 if config.cells < 100 else 6

    @settings(max_examples=examples, derandomize=True, deadline=None, database=None)
    @given(seed=some.integers(0, 2**32 - 1), supply=some.sampled_from((None, 3, 4, 6, 9)))
    def hold(seed: int, supply: int | None) -> None:
        check_game(opening(config, supply), random.Random(seed))

    hold()
