"""The board tables against the definitions of sections 1.1 and 1.2."""

from __future__ import annotations

import pytest

from ringrift.errors import BadInput
from ringrift.game.config import BOARDS, GameConfig
from ringrift.game.geometry import NONE, cell_index, cell_xy, geometry
from ringrift.game.movement import direction_between, distance_between

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
            length = geo.ray_length[cell, direction]
            ray = geo.rays[cell, direction].tolist()
            assert ray[length:] == [NONE] * (len(ray) - length)
            for step, other in enumerate(ray[:length]):
                back = (direction + geo.n_axes) % geo.n_dirs
                assert geo.rays[other, back, step] == cell
                assert direction_between(geo, cell, other) == direction
                assert distance_between(geo, cell, other) == step + 1


@pytest.mark.parametrize("board", BOARDS)
def test_distance_on_a_ray_is_the_largest_coordinate_difference(board):
    geo = geometry(board)
    for cell in range(0, geo.n_cells, 7):
        x, y = cell_xy(board, cell)
        for direction in range(geo.n_dirs):
            for other in geo.rays[cell, direction, : geo.ray_length[cell, direction]].tolist():
                dx, dy = (a - b for a, b in zip(cell_xy(board, other), (x, y), strict=True))
                spans = (abs(dx), abs(dy), abs(dx + dy)) if board in HEX else (abs(dx), abs(dy))
                assert distance_between(geo, cell, other) == max(spans)


@pytest.mark.parametrize(
    ("board", "degree"), [("square8", 4), ("square19", 4), ("hex8", 6), ("hexagonal", 6)]
)
def test_territory_adjacency_is_symmetric_and_split_by_cell_number(board, degree):
    geo = geometry(board)
    near = [set(row) - {NONE} for row in geo.neighbours.tolist()]
    assert max(map(len, near)) == degree
    for cell, cells in enumerate(near):
        assert all(cell in near[other] for other in cells)
        assert set(geo.earlier[cell].tolist()) - {NONE} == {other for other in cells if other < cell}


def test_borders_spread_in_eight_directions_except_on_the_large_hexagon():
    for board in ("square8", "hex8"):
        middle = cell_index(board, 0, 0) if board == "hex8" else cell_index(board, 3, 3)
        assert NONE not in geometry(board).spread[middle]
    assert {NONE} == set(geometry("hexagonal").spread.ravel().tolist())
    assert cell_index("hex8", 1, 1) in geometry("hex8").spread[cell_index("hex8", 0, 0)]


def test_shared_tables_cannot_be_written():
    with pytest.raises(ValueError, match="read-only"):
        geometry("square8").rays[0, 0, 0] = 1


def test_coordinates_off_the_board_are_no_cell():
    assert cell_index("square8", 8, 0) == NONE
    assert cell_index("hex8", 3, 3) == NONE


def test_an_unknown_board_is_refused():
    with pytest.raises(BadInput, match="unknown board 'hex9'"):
        geometry("hex9")
