"""Draws the pictures of the screens in docs/pictures: `python -m tests.tui.pictures`.

The same sample fleet and clock every time, so that a picture changes only when the terminal does. The SVGs
name only fonts of the reader's machine and fetch nothing.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import tempfile
from pathlib import Path

from tests.cli.double import Direct, World
from tui.app import RingRiftApp

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
FONTS = "'DejaVu Sans Mono', Menlo, Consolas, 'Liberation Mono', monospace"
SIZES = ((120, 40), (80, 24))
SCREENS = {
    "fleet": ("n",),
    "configs": ("2", "n"),
    "production": ("3", "n"),
    "promotion": ("2", "n", "P"),
    "alerts": ("4",),
    "host": ("n", "enter"),
}


async def picture(keys: tuple[str, ...], size: tuple[int, int]) -> str:
    """Return the SVG of the terminal after some keys."""
    app = RingRiftApp(
        operate=True,
        connect=lambda: Direct(World()),
        clock=lambda: 1_000_000.0,
        where="127.0.0.1:8470",
        who="ring",
    )
    async with app.run_test(size=size) as pilot:
        await pilot.pause(0.5)
        for key in keys:
            await pilot.press(key)
            await pilot.pause(0.8)
        await app.feed.round()
        await pilot.pause()
        return plain_svg(app.export_screenshot(title="ringrift-ctl tui"))


def plain_svg(svg: str) -> str:
    """Return an SVG without web fonts, foreign addresses and window buttons."""
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.S)
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.S)
    svg = re.sub(r"<circle [^>]*/>\s*", "", svg)
    svg = svg.replace("Fira Code, monospace", FONTS)
    return re.sub(r"[ \t]+$", "", svg, flags=re.M)


async def draw(folder: Path) -> list[Path]:
    """Write every picture and return where they are."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for name, keys in SCREENS.items():
        for width, height in SIZES:
            path = folder / f"{name}-{width}x{height}.svg"
            path.write_text(await picture(keys, (width, height)), encoding="utf-8")
            made.append(path)
    return made


def main() -> None:
    """Draw into docs/pictures, or into the folder that is named."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    with tempfile.TemporaryDirectory() as home:
        os.environ["RINGRIFT_HOME"] = home
        for path in asyncio.run(draw(folder)):
            print(path)


if __name__ == "__main__":
    main()
