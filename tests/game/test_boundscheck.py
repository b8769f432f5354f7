"""Every access to an array is within it: a part of the tests with numba's bounds check, and why it suffices.

The check finds every index beyond the end and none below 0, which would count from the end. So no table may
hold a negative cell, and the sentinel for "no cell" must be beyond the end of everything that cells index.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ringrift.game.config import ALL_CONFIGS, BOARDS
from ringrift.game.geometry import MAX_CELLS, NONE, Geometry, geometry
from ringrift.game.state import POSITION, new_scratch
from tests.game.games import opening, plies

OFFSETS = ("xy", "dx", "dy", "step")
"""Tables of differences and coordinates, which are no indices."""
ROOT = Path(__file__).resolve().parents[2]
CHECKED = (
    "tests/game/test_worked_examples.py",
    "tests/game/test_moves.py",
    "tests/game/test_playout.py",
    "tests/notation/test_traces.py::test_the_sample_replays_without_a_difference",
)
BEYOND_THE_END = """
import numpy as np
from ringrift.game._jit import jit
from ringrift.game.geometry import NONE
from ringrift.game.state import POSITION

@jit
def height_at(states, cell):
    return states[0]["height"][cell]

try:
    height_at(np.zeros(1, POSITION), NONE)
except IndexError:
    print("caught")
"""

needs_compiling = pytest.mark.skipif("NUMBA_DISABLE_JIT" in os.environ, reason="compiling is switched off")


def run_checked(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "NUMBA_BOUNDSCHECK": "1"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)


@needs_compiling
def test_using_no_cell_as_an_index_is_caught():
    assert run_checked("-c", BEYOND_THE_END).stdout == "caught\n"


@needs_compiling
@pytest.mark.skipif(os.environ.get("NUMBA_BOUNDSCHECK") == "1", reason="this whole run is checked")
@pytest.mark.timeout(900)
def test_examples_playouts_and_recorded_games_stay_within_their_arrays():
    done = run_checked("-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *CHECKED)
    assert done.returncode == 0, done.stdout + done.stderr


def tables(geo: Geometry) -> Iterator[tuple[str, np.ndarray]]:
    """Yield every array of a board, those inside of records too."""
    for name, value in geo._asdict().items():
        if isinstance(value, np.ndarray):
            inside = value.dtype.names
            yield from ((each, value[each]) for each in inside) if inside else [(name, value)]


@pytest.mark.parametrize("board", BOARDS)
def test_no_table_of_a_board_holds_a_number_that_counts_from_the_end(board):
    checked = [name for name, table in tables(geometry(board)) if name not in OFFSETS and table.min() >= 0]
    assert checked == [name for name, _ in tables(geometry(board)) if name not in OFFSETS]
    assert checked


@pytest.mark.parametrize("board", BOARDS)
def test_no_cell_is_beyond_everything_that_cells_index(board):
    assert geometry(board).n_cells <= MAX_CELLS <= NONE
    assert max(max(POSITION[name].shape, default=0) for name in POSITION.names) == MAX_CELLS
    sizes = {name: max(array.shape) for name, array in new_scratch(board)._asdict().items()}
    assert [name for name, size in sizes.items() if size > NONE] in ([], ["moves"])


@pytest.mark.parametrize("config", ALL_CONFIGS, ids=lambda config: config.key)
def test_the_cells_that_a_position_remembers_are_cells_or_none(config):
    game = opening(config, 5)
    cells = {*range(config.cells), NONE}
    for _, move in plies(game, random.Random(config.key)):
        assert {int(game.states[0]["must_move"]), int(game.states[0]["chain_cell"])} <= cells
        assert move >= 0
