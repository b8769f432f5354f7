"""`ringrift-ctl evaluate`: games between models under a test registered before game 1."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ringrift.cli.configs import config_key
from ringrift.cli.output import Json, output, report

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ringrift.control.domain.policy import Policy

app = typer.Typer(help="Evaluations: games, score, Elo with interval, LLR between its bounds.")


@app.command("list")
def list_evaluations(
    context: typer.Context,
    config: Annotated[str | None, typer.Option(help="Only this config.")] = None,
    state: Annotated[str | None, typer.Option(help="running, accepted or rejected.")] = None,
    json: Json = False,
) -> None:
    """Show evaluations, the newest first."""
    from ringrift.cli import tables
    from ringrift.client import routes
    from ringrift.errors import BadInput

    if state not in (None, "running", "accepted", "rejected"):
        raise BadInput(f"--state {state!r} does not exist", hint="use running, accepted or rejected")
    call = routes.evaluations(config_key(config) if config else None, state)
    report(context, json, call, tables.evaluations)


@app.command()
def show(
    context: typer.Context,
    evaluation: Annotated[str, typer.Argument(help="Its id, see `evaluate list`.")],
    json: Json = False,
) -> None:
    """Show one evaluation with its test, bounds and seats."""
    from ringrift.cli import tables
    from ringrift.client import routes

    report(context, json, routes.evaluation(evaluation), tables.evaluation)


@app.command()
def policy(
    context: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(help="A file to check instead of the policy in force.")
    ] = None,
    toml: Annotated[
        bool, typer.Option("--toml", help="Print the packaged file, to begin one's own.")
    ] = False,
    json: Json = False,
) -> None:
    """Check the gate's policy and show what it asks of a model; exit status 2 when it is wrong.

    Without FILE it is the one that a controller started now would decide by.
    """
    from ringrift.client.home import home
    from ringrift.control.policy import packaged_text, read_policy
    from ringrift.control.settings import load_settings

    if toml:
        typer.echo(packaged_text().decode(), nl=False)
        return
    found = read_policy(file) if file else load_settings(home()).gate
    output(context, json).data(found.model_dump(), lambda: _drawn(found))


def _drawn(found: Policy) -> RenderableType:
    from rich.console import Group

    from ringrift.cli.output import fields, table

    names = [
        "superiority",
        "first champion",
        f"former champion 1..{found.non_inferiority.champions}",
        "mirror",
    ]
    asked = [("superiority", "the champion"), ("superiority", "random"), ("non-inferiority", "a champion")]
    asked += [("mirror", "itself")]
    names += [f"anchor {anchor.player}" for anchor in found.anchors]
    asked += [("non-inferiority", anchor.player) for anchor in found.anchors]
    tests = [found.test(2, purpose, opponent) for purpose, opponent in asked]
    rows = (
        (name, f"{test.elo0:+g}", f"{test.elo1:+g}", f"{test.alpha:.1%}", f"{test.beta:.1%}", test.max_blocks)
        for name, test in zip(names, tests, strict=True)
    )
    headers = ("test", "H0 elo>", "H1 elo>", "alpha>", "beta>", "at most blocks>")
    told = [("policy", found.label), ("error rates", found.errors)]
    if found.onnx.required:
        told.append(("onnx", f"off by at most {found.onnx.tolerance:g}"))
    return Group(fields(told), table(headers, rows))
