"""The pictures of the documentation can be drawn anew and fetch nothing from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

from tests.tui.pictures import FOLDER, SCREENS, SIZES, draw


async def test_all_pictures_are_drawn_without_web_fonts_or_addresses(tmp_path: Path) -> None:
    made = await draw(tmp_path)
    assert len(made) == len(SCREENS) * len(SIZES)
    for path in made:
        svg = path.read_text(encoding="utf-8")
        assert re.findall(r"https?://[^\"' ]+", svg) == ["http://www.w3.org/2000/svg"]
        assert "@font-face" not in svg
        assert "Sans Mono" in svg


def test_the_documented_pictures_exist() -> None:
    text = (FOLDER.parent / "TUI.md").read_text(encoding="utf-8")
    named = set(re.findall(r"pictures/([a-z0-9-]+\.svg)", text))
    assert named == {f"{name}-{width}x{height}.svg" for name in SCREENS for width, height in SIZES}
    assert all((FOLDER / name).exists() for name in named)
