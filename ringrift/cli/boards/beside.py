"""What stands beside a board, as rich text and as plain lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ringrift.cli.boards.recording import Recording
from ringrift.draw.palette import COLOURS, DIM, LETTERS, TEXT
from ringrift.draw.panel import Line, players, turn, wrapped
from ringrift.draw.text import LEGEND, draw_board, tall_stacks

if TYPE_CHECKING:
    from rich.text import Text

PLAIN_WIDTH = 100
"""Columns at which words below a plain board are broken."""
LONGEST_KEY = 60
"""Characters of a key that are shown; keys of large regions are longer."""


def recorded(recording: Recording, ply: int) -> list[Line]:
    """Return all lines about position `ply` of a recording."""
    game = recording.at(ply)
    note = recording.notes.get(ply)
    lines: list[Line] = [*players(game), ("", 0), *turn(game), ("", 0)]
    lines += [(recording.words(ply), 0), (cut(recording.key(ply)), -1)]
    if note and note.values:
        lines += [("", 0), ("root value", -1)]
        lines += [(_bar(seat, value), seat) for seat, value in enumerate(note.values, start=1)]
    if note and note.target:
        lines += [("", 0), ("search target", -1)]
        lines += [(f"{share:>4.0%} {cut(key)}", 0) for key, share in note.target]
    tall = tall_stacks(game)
    if tall:
        lines += [("", 0), ("stacks of ten and more", -1), *((stack, 0) for stack in tall)]
    if recording.facts:
        lines += [("", 0), *((fact, -1) for fact in recording.facts)]
    return lines


def cut(key: str) -> str:
    return key if len(key) <= LONGEST_KEY else key[: LONGEST_KEY - 1] + "…"


def _bar(seat: int, value: float) -> str:
    return f"{LETTERS[seat]} {value:>4.0%} {'━' * round(value * 12)}"


def rich_lines(lines: Iterable[Line], width: int) -> Text:
    """Return lines broken to a width, in the colours of their seats."""
    from rich.text import Text

    drawn = Text(end="")
    for number, (line, tone) in enumerate(wrapped(list(lines), width)):
        style = DIM if tone < 0 else COLOURS[tone] if tone else TEXT
        drawn.append(("\n" if number else "") + line, style)
    return drawn


def plain_page(recording: Recording, ply: int) -> list[str]:
    """Return a position for a pipe or file: title, board with walls, legend, counters, last move."""
    game = recording.at(ply)
    board = draw_board(game, "lined", recording.marks(ply)).lines()
    title = f"{recording.title}: {recording.config.key}, ply {ply} of {recording.plies}"
    words = [line for line, _ in wrapped(recorded(recording, ply), PLAIN_WIDTH)]
    return [title, "", *board, "", LEGEND, "", *words]


def move_list(recording: Recording) -> list[str]:
    """Return every move on a line: ply, seat, key, words."""
    lines = []
    for ply in range(1, recording.plies + 1):
        who, _, words = recording.words(ply).partition(" ")
        lines.append(f"{ply:>5} {who} {recording.key(ply)}  {words}")
    return lines


def plain(lines: Sequence[Line], width: int = PLAIN_WIDTH) -> list[str]:
    return [line for line, _ in wrapped(lines, width)]
