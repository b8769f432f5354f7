"""The canonical state: a small JSON object that names a position completely, and its hash.

| key | value |
|---|---|
| `at` | cell of the stack that may capture in phases `capture` and `chain_capture`, else null |
| `co`, `mk` | collapsed cells and markers: cell -> owner |
| `cp`, `ph`, `ss`, `wi` | current player (0 = over), phase, status, winner or null |
| `el`, `hd`, `te` | eliminated rings, rings in hand and territory of seats 1..n |
| `mu` | cell of the stack that must move, else null |
| `pe` | elimination owed: null, `line`, `territory` or `recovery` |
| `sk` | stacks: cell -> ring owners, bottom to top |
| `sw` | true once seats 1 and 2 have swapped identities |

The counters of last player standing are not part of it; `lps_counters` lists them.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np

from ringrift.game.geometry import NONE
from ringrift.game.phases import PENDING_NAMES, PHASE_NAMES, STATUS_NAMES
from ringrift.game.play import Game
from ringrift.notation.cells import cell_names


def stack_rings(game: Game, cell: int) -> list[int]:
    """Return the ring owners of a stack, top first."""
    rings, height = int(game.states[0]["rings"][cell]), int(game.states[0]["height"][cell])
    return [(rings >> 2 * depth & 3) + 1 for depth in range(height)]


def canonical_state(game: Game) -> dict[str, Any]:
    position = game.states[0]
    names = cell_names(game.config.board)
    seats = slice(1, game.config.players + 1)

    def owners(field: str) -> dict[str, int]:
        return {names[cell]: int(position[field][cell]) for cell in np.flatnonzero(position[field])}

    def name(field: str) -> str | None:
        return None if position[field] == NONE else names[position[field]]

    return {
        "at": name("chain_cell"),
        "co": owners("collapsed"),
        "cp": int(position["player"]),
        "el": position["eliminated"][seats].tolist(),
        "hd": position["hand"][seats].tolist(),
        "mk": owners("marker"),
        "mu": name("must_move"),
        "pe": PENDING_NAMES[position["pending"]],
        "ph": PHASE_NAMES[position["phase"]],
        "sk": {
            names[cell]: stack_rings(game, cell)[::-1] for cell in np.flatnonzero(position["height"]).tolist()
        },
        "ss": STATUS_NAMES[position["status"]],
        "sw": bool(position["swapped"]),
        "te": position["territory"][seats].tolist(),
        "wi": int(position["winner"]) or None,
    }


def lps_counters(game: Game) -> list[Any]:
    """Return `[round, first, streak, exclusive, mask]`; the mask lists seats 1..n, -1 = not seen yet."""
    position = game.states[0]
    mask = position["lps_mask"][1 : game.config.players + 1].tolist()
    fields = ("lps_round", "lps_first", "lps_streak", "lps_exclusive")
    return [*(int(position[field]) for field in fields), mask]


def hash16(text: str) -> str:
    """Return the first 16 hex digits of the SHA-256 of the UTF-8 bytes."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def state_text(state: dict[str, Any]) -> str:
    """Return the canonical state as JSON without spaces, keys sorted by code point."""
    return json.dumps(state, sort_keys=True, separators=(",", ":"))


def state_hash(state: dict[str, Any]) -> str:
    return hash16(state_text(state))
