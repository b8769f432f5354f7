"""The fingerprint that the older engines share, and its 64-bit hash (rules document, section 7.4).

The composition of stacks below the cap is not part of it.
"""

from __future__ import annotations

import numpy as np

from ringrift.game.phases import OVER, OWED_LINE, PHASE_NAMES, STATUS_NAMES
from ringrift.game.play import Game
from ringrift.notation.cells import wire_keys

_MASK = 0xFFFFFFFF


def fingerprint_text(game: Game) -> str:
    """Return the five parts joined by `#`."""
    position = game.states[0]
    keys = wire_keys(game.config.board)
    player = 0 if position["phase"] == OVER else game.player
    owes_line = int(position["pending"] == OWED_LINE)
    head = f"{player}:{PHASE_NAMES[game.phase]}:{STATUS_NAMES[position['status']]}:{owes_line}"
    seats = [
        f"{seat}:{position['hand'][seat]}:{position['eliminated'][seat]}:{position['territory'][seat]}"
        for seat in range(1, game.config.players + 1)
    ]
    stacks = [
        f"{keys[cell]}:{position['top'][cell]}:{position['height'][cell]}:{position['cap'][cell]}"
        for cell in np.flatnonzero(position["height"])
    ]
    markers, collapsed = (
        [f"{keys[cell]}:{position[field][cell]}" for cell in np.flatnonzero(position[field])]
        for field in ("marker", "collapsed")
    )
    return "#".join([head, *("|".join(sorted(part)) for part in (seats, stacks, markers, collapsed))])


def hash_text(text: str) -> str:
    """Return the 64-bit hash of a text as 16 hex digits."""
    h1, h2 = 0xDEADBEEF, 0x41C6CE57
    for character in text:
        h1 = (h1 ^ ord(character)) * 2654435761 & _MASK
        h2 = (h2 ^ ord(character)) * 1597334677 & _MASK
    h1 = (h1 ^ h1 >> 16) * 2246822507 & _MASK ^ (h2 ^ h2 >> 13) * 3266489909 & _MASK
    h2 = (h2 ^ h2 >> 16) * 2246822507 & _MASK ^ (h1 ^ h1 >> 13) * 3266489909 & _MASK
    return f"{h2:08x}{h1:08x}"


def fingerprint(game: Game) -> str:
    """Return the hash of the fingerprint."""
    return hash_text(fingerprint_text(game))
