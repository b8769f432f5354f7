"""The line mode of `play`: boards and questions on stdout, moves from stdin. For pipes and scripts."""

from __future__ import annotations

from io import TextIOWrapper
from typing import IO

from ringrift.cli.boards.beside import plain
from ringrift.cli.boards.match import Choose, Match
from ringrift.draw.palette import LETTERS
from ringrift.draw.text import LEGEND, draw_board
from ringrift.draw.words import describe
from ringrift.errors import RingRiftError
from ringrift.notation.keys import key_of

USAGE = "a move's key, the beginning of one or its number; list, hint, undo, board, quit"
LONGEST_LINE = 65_536
"""Characters of a line that is refused."""


def play_lines(match: Match, choose: Choose, advise: Choose, stdin: IO[str], stdout: IO[str]) -> None:
    """Play until the game is over, the person quits or the input ends."""
    if isinstance(stdin, TextIOWrapper):
        stdin.reconfigure(errors="replace")
    stdout.write(f"{LEGEND}\nanswer with {USAGE}\n")
    show = True
    while not match.game.over:
        if match.waits_for_opponent:
            match.play(choose(match.game))
            continue
        if show:
            _show(match, stdout)
        stdout.write(f"{LETTERS[match.person]}> ")
        stdout.flush()
        answer = _read_line(stdin)
        if answer is None or answer.strip() in ("quit", "q"):
            stdout.write("\nleft before the end\n")
            return
        show = _answer(match, advise, answer, stdout)
    _show(match, stdout)


def _read_line(stdin: IO[str]) -> str | None:
    """Return a line, cut where it is too long; None at the end of the input."""
    line = part = stdin.readline(LONGEST_LINE)
    while part and not part.endswith("\n"):
        part = stdin.readline(LONGEST_LINE)
    return line.removesuffix("\n") if line else None


def _answer(match: Match, advise: Choose, text: str, stdout: IO[str]) -> bool:
    """Do what a line asks for; return whether the board is to be shown again."""
    if len(text) == LONGEST_LINE:
        stdout.write("no: the line is too long\n")
        return False
    text = text.strip()
    if text in ("board", ""):
        return True
    if text in ("list", "?"):
        for number, (key, words) in enumerate(match.listing(), start=1):
            stdout.write(f"{number:>5} {key}  {words}\n")
        return False
    if text == "hint":
        move = advise(match.game)
        stdout.write(f"hint: {key_of(match.game, move)}  {describe(match.game, move)}\n")
        return False
    try:
        if text == "undo":
            match.undo()
        else:
            match.decide(match.find(text))
    except RingRiftError as problem:
        stdout.write(f"no: {problem.line()}\n")
        return False
    return True


def _show(match: Match, stdout: IO[str]) -> None:
    board = draw_board(match.game, "lined", match.last).lines()
    stdout.write("\n".join(["", *board, "", *plain([*match.standing(), *match.news()]), ""]) + "\n")
