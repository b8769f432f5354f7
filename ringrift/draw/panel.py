"""What stands beside a board, as short lines: the players' counters, the turn, the last move."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from ringrift.draw.palette import LETTERS
from ringrift.draw.words import ending, phase_words
from ringrift.game.play import Game

Line = tuple[str, int]
"""A line and the seat whose colour it has; 0 for plain, -1 for dim."""


def players(game: Game) -> list[Line]:
    """Return the counters of every seat, and what wins, in 18 columns."""
    position, config = game.states[0], game.config
    lines: list[Line] = [("    hand elim terr", -1)]
    for seat in range(1, config.players + 1):
        turn = "▶" if seat == game.player else "★" if seat == game.winner else " "
        hand, gone, land = (int(position[name][seat]) for name in ("hand", "eliminated", "territory"))
        lines.append((f"{turn} {LETTERS[seat]}{hand:>5}{gone:>5}{land:>5}", seat))
    rings, land = int(position["ring_threshold"]), int(position["territory_threshold"])
    return [*lines, (f"to win  {rings:>5}{land:>5}", -1)]


def turn(game: Game) -> list[Line]:
    """Return phase and seat to move, or the ending; and the run of the last player standing."""
    position = game.states[0]
    lines: list[Line] = []
    if game.over:
        lines.append((ending(game), game.winner))
    else:
        lines.append((f"{LETTERS[game.player]}: {phase_words(game)}", game.player))
    streak, seat = int(position["lps_streak"]), int(position["lps_exclusive"])
    if streak and seat:
        needed = int(position["lps_required"])
        lines.append((f"last player standing: {LETTERS[seat]} {streak} of {needed} rounds", seat))
    if position["swapped"]:
        lines.append(("the sides were swapped", -1))
    return lines


def wrapped(lines: Sequence[Line], width: int) -> list[Line]:
    """Break lines at words to a width; go-on lines are indented by two."""
    return [
        (part, tone)
        for line, tone in lines
        for part in (textwrap.wrap(line, width, subsequent_indent="  ", drop_whitespace=False)
                     if len(line) > width else [line])
    ]  # fmt: skip
