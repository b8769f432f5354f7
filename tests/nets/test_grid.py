"""Boards on grids, and the orientations under which the rules are the same."""

from __future__ import annotations

import numpy as np
import pytest

from ringrift.game.config import BOARDS
from ringrift.game.geometry import NONE, geometry
from ringrift.nets.grid import grid, symmetries


@pytest.mark.parametrize(
    ("board", "side"), [("square8", 8), ("square19", 19), ("hex8", 9), ("hexagonal", 25)]
)
def test_every_cell_has_its_own_place_on_the_grid(board, side):
    table = grid(board)
    assert (table.height, table.width) == (side, side)
    for turned in table.cells:
        assert len(set(turned.tolist())) == geometry(board).n_cells
        assert turned.min() >= 0 and turned.max() < side * side


@pytest.mark.parametrize("board", BOARDS)
def test_orientation_0_is_row_by_row(board):
    cells = grid(board).cells[0]
    assert (np.diff(cells) > 0).all()


@pytest.mark.parametrize(
    ("board", "count"), [("square8", 8), ("square19", 8), ("hex8", 4), ("hexagonal", 12)]
)
def test_all_orientations_differ(board, count):
    assert symmetries(board) == count
    assert len(np.unique(grid(board).cells, axis=0)) == count


def relation(table):
    return {(a, int(b)) for a, row in enumerate(table) for b in row if b != NONE}


@pytest.mark.parametrize("board", BOARDS)
def test_turning_the_board_keeps_rays_neighbours_and_spreading_borders(board):
    geo, cells = geometry(board), grid(board).cells
    back = {int(spot): cell for cell, spot in enumerate(cells[0])}
    rays = {tuple(ray[ray != NONE].tolist()) for rows in geo.rays for ray in rows}
    for turned in cells:
        to = [back[int(spot)] for spot in turned]
        for table in (geo.neighbours, geo.spread):
            assert {(to[a], to[b]) for a, b in relation(table)} == relation(table)
        assert {tuple(to[cell] for cell in ray) for ray in rays} == rays
