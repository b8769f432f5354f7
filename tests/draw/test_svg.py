"""Vector pictures: well-formed, self-contained, everything on the canvas."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from ringrift.draw.position import cells_of
from ringrift.draw.svg import draw_svg
from ringrift.game.config import BOARDS, GameConfig
from tests.draw.conftest import sample

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("board", BOARDS)
def test_a_picture_has_every_cell_and_every_ring(board: str) -> None:
    game = sample(GameConfig(board, 2))
    ply = game.plies // 2
    drawn = ET.fromstring(draw_svg(game.at(ply), game.marks(ply), "a <title> & more", "a \x1b\udc80 note"))
    cells = cells_of(game.at(ply))
    grounds = [each for each in drawn.iter(f"{SVG}polygon") if each.get("fill") != "none"]
    assert len(grounds) == len(cells)
    assert len(list(drawn.iter(f"{SVG}ellipse"))) == sum(cell.height for cell in cells)
    assert len(list(drawn.iter(f"{SVG}circle"))) == sum(cell.kind == "marker" for cell in cells)
    assert drawn.findtext(f"{SVG}title") == "a <title> & more"


@pytest.mark.parametrize("board", BOARDS)
def test_nothing_is_drawn_outside_the_canvas(board: str) -> None:
    game = sample(GameConfig(board, 3))
    drawn = ET.fromstring(draw_svg(game.at(game.plies), game.marks(game.plies), "title", "a note " * 12))
    _, _, width, height = (float(part) for part in (drawn.get("viewBox") or "").split())
    corners = " ".join(each.get("points", "") for each in drawn.iter(f"{SVG}polygon")).split()
    points = [tuple(corner.split(",")) for corner in corners]
    points += [(each.get("x", "0"), each.get("y", "0")) for each in drawn.iter(f"{SVG}text")]
    assert all(0 <= float(x) <= width and 0 <= float(y) <= height for x, y in points)


def test_the_same_position_gives_the_same_picture_and_nothing_is_fetched() -> None:
    game = sample(GameConfig("hex8", 2))
    first, second = (draw_svg(game.at(50), game.marks(50)) for _ in range(2))
    assert first == second
    assert first.count("http") == 1 and "href" not in first and "@import" not in first
