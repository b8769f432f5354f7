"""Boards on grids, and the orientations under which the rules are the same."""

from __future__ import annotations

import numpy as np
import pytest

from ringrift.game.config import BOARDS
from ringrift.game.geometry import NONE, cell_index, coordinates, geometry, ray
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


def near(board):
    """Pairs of cells that are among the eight around one another."""
    around = [(dx, dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1) if (dx, dy) != (0, 0)]
    pairs = set()
    for cell, (x, y) in enumerate(coordinates(board)):
        others = {cell_index(board, x + dx, y + dy) for dx, dy in around}
        pairs |= {(cell, other) for other in others - {NONE}}
    return pairs


def touching(board):
    """Pairs of territory neighbours."""
    ways = range(6) if geometry(board).n_dirs == 6 else (0, 2, 4, 6)
    walks = [(cell, ray(board, cell, way)) for cell in range(geometry(board).n_cells) for way in ways]
    return {(cell, walk[0]) for cell, walk in walks if walk}


@pytest.mark.parametrize("board", BOARDS)
def test_turning_the_board_keeps_rays_neighbours_and_spreading_borders(board):
    geo, cells = geometry(board), grid(board).cells
    back = {int(spot): cell for cell, spot in enumerate(cells[0])}
    rays = {tuple(ray(board, cell, way)) for cell in range(geo.n_cells) for way in range(geo.n_dirs)}
    relations = [touching(board)] + ([near(board)] if geo.spreads else [])
    for turned in cells:
        to = [back[int(spot)] for spot in turned]
        for pairs in relations:
            assert {(to[a], to[b]) for a, b in pairs} == pairs
        assert {tuple(to[cell] for cell in walk) for walk in rays} == rays
