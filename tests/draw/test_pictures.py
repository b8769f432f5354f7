"""The pictures of boards can be drawn anew, are those that the documents show, and fetch nothing."""

from __future__ import annotations

import re
from pathlib import Path

from tests.draw.pictures import EXPORTS, FOLDER, SCREENS, draw


def test_all_pictures_are_drawn_without_web_fonts_or_addresses(tmp_path: Path) -> None:
    made = draw(tmp_path)
    assert {path.name for path in made} == {*EXPORTS, *SCREENS}
    for path in made:
        svg = path.read_text(encoding="utf-8")
        assert re.findall(r"https?://[^\"' ]+", svg) == ["http://www.w3.org/2000/svg"]
        assert "@font-face" not in svg and "Sans Mono" in svg


def test_the_documented_pictures_exist() -> None:
    text = (FOLDER.parent / "CLI.md").read_text(encoding="utf-8")
    assert set(re.findall(r"pictures/([a-z0-9-]+\.svg)", text)) == {*EXPORTS, *SCREENS}
    assert all((FOLDER / name).exists() for name in (*EXPORTS, *SCREENS))
