"""`engine` and `demo`: programs of the product that are started from here."""

from __future__ import annotations

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
) -> None:
    """Run the whole loop on this machine: two hosts, training, gate, promotion, deployment, a served move."""
    from ringrift.cli.demo.run import main

    result = main(keep=keep)
    if result:
        raise typer.Exit(result)
