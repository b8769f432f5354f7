"""How fuzz games choose: weights over the legal moves that seek what uniform play rarely meets."""

from __future__ import annotations

from random import Random

from tests.oracle.lines import run_through, slide_choices
from tests.oracle.state import State


def _longest_run(state: State, cell: int) -> int:
    """Return the longest run that a marker left on `cell` would belong to."""
    axes = range(len(state.board.axes[cell]))
    return max(len(run_through(state, cell, axis, state.player)) for axis in axes)


def _lines(state: State, move: tuple) -> float:
    return float(_longest_run(state, move[1]) ** 4)


def _overlong_lines(state: State, move: tuple) -> float:
    """Gather runs just too short, then join them."""
    length = _longest_run(state, move[1]) - state.line_length
    return 1000.0 if length > 0 else 0.1 if length == 0 else float((length + 5) ** 3)


def _enclosure(state: State, move: tuple) -> float:
    """Leave markers beside markers and collapsed cells."""
    near = state.board.steps[move[1]]
    walls = sum(1 for c in near if state.markers.get(c) == state.player or c in state.collapsed)
    return float((1 + walls) ** 2 + 8 - len(near))


def _on_markers(state: State, move: tuple) -> float:
    return 20.0 if move[-1] in state.markers else 1.0


def _on_others(state: State, move: tuple) -> float:
    """Place on stacks, the opponents' above all."""
    rings = state.stacks.get(move[1])
    return 1.0 if rings is None else 5.0 if rings[-1] == state.player else 60.0


def _single_rings(state: State, move: tuple) -> float:
    return 20.0 if move[2] == 1 else 1.0


RARE = {"RL2": 9.0, "RS": 2.0}
"""Weights of kinds that a policy does not name and that are seldom on offer; all others have weight 1."""

# policy: weights by kind of move; a function gives the weight of a single move
POLICIES: dict[str, dict] = {
    "uniform": {},
    "lines": {"M": _lines, "P": _single_rings, "SC": 9.0},
    "overlong": {"M": _overlong_lines, "P": _single_rings, "SC": 9.0, "C": 0.1},
    "enclosure": {"M": _enclosure, "C": _enclosure, "T": 5.0},
    "capture": {"C": 30.0, "SC": 0.1, "SP": 0.1},
    "burying": {"P": _on_others, "C": 5.0, "SP": 0.1},
    "ring_burning": {"M": _on_markers, "C": _on_markers, "CC": _on_markers, "SP": 20.0},
    "quiet": {"SP": 200.0, "SC": 9.0, "ST": 9.0, "SR": 3.0, "C": 0.1},
    "recovery": {"SR": 0.1, "RL2": 30.0, "RS": 9.0},
    "skipping": {"ST": 50.0, "SR": 50.0, "SC": 50.0},
}


SWAP_SHARE = 0.3


def choose(state: State, moves: list[tuple], policy: str, rng: Random) -> tuple:
    """Return one of the moves by the policy, a recovery slide with one of its choices."""
    move = moves[0]
    if ("SW",) in moves and rng.random() < SWAP_SHARE:
        return ("SW",)
    if len(moves) > 1:
        weights = POLICIES[policy]
        if not weights or rng.random() < 0.15:
            move = rng.choice(moves)
        else:
            move = rng.choices(moves, [_weight(state, move, weights) for move in moves])[0]
    if move[0] in ("RL1", "RL2", "RF", "RS"):
        move = rng.choice(slide_choices(state, move))
    return move


def _weight(state: State, move: tuple, weights: dict) -> float:
    weight = weights.get(move[0], RARE.get(move[0], 1.0))
    return weight(state, move) if callable(weight) else weight
