"""`replay`: a recorded game on a drawn board."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ringrift.cli.textfile import write_file
from ringrift.errors import EnvironmentProblem, UsageError

if TYPE_CHECKING:
    from ringrift.cli.boards.recording import Recording

app = typer.Typer()


class Export(StrEnum):
    """Forms that a position can be written in."""

    SVG = "svg"
    JSON = "json"
    TXT = "txt"


@app.command()
def replay(
    game: Annotated[str, typer.Argument(metavar="FILE|ID", help="A shard, trace or GameState; a game's id.")],
    number: Annotated[
        int | None, typer.Option("--game", min=1, help="Which game of the file, from 1.")
    ] = None,
    ply: Annotated[
        int | None, typer.Option(help="Position after so many plies; negative from the end.")
    ] = None,
    export: Annotated[Export | None, typer.Option(help="Write the position instead of showing it.")] = None,
    moves: Annotated[bool, typer.Option("--moves", help="Print the whole move list.")] = False,
    out: Annotated[Path | None, typer.Option("--output", "-o", help="Where to write it (stdout).")] = None,
) -> None:
    """Show a recorded game on a board, step by step; into a pipe, its last position as text."""
    need_rules()
    from ringrift.cli.boards.source import find_recording

    if moves and export not in (None, Export.TXT):
        raise UsageError(f"--moves is a text, not {export.value}", hint="leave out --export")
    recording = find_recording(game, number)
    at = recording.check_ply(recording.plies if ply is None else ply)
    if export is None and not moves and out is None and in_terminal():
        from ringrift.cli.boards.viewer import Viewer

        Viewer(recording, at if ply is not None else 0).show()
        return
    _write(exported(recording, at, export or Export.TXT, moves), out)


def in_terminal() -> bool:
    """Return whether a person can see a board and press keys."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()


def need_rules() -> None:
    """Refuse in one line where the packages of the rules engine are not installed."""
    try:
        import numba
        import zstandard
    except ImportError as problem:
        raise EnvironmentProblem(
            f"this command needs the rules engine, and {problem.name} is not installed",
            hint="install it with `pip install 'ringrift[agent,control]'`",
        ) from None
    del numba, zstandard


def exported(recording: Recording, ply: int, form: Export, moves: bool) -> str:
    """Return a position in a form, or with `moves` the move list as text."""
    if form is Export.JSON:
        import json

        from ringrift.notation.statedump import dump_game

        return json.dumps(dump_game(recording.whole(ply)), indent=1) + "\n"
    if form is Export.SVG:
        from ringrift.draw.svg import draw_svg

        note = " · ".join(part for part in (recording.words(ply), recording.key(ply)[:60]) if part)
        title = f"{recording.config.key}, ply {ply} of {recording.plies}"
        return draw_svg(recording.at(ply), recording.marks(ply), title, note)
    from ringrift.cli.boards.beside import move_list, plain_page

    return "\n".join(move_list(recording) if moves else plain_page(recording, ply)) + "\n"


def _write(text: str, path: Path | None) -> None:
    if path is None:
        sys.stdout.write(text)
    else:
        write_file(path, text)
