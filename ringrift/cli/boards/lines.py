"""The line mode of `play`: boards and questions on stdout, moves from stdin. For pipes and scripts."""

from __future__ import annotations

from typing import IO

from ringrift.cli.boards.beside import plain
from ringrift.cli.boards.match import Choose, Match
from ringrift.draw.palette import LETTERS
from ringrift.draw.text import LEGEND, draw_board
from ringrift.draw.words import describe
from ringrift.errors import RingRiftError
from ringrift.notation.keys import key_of

USAGE = "a move's key, the beginning of one or its number; list, hint, undo, board, quit"


def play_lines(match: Match, choose: Choose, advise: Choose, stdin: IO[str], stdout: IO[str]) -> None:
    """Play until the game is over, the person quits or the input ends."""
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
        answer = stdin.readline()
        if not answer or answer.strip() in ("quit", "q"):
            stdout.write("\nleft before the end\n")
            return
        show = _answer(match, advise, answer.strip(), stdout)
    _show(match, stdout)


def _answer(match: Match, advise: Choose, text: str, stdout: IO[str]) -> bool:
    """Do what a line asks for; return whether the board is to be shown again."""
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
