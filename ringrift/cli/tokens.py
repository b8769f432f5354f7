"""`ringrift-ctl token`: access for others, with a role and an end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ringrift.cli.output import Json, controller, note, output, report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from ringrift.protocol.tokens import TokenView

app = typer.Typer(help="Tokens of the operators' API: viewer, operator or promoter.")


@app.command("new")
def new(
    context: typer.Context,
    role: Annotated[str, typer.Option(help="viewer, operator or promoter.")],
    for_: Annotated[str, typer.Option("--for", help="How long it is valid: 30m, 8h, 7d.")] = "8h",
    name: Annotated[str | None, typer.Option(help="The name in audit rows.")] = None,
    json: Json = False,
) -> None:
    """Make a token and print it, once; its bearer sets RINGRIFT_TOKEN to it."""
    from rich.text import Text

    from ringrift.cli.configs import actor
    from ringrift.cli.inventory import duration
    from ringrift.client import routes
    from ringrift.protocol.tokens import TokenRequest

    wish = routes.build(TokenRequest, role=role, seconds=duration(for_), name=name, actor=actor())
    with controller() as client:
        made = client.send(routes.new_token(wish))
    note(f"{made.name} is {made.role} for {for_}; the text below is shown this once")
    output(context, json).data(made, lambda: Text(made.token, no_wrap=True))


@app.command("list")
def listed(context: typer.Context, json: Json = False) -> None:
    """Show tokens: role, whether they are valid, who made them."""
    from ringrift.client import routes

    report(context, json, routes.tokens(), _drawn)


@app.command()
def revoke(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="As in `token list`.")],
    json: Json = False,
) -> None:
    """Refuse a token from now on."""
    from ringrift.client import routes

    report(context, json, routes.revoke_token(name), lambda view: _drawn([view]))


def _drawn(views: Sequence[TokenView]) -> RenderableType:
    from ringrift.cli.output import table

    headers = ("name", "role", "state", "made by", "made", "ends")
    rows = ((v.name, v.role, v.state, v.made_by, v.made_at, v.expires_at) for v in views)
    return table(headers, rows)
