"""Move keys and canonical states, in the formats of the golden games."""

from __future__ import annotations

from tests.oracle.board import Board
from tests.oracle.state import State


def key_of(board: Board, move: tuple) -> str:
    """Return a move's key; a recovery slide that carries its choice gets the suffix."""
    names, kind = board.names, move[0]
    if len(move) == 1:
        return kind
    if kind == "P":
        return f"P:{names[move[1]]}*{move[2]}"
    if kind in ("C", "CC"):
        return f"{kind}:{names[move[1]]}^{names[move[2]]}>{names[move[3]]}"
    if kind in ("PL", "T"):
        return f"{kind}:{_listed(board, move[1])}"
    if kind == "LO":
        return f"LO:{_listed(board, move[1])}|{_listed(board, move[2])}"
    if kind == "E":
        return f"E:{move[1]}:{names[move[2]]}"
    if kind == "FE":
        return f"FE:{names[move[1]]}"
    suffix = ""
    if len(move) == 4:
        suffix = f"={_listed(board, move[3])}" if kind == "RL2" else f"@{names[move[3]]}"
    return f"{kind}:{names[move[1]]}>{names[move[2]]}{suffix}"


def _listed(board: Board, cells: tuple) -> str:
    return "/".join(sorted(board.names[cell] for cell in cells))


def canonical_state(state: State) -> dict:
    """Return the reduced state of the golden games as a JSON object."""
    names, over = state.board.names, state.over

    def name(cell: int | None) -> str | None:
        return None if cell is None else names[cell]

    return {
        "at": name(state.chain),
        "co": {names[cell]: seat for cell, seat in state.collapsed.items()},
        "cp": 0 if over else state.player,
        "el": state.eliminated[1:],
        "hd": state.hand[1:],
        "mk": {names[cell]: seat for cell, seat in state.markers.items()},
        "mu": name(state.must_move),
        "pe": state.pending,
        "ph": state.phase,
        "sk": {names[cell]: rings for cell, rings in state.stacks.items()},
        "ss": "completed" if over else "active",
        "sw": state.swapped,
        "te": state.territory[1:],
        "wi": state.winner,
    }


def lps_counters(state: State) -> list:
    return [state.lps_round, state.lps_first, state.lps_streak, state.lps_exclusive, state.lps_mask[1:]]
