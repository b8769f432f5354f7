"""`engine` and `demo`: programs of the product that are started from here."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def engine() -> None:
    """Speak JSON Lines with the rules on stdin and stdout, one request and one answer a line."""
    from ringrift.cli.engine import serve

    serve(sys.stdin, sys.stdout)


@app.command()
def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running at the end.")] = False,
    clean: Annotated[bool, typer.Option("--clean", help="Stop and remove what a demo left.")] = False,
    folder: Annotated[Path | None, typer.Option(help="Where it works (.demo here).")] = None,
) -> None:
    """Run the whole loop on this machine, from two SSH hosts to a served move."""
    from ringrift.cli.demo.run import main

    main(keep=keep, clean=clean, folder=folder)
