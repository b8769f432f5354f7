"""Boards as characters: what stands where, at which size, and that colour only adds."""

from __future__ import annotations

import re

import pytest
from rich.console import Console

from ringrift.draw.layout import best_style, layout, size_of
from ringrift.draw.palette import COLOURS
from ringrift.draw.position import Marks, cells_of, marks_of
from ringrift.draw.text import draw_board, tall_stacks
from ringrift.game.config import ALL_CONFIGS, BOARDS, GameConfig
from ringrift.game.geometry import cell_index
from ringrift.notation.keys import move_of
from tests.draw.conftest import sample
from tests.game.conftest import make_position

SQUARE = """\
     0   1   2   3   4   5   6   7  
   ┌───┬───┬───┬───┬───┬───┬───┬───┐
 0 │A3²│   │   │   │   │   │   │   │
   ├───┼───┼───┼───┼───┼───┼───┼───┤
 1 │   (●B )   [B1¹]   │   │   │   │
   ├───┼───┼───┼───┼───┼───┼───┼───┤
 2 │   │   │▒A▒│   │   │   │   │   │
"""  # noqa: W291
HEX = """\
            0   1   2   3   4            
             ╱ ╲ ╱ ╲ ╱ ╲ ╱ ╲ ╱ ╲         
         -4 │   │   │   │   │B2¹│        
           ╱ ╲ ╱ ╲ ╱ ╲ ╱ ╲ ╱ ╲ ╱ ╲       
       -3 │   │   │   │   │   │   │      
         ╱ ╲ ╱ ╲ ╱ ╲ ╱ ╲ ╱ ╲ ╱ ╲ ╱ ╲     
     -2 │   │   │   │   │   │   │   │    
       ╱ ╲ ╱ ╲ ╱ ╲ ╱ ╲ ╱ ╲ ╱ ╲ ╱ ╲ ╱ ╲   
   -1 │   │   │   │   │   │   │   │   │  
     ╱ ╲ ╱ ╲ ╱ ╲ ╱ ╲ ╱ ╲ ╱ ╲ ╱ ╲ ╱ ╲ ╱ ╲ 
  0 │●C │   │   │   │A1¹│   │   │   │▒B▒│
     ╲ ╱ ╲ ╱ ╲ ╱ ╲ ╱ ╲ ╱ ╲ ╱ ╲ ╱ ╲ ╱ ╲ ╱ 
    1 │   │   │   │   │   │   │   │   │  
"""  # noqa: W291


def test_a_square_board_shows_stacks_markers_territory_and_the_last_move() -> None:
    game = make_position(
        stacks={(0, 0): [1, 1, 2], (3, 1): [2]}, markers={(1, 1): 2}, collapsed={(2, 2): 1}, player=1
    )
    marks = Marks(cell_index("square8", 1, 1), cell_index("square8", 3, 1))
    assert draw_board(game, "lined", marks).lines()[:7] == SQUARE.splitlines()


def test_a_hex_board_is_drawn_in_shifted_rows_with_its_coordinates_on_the_rim() -> None:
    game = make_position(
        "hex8_3p", stacks={(4, -4): [2, 1], (0, 0): [1]}, markers={(-4, 0): 3}, collapsed={(4, 0): 2}
    )
    lines = draw_board(game, "lined").lines()
    assert lines[:13] == HEX.splitlines()
    assert lines[-1].split() == ["-4", "-3", "-2", "-1", "0"]


def test_the_tight_style_has_a_dot_on_every_empty_cell() -> None:
    game = make_position("square19_2p", stacks={(0, 0): [1], (18, 18): [2, 2]})
    lines = draw_board(game, "tight").lines()
    assert lines[1] == " 0 A1¹" + " · " * 18
    assert lines[19] == "18 " + " · " * 18 + "B2²"


def test_stacks_of_ten_and_more_are_told_in_words() -> None:
    game = make_position("square19_2p", stacks={(3, 4): [1] * 10 + [2] * 2})
    assert "A+⁺" in draw_board(game, "tight").lines()[5]
    assert tall_stacks(game) == ["A12¹⁰ on 3,4"]


@pytest.mark.parametrize("board", BOARDS)
def test_every_part_of_a_layout_lies_on_its_grid(board: str) -> None:
    for style in ("lined", "tight"):
        plan = layout(board, style)
        assert len(set(plan.places)) == len(plan.places) == GameConfig(board, 2).cells
        for row, column, length in [
            *((row, column, 3) for row, column in plan.places),
            *((mark.row, mark.column, len(mark.text)) for mark in (*plan.walls, *plan.rim)),
        ]:
            assert 0 <= row < plan.height and column >= 0 and column + length <= plan.width


@pytest.mark.parametrize(
    ("board", "terminal", "style"),
    [
        ("square8", (80, 24), "lined"),
        ("hex8", (80, 24), "lined"),
        ("square19", (80, 24), "tight"),
        ("square19", (120, 40), "tight"),
        ("hexagonal", (120, 40), "tight"),
    ],
)
def test_boards_fit_with_room_for_the_counters(board: str, terminal: tuple[int, int], style: str) -> None:
    config, (width, height) = GameConfig(board, 4), terminal
    assert best_style(config, width - 20, height - 2) == style
    wide, high = size_of(config, style)
    assert wide + 20 <= width and high + 2 <= height


@pytest.mark.parametrize("config", ALL_CONFIGS, ids=lambda config: config.key)
def test_every_position_of_a_game_is_drawn_at_the_same_size(config: GameConfig) -> None:
    game = sample(config)
    for ply in range(game.plies + 1):
        position = game.at(ply)
        style = "lined" if ply % 8 == 0 else "tight"
        lines = draw_board(position, style, game.marks(ply)).lines()
        width, height = size_of(config, style)
        assert len(lines) == height and {len(line) for line in lines} == {width}
        stacks = sum(cell.kind == "stack" for cell in cells_of(position))
        assert len(re.findall(r"[A-D][1-9+][¹²³⁴-⁹⁺]", "\n".join(lines))) == stacks


def test_colour_only_adds_to_the_same_characters() -> None:
    game = sample(GameConfig("hex8", 3))
    canvas = draw_board(game.at(60), "lined", game.marks(60))
    assert canvas.text().plain.split("\n") == canvas.lines()
    console = Console(width=80, force_terminal=True, color_system=None)
    with console.capture() as captured:
        console.print(canvas.text())
    assert re.sub(r"\x1b\[[0-9;]*m", "", captured.get()).rstrip("\n").split("\n") == canvas.lines()
    assert not re.search(r"\x1b\[[0-9;]*[34]8;", captured.get())


def test_every_seat_has_a_colour_and_a_letter_of_its_own() -> None:
    assert len(set(COLOURS[1:])) == 4
    game = make_position("square8_4p", stacks={(0, 0): [1], (1, 0): [2], (2, 0): [3], (3, 0): [4]})
    assert draw_board(game).lines()[2].startswith(" 0 │A1¹│B1¹│C1¹│D1¹│")


def test_a_capture_marks_origin_target_and_landing() -> None:
    game = make_position(stacks={(0, 3): [1, 1], (2, 3): [2]})
    marks = marks_of(game, move_of(game, "C:0,3^2,3>3,3"))
    assert (marks.origin, marks.to, marks.others) == (
        cell_index("square8", 0, 3), cell_index("square8", 3, 3), {cell_index("square8", 2, 3)},
    )  # fmt: skip
