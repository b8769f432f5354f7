"""Turning or mirroring the board turns the game with it, except where the rules name a direction or an order.

A symmetry always commutes with placements, moves, captures, chains, lines and their windows, the discovery
of regions, eliminations and the ends of a game. It does not commute, and a test below proves each case, with

* the border of a claimed region on `hex8`: it also spreads along (1,1) and (-1,-1), which eight of the twelve
  symmetries map to other offsets (section 1.2). Square boards spread in all eight directions and `hexagonal`
  nowhere, which is symmetric;
* a recovery slide that makes lines on two axes: the first axis in the order of section 1.2 counts, and both
  the cells that collapse and whether option 2 exists may depend on it (section 9, row 9);
* the default window of recovery option 2 and the default stack that pays for a slide: they are the first ones
  in the order of cells. Moves that name window and payer do commute.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from ringrift.game.config import ALL_CONFIGS, GameConfig
from ringrift.game.geometry import geometry
from ringrift.game.play import Game
from ringrift.nets.grid import grid
from ringrift.notation.canonical import canonical_state, lps_counters
from ringrift.notation.keys import key_of, legal_keys, move_of
from ringrift.notation.movejson import move_to_json
from tests.game.games import choose, opening
from tests.game.symmetry import Matrix, symmetries, turn_cell, turn_key, turn_state

every_config = pytest.mark.parametrize("config", ALL_CONFIGS, ids=lambda config: config.key)


def explicit_key(game: Game, move: int) -> str:
    """Return the key of a move with nothing left to an order of cells."""
    key, described = key_of(game, move), move_to_json(game, move)
    if key.startswith("RL2"):
        window = (f"{at['x']},{at['y']}" for at in described["collapsePositions"])
        return f"{key}={'/'.join(sorted(window))}"
    if "extractionStacks" in described:
        return f"{key}@{','.join(described['extractionStacks'][0].split(',')[:2])}"
    return key


@pytest.fixture
def pair(position) -> Callable[..., tuple[Game, Game]]:
    """Make a position and the same one on the turned board."""

    def make(config: str, matrix: Matrix, **content: Any) -> tuple[Game, Game]:
        def turned(cells: dict[tuple[int, int], Any]) -> dict[tuple[int, ...], Any]:
            return {turn_cell(GameConfig.parse(config).board, matrix, cell): cells[cell] for cell in cells}

        board = {name: content.pop(name, {}) for name in ("stacks", "markers")}
        other = {name: turned(cells) for name, cells in board.items()}
        return position(config, **board, **content), position(config, **other, **content)

    return make


def commutes(games: tuple[Game, Game], matrix: Matrix, key: str) -> bool:
    """Play a move and its image; tell whether the positions are still images of each other."""
    game, turned = games
    board = game.config.board
    game.apply(move_of(game, key))
    turned.apply(move_of(turned, turn_key(board, matrix, key)))
    return canonical_state(turned) == turn_state(board, matrix, canonical_state(game))


def kept(config: GameConfig) -> list[Matrix]:
    """Return the symmetries under which the borders of a region spread alike."""
    every = symmetries(config.board)
    if config.board != "hex8":
        return every
    return [matrix for matrix in every if turn_cell("hex8", matrix, (1, 1)) in ((1, 1), (-1, -1))]


@pytest.mark.parametrize("board", ["square8", "square19", "hex8", "hexagonal"])
def test_every_board_has_all_symmetries_of_its_shape(board):
    assert len(symmetries(board)) == (12 if board.startswith("hex") else 8)


@pytest.mark.parametrize("board", ["square8", "square19", "hex8", "hexagonal"])
def test_training_turns_positions_only_by_symmetries_that_commute(board):
    names = [tuple(cell) for cell in geometry(board).xy.tolist()]
    table = grid(board)
    place = {int(at): cell for at, cell in zip(table.cells[0], names, strict=True)}
    used = {tuple(place[int(at)] for at in row) for row in table.cells}
    commuting = kept(GameConfig(board, 2))
    assert used == {tuple(turn_cell(board, matrix, cell) for cell in names) for matrix in commuting}


@every_config
def test_a_turned_game_is_the_same_game(config: GameConfig):
    board = config.board
    for number, matrix in enumerate(kept(config)):
        generator = random.Random(f"{config.key} {number}")
        supply = (6, 4, None)[number % 3] if config.cells < 100 else 4
        game, turned = opening(config, supply), opening(config, supply)
        while not game.over:
            expected = sorted(turn_key(board, matrix, key) for key in legal_keys(game))
            assert legal_keys(turned) == expected
            key = explicit_key(game, choose(game.legal().tolist(), generator))
            game.apply(move_of(game, key))
            turned.apply(move_of(turned, turn_key(board, matrix, key)))
            assert canonical_state(turned) == turn_state(board, matrix, canonical_state(game))
            assert lps_counters(turned) == lps_counters(game)
        assert turned.states[0]["reason"] == game.states[0]["reason"]


def test_borders_on_hex8_spread_alike_under_four_of_twelve_symmetries(pair):
    example_15 = {
        "stacks": {(-4, 0): [2], (0, 0): [1, 1], (4, 0): [2, 1]},
        "markers": {(-4, 1): 1, (-3, 0): 1, (-3, -1): 1, (-3, 2): 2, (-2, 1): 2, (-1, 2): 2},
        "phase": "territory_processing",
    }
    every = symmetries("hex8")
    found = [matrix for matrix in every if commutes(pair("hex8_2p", matrix, **example_15), matrix, "T:-4,0")]
    assert found == kept(GameConfig("hex8", 2))
    assert len(found) == 4


TRANSPOSED: Matrix = ((0, 1), (1, 0))
HALF_TURN: Matrix = ((-1, 0), (0, -1))
CROSS = {(0, 3): 1, (1, 3): 1, (2, 3): 1, (3, 0): 1, (3, 1): 1, (3, 2): 1, (4, 4): 1}
"""The slide of (4,4) to (3,3) makes a row and a column of four."""


def test_of_two_lines_made_by_a_slide_the_row_collapses_on_either_board(pair):
    games = pair("square8_2p", TRANSPOSED, stacks={(7, 7): [2, 1]}, markers=CROSS)
    assert not commutes(games, TRANSPOSED, "RL1:4,4>3,3@7,7")
    for game in games:
        assert set(canonical_state(game)["co"]) == {"0,3", "1,3", "2,3", "3,3"}


def test_whether_a_slide_has_the_free_option_may_depend_on_the_orientation(pair):
    games = pair("square8_2p", TRANSPOSED, stacks={(7, 7): [2, 1]}, markers={**CROSS, (4, 3): 1})
    offered = ["RL2:4,4>3,3" in legal_keys(game) for game in games]
    assert offered == [True, False]


LONG_RUN = {(0, 0): 1, (1, 0): 1, (2, 0): 1, (4, 0): 1, (3, 1): 1}


@pytest.mark.parametrize(
    ("choice", "same"), [("", False), ("=0,0/1,0/2,0/3,0", True), ("=1,0/2,0/3,0/4,0", True)]
)
def test_the_window_of_a_free_slide_turns_with_the_board_only_if_it_is_named(pair, choice, same):
    games = pair("square8_2p", HALF_TURN, stacks={(5, 5): [2, 1]}, markers=LONG_RUN)
    assert commutes(games, HALF_TURN, f"RL2:3,1>3,0{choice}") is same


@pytest.mark.parametrize(("choice", "same"), [("", False), ("@5,5", True), ("@1,6", True)])
def test_the_stack_that_pays_turns_with_the_board_only_if_it_is_named(pair, choice, same):
    stacks = {(5, 5): [2, 1], (1, 6): [2, 2, 1]}
    games = pair("square8_2p", HALF_TURN, stacks=stacks, markers={(5, 2): 1})
    assert commutes(games, HALF_TURN, f"RF:5,2>4,2{choice}") is same
