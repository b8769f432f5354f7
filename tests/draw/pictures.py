"""Draws the pictures of boards in docs/pictures: `python -m tests.draw.pictures`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from ringrift.cli.boards.viewer import Viewer
from ringrift.cli.replay import Export, exported
from ringrift.game.config import GameConfig
from tests.draw.conftest import sample
from tests.tui.pictures import FOLDER, plain_svg

EXPORTS = {"board-square8.svg": ("square8", 3, 118), "board-hex8.svg": ("hex8", 2, 133)}
SCREENS = {
    "replay-80x24.svg": ("hex8", 2, 141, (80, 24)),
    "replay-120x40.svg": ("hexagonal", 3, 534, (120, 40)),
}


async def screen(board: str, players: int, ply: int, size: tuple[int, int]) -> str:
    """Return the SVG of the viewer's terminal."""
    app = Viewer(sample(GameConfig(board, players)), ply)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        return plain_svg(app.export_screenshot(title="ringrift-ctl replay"))


def draw(folder: Path) -> list[Path]:
    """Write every picture and return where they are."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = {
        name: exported(sample(GameConfig(board, players)), ply, Export.SVG, moves=False)
        for name, (board, players, ply) in EXPORTS.items()
    }
    pictures |= {name: asyncio.run(screen(*shown)) for name, shown in SCREENS.items()}
    for name, text in pictures.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in pictures]


def main() -> None:
    """Draw into docs/pictures, or into the folder that is named."""
    for path in draw(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER):
        print(path)


if __name__ == "__main__":
    main()
