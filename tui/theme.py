"""Colours and layout. The palette holds apart for colour-blind eyes, and every tone has a glyph and a word.

Tones are those of `ringrift.client.marks`: good, busy, warn, bad, dim.
"""

from __future__ import annotations

from textual.theme import Theme

GROUND = "#0f141b"
PANEL = "#172029"
LINE = "#33475b"
TEXT = "#dbe2ea"
CURSOR = "#1f3a56"
ACCENT = "#8fc7ff"
TONES = {
    "good": "#4cc9a0",
    "busy": "#5fb4f2",
    "warn": "#f2b33d",
    "bad": "bold #ff7d62",
    "dim": "#8797a8",
    "text": TEXT,
    "accent": f"bold {ACCENT}",
}

THEME = Theme(
    name="ringrift",
    primary=ACCENT,
    secondary="#5fb4f2",
    warning="#f2b33d",
    error="#ff7d62",
    success="#4cc9a0",
    accent=ACCENT,
    foreground=TEXT,
    background=GROUND,
    surface=GROUND,
    panel=PANEL,
    dark=True,
)

CSS = f"""
Screen {{ background: {GROUND}; color: {TEXT}; layout: vertical; }}
Header, Footer {{ dock: none; height: auto; background: {PANEL}; color: {TEXT}; }}
Header {{ height: 2; }}
Footer {{ height: 1; }}
Foot {{ dock: bottom; height: auto; }}
Banner, Notice {{ height: auto; display: none; }}
Banner {{ background: #5c2317; color: #ffe9e2; padding: 0 1; }}
Notice {{ padding: 0 1; color: {ACCENT}; }}
Strap {{ height: auto; padding: 0 1; }}
Rows {{ height: 1fr; }}
Pane {{ height: auto; padding: 0 1; }}
Scroll {{ height: 1fr; scrollbar-size-vertical: 1; scrollbar-color: {LINE}; scrollbar-background: {GROUND}; }}
Scroll > Static {{ height: auto; padding: 0 1; }}
Prompt {{ height: 1; border: none; padding: 0 1; background: {PANEL}; display: none; }}
Prompt:focus {{ border: none; }}
Dialog {{ align: center middle; background: {GROUND} 60%; }}
Dialog > Vertical {{
    width: 100%; max-width: 96; height: auto; max-height: 100%;
    border: round {ACCENT}; background: {PANEL}; padding: 0 1;
    border-title-color: {ACCENT}; border-title-style: bold; border-subtitle-color: #8797a8;
}}
Dialog Scroll {{ height: auto; max-height: 100%; }}
Dialog #body {{ height: auto; padding: 0; }}
Dialog Horizontal {{ height: 1; align: right middle; margin-top: 1; }}
Choice {{ width: auto; height: 1; margin-left: 2; }}
"""
