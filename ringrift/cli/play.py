"""`play`: a game against the ladder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ringrift.cli.replay import in_terminal, need_rules
from ringrift.cli.textfile import check_free, write_file
from ringrift.errors import BadInput, EnvironmentProblem

if TYPE_CHECKING:
    from ringrift.cli.boards.match import Choose, Match

app = typer.Typer()


@app.command()
def play(
    board: Annotated[str, typer.Option(help="square8, square19, hex8 or hexagonal.")] = "square8",
    players: Annotated[int, typer.Option(min=2, max=4, help="Seats; the others are the opponent's.")] = 2,
    level: Annotated[int, typer.Option(min=1, max=10, help="Difficulty of the opponents.")] = 3,
    seat: Annotated[int, typer.Option(min=1, max=4, help="Where you sit.")] = 1,
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**63 - 1, help="Repeats the same opponents.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="Checkpoint for levels 5 to 10; else the champion.")
    ] = None,
    save: Annotated[
        Path | None, typer.Option(help="Write the game to this new file at the end, as GameState JSON.")
    ] = None,
) -> None:
    """Play against a level of the ladder, on a board in the terminal or line by line through a pipe."""
    need_rules()
    import secrets

    from ringrift.cli.boards.match import Match
    from ringrift.cli.boards.opponents import ADVISER_LEVEL, Opponent
    from ringrift.cli.output import note
    from ringrift.game.config import GameConfig
    from ringrift.game.play import Game

    config = GameConfig(board, players)
    if seat > players:
        raise BadInput(f"there is no seat {seat} in a game of {players}", hint=f"use 1 to {players}")
    if sys.stdin is None:
        raise EnvironmentProblem("the standard input is closed", hint="moves are read from it")
    if save is not None:
        check_free(save)
    seed = secrets.randbelow(2**31) if seed is None else seed
    opponent = Opponent(level, config, seed, model)
    adviser = Opponent(ADVISER_LEVEL, config, seed)
    match = Match(Game.new(config), seat, opponent.name)
    note(f"{config.key}, {opponent.name}, seed {seed}")
    try:
        _sit_down(match, opponent.choose, adviser.choose)
    except BaseException:
        if save is not None:
            _rescue(match, save)
        raise
    if save is not None:
        _save(match, save)


def _sit_down(match: Match, choose: Choose, advise: Choose) -> None:
    """Play on a board in the terminal, or line by line through a pipe."""
    if in_terminal():
        from ringrift.cli.boards.table import Table

        Table(match, choose, advise).show()
    else:
        from ringrift.cli.boards.lines import play_lines

        play_lines(match, choose, advise, sys.stdin, sys.stdout)


def _save(match: Match, path: Path) -> None:
    import json

    from ringrift.cli.output import note
    from ringrift.client.display import plain
    from ringrift.notation.statedump import dump_game

    write_file(path, json.dumps(dump_game(match.game), indent=1) + "\n")
    note(f"saved; look at it with `ringrift-ctl replay {plain(path)}`")


def _rescue(match: Match, path: Path) -> None:
    """Save what was played of a game that failed; the failure stays the one to tell."""
    from ringrift.cli.output import note
    from ringrift.client.display import plain

    try:
        _save(match, path)
    except Exception as problem:
        note(f"the game is not saved: {plain(problem)}")
