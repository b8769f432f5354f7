"""Cell sets: 32 rows of bits, for tests of many cells at once; see `ringrift.game.geometry`."""

from __future__ import annotations

import numpy as np

from ringrift.game._jit import jit
from ringrift.game.geometry import MARGIN, NONE, ROWS

_BIT_NUMBER = np.zeros(ROWS, dtype=np.int64)
_DE_BRUIJN = 0x077CB531
for _bit in range(ROWS):
    _BIT_NUMBER[(_DE_BRUIJN << _bit & 0xFFFFFFFF) >> 27] = _bit


@jit
def bit_number(bit):
    """Number of the only bit that is set, by a de Bruijn sequence (Leiserson, Prokop and Randall, 1998)."""
    return _BIT_NUMBER[(bit * _DE_BRUIJN & 0xFFFFFFFF) >> 27]


@jit
def lowest_bit(row):
    return row & -row


@jit
def lowest_cell(geo, number, row):
    """Lowest cell of the non-empty row with that number."""
    return np.int64(geo.cell_at[number << 5 | bit_number(lowest_bit(row))])


@jit
def shifted(rows, number, dx, dy):
    """Row of those cells from which (dx, dy) leads into the set; |dx| is at most `MARGIN`."""
    return np.int64(rows[number + dy]) << MARGIN >> MARGIN + dx


@jit
def step_of(geo, direction):
    """What one step in a direction adds to a place."""
    return np.int64(geo.step[direction, 1]) * ROWS + np.int64(geo.step[direction, 0])


@jit
def holds(rows, place):
    """1 when the cell at that place is in the set, else 0."""
    return np.int64(rows[place >> 5]) >> (place & 31) & 1


@jit
def next_cell(geo, rows, cell):
    """Lowest cell of the set above `cell` (-1 to begin with); `NONE` after the last."""
    if cell < 0:
        number, rest = MARGIN, np.int64(rows[MARGIN])
    else:
        place = np.int64(geo.place[cell])
        number = place >> 5
        rest = np.int64(rows[number]) & -2 << (place & 31)
    while rest == 0:
        number += 1
        if number == MARGIN + geo.n_rows:
            return NONE
        rest = np.int64(rows[number])
    return lowest_cell(geo, number, rest)
