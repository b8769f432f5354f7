"""Cell sets: 32 rows of bits, for tests of many cells at once; see `ringrift.game.geometry`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ringrift.game._jit import jit
from ringrift.game.geometry import MARGIN, NONE, ROWS, Geometry

_BIT_NUMBER = np.zeros(ROWS, dtype=np.int64)
_DE_BRUIJN = 0x077CB531
for _bit in range(ROWS):
    _BIT_NUMBER[(_DE_BRUIJN << _bit & 0xFFFFFFFF) >> 27] = _bit


@jit
def place_of(geo, cell):
    """Place of a cell."""
    return np.int64(geo.tables[0]["place"][cell])


@jit
def cell_at(geo, place):
    """Cell at a place, `NONE` off the board."""
    return np.int64(geo.tables[0]["cell_at"][place])


@jit
def board_row(geo, number):
    """Cells of a row."""
    return np.int64(geo.tables[0]["board_rows"][number])


@jit
def first_cell(geo, number):
    """Lowest cell in a row or in a later one."""
    return np.int64(geo.tables[0]["first_cell"][number])


@jit
def step_of(geo, direction):
    """What one step in a direction adds to a place."""
    return np.int64(geo.tables[0]["step"][direction])


@jit
def direction_of(geo, direction):
    """dx and dy of one step in a direction."""
    tables = geo.tables[0]
    return np.int64(tables["dx"][direction]), np.int64(tables["dy"][direction])


@jit
def cell_beyond(geo, cell, direction, steps):
    """Cell that many steps from another one; `NONE` one step off the board."""
    return cell_at(geo, place_of(geo, cell) + steps * step_of(geo, direction))


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
    return cell_at(geo, number << 5 | bit_number(lowest_bit(row)))


@jit
def shifted(rows, number, dx, dy):
    """Row of those cells from which (dx, dy) leads into the set; |dx| is at most `MARGIN`."""
    return np.int64(rows[number + dy]) << MARGIN >> MARGIN + dx


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
        place = place_of(geo, cell)
        number = place >> 5
        rest = np.int64(rows[number]) & -2 << (place & 31)
    while rest == 0:
        number += 1
        if number == MARGIN + geo.n_rows:
            return NONE
        rest = np.int64(rows[number])
    return lowest_cell(geo, number, rest)


def cells_of(geo: Geometry, rows: npt.NDArray[np.integer]) -> list[int]:
    """Return the cells of a set, ascending."""
    places = geo.tables[0]["place"][: geo.n_cells].astype(np.int64)
    return np.flatnonzero(rows[places >> 5] >> (places & 31) & 1).tolist()
