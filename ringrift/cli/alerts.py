"""`ringrift-ctl alerts`: what is wrong now, what was, and who looks after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ringrift.cli.output import Json, report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType
    from rich.text import Text

    from ringrift.protocol.alerts import AlertCount, AlertView

app = typer.Typer(help="Alerts: what is wrong, and who looks after it.")
Signature = Annotated[
    str, typer.Argument(help="Such as host-down:alpha; an unambiguous beginning is enough.")
]


@app.command("list")
def listed(
    context: typer.Context,
    cleared: Annotated[int, typer.Option(min=0, max=1000, help="So many that are over, too.")] = 0,
    json: Json = False,
) -> None:
    """Show what is wrong now, the critical first."""
    from ringrift.client import routes

    report(context, json, routes.alerts(cleared), _table)


@app.command()
def show(context: typer.Context, signature: Signature, json: Json = False) -> None:
    """Show one alert whole."""
    from ringrift.client import routes

    report(context, json, routes.alert(signature), _one)


@app.command()
def ack(context: typer.Context, signature: Signature, json: Json = False) -> None:
    """Say that you look after it: it stays open, and calls for nobody else."""
    from ringrift.cli.configs import actor
    from ringrift.client import routes
    from ringrift.protocol.alerts import AlertAck

    report(context, json, routes.acknowledge(signature, routes.build(AlertAck, actor=actor())), _one)


def _table(views: Sequence[AlertView]) -> RenderableType:
    from rich.text import Text

    from ringrift.cli.output import one_line, state_text, table
    from ringrift.client.display import age

    if not views:
        return Text("nothing is wrong")
    rows = [
        (
            state_text(view.severity if view.state == "open" else view.state),
            one_line(view.signature),
            age(view.age),
            view.acknowledged_by or "-",
            one_line(view.message.removeprefix(f"{view.subject}: ")),
        )
        for view in views
    ]
    return table(("state", "signature", "since>", "taken by", "what"), rows, whole=3)


def _one(view: AlertView) -> RenderableType:
    from ringrift.cli.output import fields, state_text
    from ringrift.client.display import age

    pairs: list[tuple[str, object]] = [
        ("signature", view.signature),
        ("state", state_text(view.state)),
        ("severity", state_text(view.severity)),
        ("what", view.message),
        ("opened", f"{age(view.age)} ago"),
        ("times", view.count),
        ("last found", f"{age(view.seen_age)} ago"),
    ]
    if view.cleared_age is not None:
        pairs.append(("over", f"{age(view.cleared_age)} ago"))
    if view.acknowledged_by is not None:
        pairs.append(("taken by", f"{view.acknowledged_by}, {age(view.acknowledged_age)} ago"))
    told = view.notified or "not yet"
    pairs.append(("webhook", told if view.notified_age is None else f"{told}, {age(view.notified_age)} ago"))
    return fields(pairs)


def summary(count: AlertCount) -> Text:
    """Return the line of `status`."""
    from rich.text import Text

    from ringrift.client.display import plain

    if not count.open:
        return Text("alerts: none", style="green")
    taken = count.open - count.unacknowledged
    text = f"alerts: {count.open} open, {count.critical} critical, {taken} taken care of; {count.worst}"
    return Text(plain(text), style="bold red" if count.critical else "yellow")
