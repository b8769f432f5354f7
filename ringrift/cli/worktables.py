"""How jobs in detail and shares look in the shell."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from ringrift.cli.output import fields, state_text, table
from ringrift.client.display import age, lines, percent, plain
from ringrift.protocol.scheduling import JobDetail, SharesView, TryView


def job(view: JobDetail) -> RenderableType:
    """A job with its tries, and the log for which it was given up."""
    found = view.job
    needs = ", ".join(f"{name} {_listed(value)}" for name, value in view.needs.items()) or "nothing special"
    facts = fields(
        (
            ("job", f"{found.id}, {found.kind} of {found.config}"),
            ("state", state_text(found.state)),
            ("reason", found.reason or "-"),
            ("done", f"{found.done} of {found.total} units have receipts"),
            ("needs", needs),
            ("for", view.work),
        )
    )
    headers = ("epoch>", "host", "state", "crashed", "exit>", "began", "took>", "reason")
    tries = table(headers, (_try_row(item) for item in view.tries), title="tries")
    parts: list[RenderableType] = [facts, tries] if view.tries else [facts]
    if view.log_tail and found.state in ("failed", "quarantined"):
        parts.append(_log("the end of its log", view.log_tail))
    return Group(*parts)


def _listed(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _try_row(item: TryView) -> tuple[object, ...]:
    crashed = "yes" if item.crashed else "-"
    return (
        item.epoch,
        item.host,
        state_text(item.state),
        crashed if item.counts else f"{crashed} (before the retry)",
        "-" if item.exit_code is None else item.exit_code,
        f"{age(item.age)} ago",
        age(item.seconds),
        item.reason or "-",
    )


def logs(tries: Sequence[TryView]) -> RenderableType:
    """The end of the log of each try."""
    told = [_log(f"try {item.epoch} on {item.host}, {item.state}", item.log_tail) for item in tries]
    return Group(*told) if told else Text("it was not tried yet")


def _log(title: str, tail: str) -> RenderableType:
    told = [Text(f"  {line}") for line in lines(tail) or ["(no log)"]]
    return Group(Text(plain(title), style="bold"), *told)


def shares(view: SharesView) -> RenderableType:
    """Every share against its use."""
    headers = ("scope", "share>", "held>", "use>", "waiting>", "slot-hours>", "set by")
    rows = (
        (
            item.scope,
            percent(item.share),
            item.held,
            "-" if item.use is None else percent(item.use),
            item.waiting,
            f"{item.recent_hours:.2f}",
            item.actor or "default",
        )
        for item in view.shares
    )
    text = f"{view.slots} live slots; self-play goes first up to {view.reserved} of them while it waits"
    return Group(table(headers, rows), Text(text))
