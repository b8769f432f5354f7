"""`play`: a game against the ladder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ringrift.cli.replay import need_rules, write_file
from ringrift.errors import BadInput, NotFound

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
        Path | None, typer.Option(help="Write the game there at the end, as GameState JSON.")
    ] = None,
) -> None:
    """Play against a level of the ladder, on a board in the terminal or line by line through a pipe."""
    need_rules()
    import json
    import secrets

    from ringrift.cli.boards.match import Match
    from ringrift.cli.boards.opponents import ADVISER_LEVEL, Opponent
    from ringrift.cli.output import note
    from ringrift.game.config import GameConfig
    from ringrift.game.play import Game
    from ringrift.notation.statedump import dump_game

    config = GameConfig(board, players)
    if seat > players:
        raise BadInput(f"there is no seat {seat} in a game of {players}", hint=f"use 1 to {players}")
    if save is not None and not save.parent.is_dir():
        raise NotFound(f"there is no folder {save.parent}", hint="make it first")
    seed = secrets.randbelow(2**31) if seed is None else seed
    opponent = Opponent(level, config, seed, model)
    adviser = Opponent(ADVISER_LEVEL, config, seed)
    match = Match(Game.new(config), seat, opponent.name)
    note(f"{config.key}, {opponent.name}, seed {seed}")
    try:
        if sys.stdin.isatty() and sys.stdout.isatty():
            from ringrift.cli.boards.table import Table

            table = Table(match, opponent.choose, adviser.choose)
            table.run()
            if table.failure is not None:
                raise table.failure
        else:
            from ringrift.cli.boards.lines import play_lines

            play_lines(match, opponent.choose, adviser.choose, sys.stdin, sys.stdout)
    finally:
        if save is not None:
            write_file(save, json.dumps(dump_game(match.game), indent=1) + "\n")
            note(f"saved; look at it with `ringrift-ctl replay {save}`")
