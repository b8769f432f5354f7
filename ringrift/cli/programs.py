"""`engine` and `demo`: programs of the product that are started from here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def engine() -> None:
    """Speak JSON Lines with the rules on stdin and stdout, one request and one answer a line."""
    from ringrift.cli.engine import serve

    serve()


@app.command()
def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave controller, hosts and target running.")] = False,
    clean: Annotated[
        bool, typer.Option("--clean", help="Stop what it started and remove its folder.")
    ] = False,
    folder: Annotated[Path | None, typer.Option(help="Its folder, .demo by default.")] = None,
) -> None:
    """Run the whole loop on this machine: two hosts, training, gate, promotion, deployment, a served move."""
    from ringrift.cli.demo.run import main

    main(keep=keep, clean=clean, folder=folder)
