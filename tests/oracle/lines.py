"""Lines and recovery slides (RULES 4.5 to 4.7)."""

from __future__ import annotations

from typing import Any

from tests.oracle.state import State


def run_through(state: State, cell: int, axis: int, seat: int, without: int = -1) -> list[int]:
    """Return the run of a seat's markers through `cell`, which counts as one, in the order of the axis."""
    markers = state.markers
    before, after = state.board.axes[cell][axis]
    run = [cell]
    for c in before:
        if markers.get(c) != seat or c == without:
            break
        run.insert(0, c)
    for c in after:
        if markers.get(c) != seat or c == without:
            break
        run.append(c)
    return run


def lines(state: State, seat: int) -> list[list[int]]:
    """Return the seat's runs of at least the line length, each once."""
    found: dict[frozenset[int], list[int]] = {}
    for cell, owner in state.markers.items():
        if owner == seat:
            for axis in range(len(state.board.axes[cell])):
                run = run_through(state, cell, axis, seat)
                if len(run) >= state.line_length:
                    found.setdefault(frozenset(run), run)
    return list(found.values())


def line_moves(state: State) -> list[tuple]:
    moves: list[tuple] = []
    need = state.line_length
    for run in lines(state, state.player):
        whole = tuple(sorted(run))
        if len(run) == need:
            moves.append(("PL", whole))
        else:
            moves.append(("LO", whole, whole))
            for first in range(len(run) - need + 1):
                moves.append(("LO", whole, tuple(sorted(run[first : first + need]))))
    return moves


def slide_run(state: State, start: int, end: int) -> list[int]:
    """Return the run that a slide completes, on the first axis that reaches the line length; else nothing."""
    for axis in range(len(state.board.axes[end])):
        run = run_through(state, end, axis, state.player, without=start)
        if len(run) >= state.line_length:
            return run
    return []


def recovery_moves(state: State) -> list[tuple]:
    """Return the slides and the skip of a recovery-eligible player."""
    completing: list[tuple] = []
    others: list[tuple] = []
    for start, owner in state.markers.items():
        if owner != state.player:
            continue
        for end in state.board.steps[start]:
            if end in state.collapsed or end in state.markers:
                continue
            if end in state.stacks:
                others.append(("RS", start, end))
                continue
            others.append(("RF", start, end))
            run = slide_run(state, start, end)
            if run:
                completing.append(("RL1", start, end))
            if len(run) > state.line_length:
                completing.append(("RL2", start, end))
    return [*(completing or others), ("SR",)]


def slide_choices(state: State, move: tuple) -> list[tuple]:
    """Return a slide with each stack that may pay, or each window that may collapse, appended."""
    if move[0] != "RL2":
        return [(*move, payer) for payer in state.buried(state.player)]
    run, need = slide_run(state, move[1], move[2]), state.line_length
    windows = (run[first : first + need] for first in range(len(run) - need + 1))
    return [(*move, tuple(sorted(window))) for window in windows if move[2] in window]


def slide(state: State, kind: str, start: int, end: int, choice: Any) -> None:
    """Play a recovery slide; `choice` is the paying stack, or the window of RL2."""
    run = slide_run(state, start, end)
    del state.markers[start]
    if kind == "RS":
        state.remove_top(end)
    else:
        state.markers[end] = state.player
    if kind == "RL1":
        state.collapse(run, state.player)
    if kind == "RL2":
        state.collapse(choice, state.player)
    else:
        state.extract(choice)
