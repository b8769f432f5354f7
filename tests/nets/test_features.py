"""What the network sees of a position, checked against a slow reading of the documented planes."""

from __future__ import annotations

import numpy as np
import pytest

from ringrift.game import phases
from ringrift.game.board import add_marker, put_stack
from ringrift.game.config import ALL_CONFIGS, GameConfig
from ringrift.game.geometry import NONE, cell_index, geometry
from ringrift.game.moves import (
    CHOOSE_LINE,
    MOVE_STACK,
    OVERTAKING_CAPTURE,
    PLACE_RING,
    SKIP_PLACEMENT,
    at_cell,
    pack,
)
from ringrift.game.state import new_positions, start
from ringrift.nets import planes as at
from ringrift.nets.features import encode, to_absolute
from ringrift.nets.grid import grid


def encode_one(states, moves=()):
    config = GameConfig("square8", int(states[0]["players"]))
    return encode(config.board, states, np.array(moves, np.int64), np.array([0, len(moves)]))


def read_planes(geo, state):
    """Return the planes of a position as the table in `nets.planes` defines them, (cells, planes)."""
    players, mover = int(state["players"]), int(state["player"])
    found = np.zeros((geo.n_cells, at.PLANES))
    found[:, at.MASK] = 1
    for cell in range(geo.n_cells):
        for first, field in ((at.STACKS, "top"), (at.MARKERS, "marker"), (at.COLLAPSED, "collapsed")):
            owner = int(state[field][cell])
            if owner:
                found[cell, first + (owner - mover) % players] = 1
        height, cap = int(state["height"][cell]), int(state["cap"][cell])
        for depth in range(1, height):
            owner = (int(state["rings"][cell]) >> 2 * depth & 3) + 1
            found[cell, at.BURIED + (owner - mover) % players] += 0.25
        found[cell, at.HEIGHT], found[cell, at.CAP] = height / 8, cap / 8
        found[cell, at.TALL : at.TALL + 3] = [height >= least for least in (2, 3, 4)]
        found[cell, at.THICK : at.THICK + 2] = [cap >= least for least in (2, 3)]
        active = cell in (int(state["must_move"]), int(state["chain_cell"]))
        found[cell, at.ACTIVE_STACK] = active
    return found


@pytest.mark.parametrize("config", ALL_CONFIGS, ids=lambda config: config.key)
def test_planes_are_what_their_table_says(config, positions):
    states, moves, offsets = positions(config, 4, 60)
    inputs = encode(config.board, states, moves, offsets)
    spots = grid(config.board).cells[0]
    flat = inputs.planes.numpy().reshape(len(states), -1, at.PLANES)
    for i, state in enumerate(states):
        np.testing.assert_allclose(flat[i, spots], read_planes(geometry(config.board), state), atol=1e-6)
        off_board = np.delete(flat[i], spots, axis=0)
        assert (off_board == 0).all()


def test_scalars_are_what_their_table_says():
    states = new_positions(1)
    start(states, 0, GameConfig("square8", 3))
    state = states[0]
    state["player"], state["phase"] = 2, phases.LINES
    state["hand"][1:4], state["eliminated"][1:4], state["territory"][1:4] = (18, 9, 0), (0, 12, 6), (11, 0, 0)
    state["stacks"][1:4], state["on_board"][1:4] = (3, 6, 0), (0, 9, 18)
    state["lps_exclusive"], state["lps_streak"] = 1, 2
    state["pending"], state["acted"] = phases.OWED_LINE, 1
    scalars = encode_one(states).scalars.numpy()[0]
    expected = np.zeros(at.SCALARS)
    expected[at.EXISTS : at.EXISTS + 3] = 1
    expected[at.HAND : at.HAND + 3] = (0.5, 0, 1)
    expected[at.ELIMINATED : at.ELIMINATED + 3] = (0.5, 0.25, 0)
    expected[at.TERRITORY : at.TERRITORY + 3] = (0, 0, 0.5)
    expected[at.CONTROLLED : at.CONTROLLED + 3] = (6 / 18, 0, 3 / 18)
    expected[at.RINGS : at.RINGS + 3] = (0.5, 1, 0)
    expected[at.LONE + 2] = 2 / 3
    expected[at.PHASE + phases.LINES] = 1
    expected[at.OWED] = 1
    expected[at.SHORT_LINES] = 1
    expected[at.ACTED] = 1
    np.testing.assert_allclose(scalars, expected, atol=1e-6)


def test_the_pie_rule_is_seen_only_while_it_can_be_used():
    states = new_positions(1)
    start(states, 0, GameConfig("square8", 2), swap=True)
    assert encode_one(states).scalars[0, at.SWAP_OPEN] == 1
    states[0]["moved"] = 0b110
    assert encode_one(states).scalars[0, at.SWAP_OPEN] == 0
    states[0]["swapped"] = 1
    assert encode_one(states).scalars[0, at.SWAP_USED] == 1


def test_moves_name_their_cells_by_role():
    states = new_positions(1)
    start(states, 0, GameConfig("square8", 2))
    moves = [
        at_cell(PLACE_RING, 5, 3),
        pack(MOVE_STACK, 1, NONE, 9, 0, 0, NONE),
        pack(OVERTAKING_CAPTURE, 1, 2, 4, 0, 0, NONE),
        SKIP_PLACEMENT,
    ]
    inputs = encode_one(states, moves)
    assert inputs.cells.tolist() == [[5, -1, 5, -1], [1, -1, 9, -1], [1, 2, 4, -1], [-1, -1, -1, -1]]
    kinds = [at.DETAILS * PLACE_RING + 3, at.DETAILS * MOVE_STACK, at.DETAILS * OVERTAKING_CAPTURE]
    assert inputs.kinds.tolist() == [*kinds, at.DETAILS * SKIP_PLACEMENT]
    assert inputs.rows.tolist() == [0, 0, 0, 0]


def test_a_line_move_shows_which_cells_collapse():
    states = new_positions(1)
    start(states, 0, GameConfig("square8", 2))
    first = cell_index("square8", 1, 2)
    whole = at_cell(CHOOSE_LINE, first, 6)
    window = whole | (0 + 4 * 2) << 37
    inputs = encode_one(states, [whole, window])
    assert inputs.cells[0].tolist() == [first, -1, first, first + 5]
    assert inputs.cells[1].tolist() == [first, -1, first + 1, first + 4]
    assert inputs.kinds[0] != inputs.kinds[1]


@pytest.mark.parametrize("config", ALL_CONFIGS, ids=lambda config: config.key)
def test_legal_moves_of_one_position_look_different_to_the_net(config, positions):
    states, moves, offsets = positions(config, 6, 80, seed=3)
    inputs = encode(config.board, states, moves, offsets)
    seen = [(int(row), int(kind), *cells) for row, kind, cells in zip(
        inputs.rows, inputs.kinds, inputs.cells.tolist(), strict=True)]  # fmt: skip
    assert len(set(seen)) == len(seen)


def test_turning_a_position_moves_planes_and_moves_together(positions):
    states, moves, offsets = positions(GameConfig("hex8", 2), 3, 40)
    plain = encode("hex8", states, moves, offsets)
    for orientation in range(4):
        turned = encode("hex8", states, moves, offsets, np.full(3, orientation))
        to = {
            int(a): int(b)
            for a, b in zip(grid("hex8").cells[0], grid("hex8").cells[orientation], strict=True)
        }
        for spot, image in to.items():
            before = plain.planes.reshape(3, 81, -1)[:, spot]
            assert (turned.planes.reshape(3, 81, -1)[:, image] == before).all()
        expected = [[to.get(spot, -1) for spot in row] for row in plain.cells.tolist()]
        assert turned.cells.tolist() == expected


def test_the_view_turns_with_the_mover():
    states = new_positions(2)
    for i in range(2):
        start(states, i, GameConfig("square8", 4))
        states[i]["player"] = i + 2
        put_stack(geometry("square8"), states, i, 10, i + 1, 1)
        add_marker(geometry("square8"), states, i, 20, (i + 3) % 4 + 1)
    inputs = encode("square8", states, np.zeros(0, np.int64), np.zeros(3, np.int64))
    np.testing.assert_array_equal(inputs.planes[0], inputs.planes[1])


def test_values_turn_from_the_movers_view_to_the_seats(positions):
    states, _, _ = positions(GameConfig("hex8", 3), 5, 30)
    relative = np.random.default_rng(0).random((5, 4)).astype(np.float32)
    absolute = np.full_like(relative, 9)
    to_absolute(states, np.arange(5), relative, absolute)
    for i, state in enumerate(states):
        turns = [(seat - state["player"]) % 3 for seat in (1, 2, 3)]
        assert absolute[i].tolist() == [*relative[i, turns], 0]
