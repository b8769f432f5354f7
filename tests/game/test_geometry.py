"""The board tables against the definitions of sections 1.1 and 1.2."""

from __future__ import annotations

import numpy as np
import pytest

from ringrift.errors import BadInput
from ringrift.game.cellset import cell_beyond, cells_of, next_cell, place_of
from ringrift.game.config import BOARDS, GameConfig
from ringrift.game.geometry import (
    HAS_NEIGHBOUR,
    MARGIN,
    NONE,
    ROWS,
    STAYS_WHOLE,
    cell_index,
    cell_xy,
    geometry,
    ray,
)
from ringrift.game.movement import distance_between

HEX = ("hex8", "hexagonal")


@pytest.mark.parametrize("board", BOARDS)
def test_cells_are_numbered_by_row_and_found_by_coordinates(board):
    geo = geometry(board)
    assert geo.n_cells == GameConfig(board, 2).cells
    coordinates = [tuple(xy) for xy in geo.xy.tolist()]
    assert coordinates == sorted(coordinates, key=lambda xy: (xy[1], xy[0]))
    assert [cell_index(board, *cell_xy(board, cell)) for cell in range(geo.n_cells)] == list(
        range(geo.n_cells)
    )


@pytest.mark.parametrize("board", BOARDS)
def test_rays_walk_straight_to_the_edge_and_have_an_opposite(board):
    geo = geometry(board)
    for cell in range(geo.n_cells):
        for direction in range(geo.n_dirs):
            cells = ray(board, cell, direction)
            for steps, other in enumerate(cells, 1):
                back = (direction + geo.n_axes) % geo.n_dirs
                assert ray(board, other, back)[steps - 1] == cell
                assert cell_beyond(geo, cell, direction, steps) == other
                assert distance_between(geo, cell, other) == steps
            last = cells[-1] if cells else cell
            assert cell_beyond(geo, last, direction, 1) == NONE


@pytest.mark.parametrize("board", BOARDS)
def test_distance_on_a_ray_is_the_largest_coordinate_difference(board):
    geo = geometry(board)
    for cell in range(0, geo.n_cells, 7):
        x, y = cell_xy(board, cell)
        for direction in range(geo.n_dirs):
            for other in ray(board, cell, direction):
                dx, dy = (a - b for a, b in zip(cell_xy(board, other), (x, y), strict=True))
                spans = (abs(dx), abs(dy), abs(dx + dy)) if board in HEX else (abs(dx), abs(dy))
                assert distance_between(geo, cell, other) == max(spans)


@pytest.mark.parametrize("board", BOARDS)
def test_a_cell_set_holds_every_cell_at_its_own_place_within_the_margin(board):
    geo = geometry(board)
    tables = geo.tables[0]
    places = tables["place"][: geo.n_cells].tolist()
    assert len(set(places)) == geo.n_cells
    assert [tables["cell_at"][place] for place in places] == list(range(geo.n_cells))
    assert np.count_nonzero(tables["cell_at"] != NONE) == geo.n_cells
    assert cells_of(geo, tables["board_rows"]) == list(range(geo.n_cells))
    for place in places:
        assert MARGIN <= place // ROWS < ROWS - MARGIN
        assert MARGIN <= place % ROWS < ROWS - MARGIN


@pytest.mark.parametrize("board", BOARDS)
def test_walking_through_a_cell_set_meets_each_cell_once_in_order(board):
    geo = geometry(board)
    chosen = list(range(1, geo.n_cells, 5))
    rows = np.zeros(ROWS, np.int32)
    for cell in chosen:
        place = int(place_of(geo, cell))
        rows[place // ROWS] |= 1 << place % ROWS
    met, cell = [], next_cell(geo, rows, -1)
    while cell != NONE:
        met.append(int(cell))
        cell = next_cell(geo, rows, cell)
    assert met == chosen


WEST, EAST, NORTH, SOUTH = 1 << 3, 1 << 5, 1 << 1, 1 << 7
NORTH_EAST, SOUTH_WEST = 1 << 2, 1 << 6


@pytest.mark.parametrize(
    ("board", "window", "expected"),
    [
        ("square8", 0, STAYS_WHOLE),
        ("square8", 0b111101111, STAYS_WHOLE | HAS_NEIGHBOUR),
        ("square8", WEST, STAYS_WHOLE | HAS_NEIGHBOUR),
        ("square8", WEST | EAST, HAS_NEIGHBOUR),
        ("square8", NORTH | EAST, HAS_NEIGHBOUR),
        ("square8", NORTH | EAST | NORTH_EAST, STAYS_WHOLE | HAS_NEIGHBOUR),
        ("square8", NORTH_EAST | SOUTH_WEST, STAYS_WHOLE),
        ("hex8", NORTH_EAST | SOUTH_WEST, HAS_NEIGHBOUR),
        ("hex8", NORTH | NORTH_EAST | EAST, STAYS_WHOLE | HAS_NEIGHBOUR),
        ("hex8", NORTH | EAST, HAS_NEIGHBOUR),
        ("hex8", NORTH | WEST, STAYS_WHOLE | HAS_NEIGHBOUR),
        ("hex8", 1 << 0 | 1 << 8, STAYS_WHOLE),
    ],
)
def test_a_window_tells_whether_the_cells_around_one_are_joined_without_it(board, window, expected):
    assert geometry(board).tables[0]["holds_together"][window] == expected
    assert geometry(board).tables[0]["holds_together"][window | 1 << 4] == expected


def test_shared_tables_cannot_be_written():
    with pytest.raises(ValueError, match="read-only"):
        geometry("square8").tables["place"][0, 0] = 1


def test_coordinates_off_the_board_are_no_cell():
    assert cell_index("square8", 8, 0) == NONE
    assert cell_index("hex8", 3, 3) == NONE


def test_an_unknown_board_is_refused():
    with pytest.raises(BadInput, match="unknown board 'hex9'"):
        geometry("hex9")
