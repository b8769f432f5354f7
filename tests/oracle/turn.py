"""The phases of a turn (RULES 3): the legal set, and what a move leads to."""

from __future__ import annotations

from typing import Any

from tests.oracle import lines, movement, territory
from tests.oracle.state import State, cap_height
from tests.oracle.victory import begin_turn, check_victory

NOOP = frozenset(("NP", "NM", "NL", "NT", "SP", "SC", "SR", "ST"))


def legal(state: State) -> list[tuple]:
    """Return the legal set without the sub-choices of recovery slides; empty when the game is over."""
    return {
        "ring_placement": _placement,
        "movement": _movement,
        "capture": lambda s: [*movement.captures_from(s, s.chain), ("SC",)],
        "chain_capture": lambda s: [("CC", *move[1:]) for move in movement.captures_from(s, s.chain)],
        "line_processing": _line,
        "territory_processing": _territory,
        "forced_elimination": lambda s: [("FE", cell) for cell in s.controlled(s.player)],
        "game_over": lambda s: [],
    }[state.phase](state)


def _placement(state: State) -> list[tuple]:
    seat = state.player
    if not state.hand[seat]:
        return [("NP",)]
    moves = list(movement.placements(state, seat))
    if movement.seat_can_act(state, seat) or state.recovery_eligible(seat):
        moves.append(("SP",))
    if state.swap_rule and seat == 2 and state.opened[1] and not state.opened[2]:
        moves.append(("SW",))
    return moves or [("NP",)]


def _movement(state: State) -> list[tuple]:
    if state.must_move is None and state.recovery_eligible(state.player):
        return lines.recovery_moves(state)
    sources = state.controlled(state.player) if state.must_move is None else [state.must_move]
    moves: list[tuple] = []
    for cell in sources:
        for some in movement.stack_actions(state, cell):
            moves.extend(some)
    return moves or [("NM",)]


def _line(state: State) -> list[tuple]:
    if state.pending:
        return [("E", "line", cell) for cell in state.controlled(state.player)]
    return lines.line_moves(state) or [("NL",)]


def _territory(state: State) -> list[tuple]:
    if state.pending == "territory":
        return [("E", "territory", cell) for cell in state.controlled(state.player)]
    if state.pending == "recovery":
        return [("E", "recovery", cell) for cell in state.buried(state.player)]
    claims: list[tuple] = [("T", tuple(sorted(region))) for region in territory.processable(state)]
    return [*claims, ("ST",)] if claims else [("NT",)]


def apply(state: State, move: tuple) -> None:
    """Play a legal move; a recovery slide carries its choice as the last entry."""
    kind = move[0]
    if kind not in NOOP:
        state.acted = True
        state.regions = None
    state.opened[state.player] = True
    _EFFECTS[kind](state, *move)


def _swap(state: State, kind: str) -> None:
    state.swapped = True


def _place(state: State, kind: str, cell: int, count: int) -> None:
    movement.place(state, cell, count)
    state.phase, state.must_move = "movement", cell


def _no_placement(state: State, kind: str) -> None:
    state.phase = "movement"


def _move(state: State, kind: str, start: int, end: int) -> None:
    movement.move_stack(state, start, end)
    _capture_or_lines(state, end, "capture")


def _capture(state: State, kind: str, start: int, target: int, end: int) -> None:
    movement.capture(state, start, target, end)
    _capture_or_lines(state, end, "chain_capture")


def _capture_or_lines(state: State, cell: int, phase: str) -> None:
    state.must_move = None
    if movement.captures_from(state, cell):
        state.phase, state.chain = phase, cell
    else:
        _enter_lines(state, phase)


def _enter_lines(state: State, kind: str) -> None:
    state.phase, state.must_move, state.chain = "line_processing", None, None


def _slide(state: State, kind: str, start: int, end: int, choice: Any) -> None:
    lines.slide(state, kind, start, end, choice)
    state.recovered = True
    _enter_lines(state, kind)


def _collapse_line(state: State, kind: str, run: tuple, chosen: tuple | None = None) -> None:
    cells = run if chosen is None else chosen
    state.collapse(cells, state.player)
    if len(cells) == len(run) and state.controls(state.player):
        state.pending = "line"
    elif not lines.lines(state, state.player):
        _after_lines(state, kind)


def _after_lines(state: State, kind: str) -> None:
    blocked = not state.acted and state.controls(state.player)
    if blocked and not territory.processable(state):
        state.phase = "forced_elimination"
    else:
        state.phase = "territory_processing"


def _claim(state: State, kind: str, cells: tuple) -> None:
    territory.claim(state, frozenset(cells))
    state.pending = "recovery" if state.recovered else "territory"


def _eliminate(state: State, kind: str, context: str, cell: int) -> None:
    state.pending = None
    if context == "line":
        state.remove_top(cell)
        return
    if context == "territory":
        state.remove_top(cell, cap_height(state.stacks[cell]))
    else:
        state.extract(cell)
    if not territory.processable(state):
        _after_territory(state, kind)


def _after_territory(state: State, kind: str) -> None:
    if not state.acted and state.controls(state.player):
        state.phase = "forced_elimination"
    else:
        _end_turn(state)


def _forced(state: State, kind: str, cell: int) -> None:
    state.remove_top(cell, cap_height(state.stacks[cell]))
    _end_turn(state)


def _end_turn(state: State) -> None:
    check_victory(state)
    if state.over:
        return
    last = state.player
    order = [(last + step - 1) % state.players + 1 for step in range(1, state.players + 1)]
    state.player = next(seat for seat in order if state.any_rings(seat))
    state.phase, state.regions = "ring_placement", None
    if state.player != last:
        state.acted = state.recovered = False
    begin_turn(state)


# Every effect takes the entries of the move after the state.
_EFFECTS = {
    "P": _place,
    "SP": _no_placement,
    "NP": _no_placement,
    "SW": _swap,
    "M": _move,
    "C": _capture,
    "CC": _capture,
    "SC": _enter_lines,
    "NM": _enter_lines,
    "SR": _enter_lines,
    "RL1": _slide,
    "RL2": _slide,
    "RF": _slide,
    "RS": _slide,
    "PL": _collapse_line,
    "LO": _collapse_line,
    "NL": _after_lines,
    "E": _eliminate,
    "T": _claim,
    "ST": _after_territory,
    "NT": _after_territory,
    "FE": _forced,
}
