"""Which of the legal moves a reply may hold.

The game server checks a reply against a list of its own, on which `skip_capture` and `skip_recovery` never
stand (API contract, sections 6.2 to 6.4). A legal move that it would discard is worth nothing, so these two
are played only when there is no other legal move: in phase `capture` a capture by the stack that just moved
is always preferred.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ringrift.game.moves import SKIP_CAPTURE, SKIP_RECOVERY, move_type
from ringrift.players.base import Policy

_LAST_RESORT = (SKIP_CAPTURE, SKIP_RECOVERY)


def is_last_resort(move: int) -> bool:
    """Tell whether the game server would discard this move while another one is legal."""
    return int(move_type(int(move))) in _LAST_RESORT


def usable(chosen: int, policy: Policy, seed: int) -> int:
    """Return `chosen` if the server takes it, else the most probable other legal move of the policy.

    Equally probable moves are drawn by `seed`, so that a player without a preference keeps none.
    """
    if not is_last_resort(chosen):
        return chosen
    moves, probabilities = policy
    taken = np.array([not is_last_resort(int(move)) for move in moves], bool)
    if not taken.any():
        return chosen
    return _draw_best(moves[taken], probabilities[taken], seed)


def _draw_best(moves: npt.NDArray[np.int64], weights: npt.NDArray[np.float32], seed: int) -> int:
    best = np.sort(moves[weights == weights.max()])
    return int(best[seed % len(best)])
