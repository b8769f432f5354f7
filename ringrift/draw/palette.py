"""How players look, the same in the terminal, in text and in vector pictures.

A player is always told by a letter too, never by colour alone. The colours are those of the terminal's
palette, which holds apart for colour-blind eyes.
"""

from __future__ import annotations

LETTERS = ("", "A", "B", "C", "D")
"""Letter of each seat; entry 0 is nobody."""

COLOURS = ("#8797a8", "#5fb4f2", "#f2b33d", "#4cc9a0", "#ff7d62")
"""Bright colour of each seat; entry 0 is grey."""

LAND = ("#172029", "#1d4568", "#61470f", "#17553f", "#6d2d20")
"""Dark colour of each seat's territory."""

HATCH = ("#33475b", "#2c6593", "#8a661a", "#237a5c", "#96402f")
"""Colour of its hatching, between the two."""

GROUND, INK, LINE, TEXT, DIM = "#0f141b", "#0f141b", "#33475b", "#dbe2ea", "#8797a8"
CELLS = ("#141b24", "#1b2531", "#17202a")
"""Shades of an empty cell, so that a board without lines can be read: two on squares, three on hexagons."""

LIT = "#f4f7fa"
"""Ground of what the last move or the cursor stands on."""

AIM = "#2a4b6b"
"""Ground of a cell that can be chosen."""

_SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def superscript(number: int) -> str:
    return str(number).translate(_SUPERSCRIPT)


def letter(seat: int) -> str:
    """Return the letter of a seat, `-` for nobody."""
    return LETTERS[seat] or "-"
