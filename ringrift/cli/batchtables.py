"""How plans, batches and debts look in the shell."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from ringrift.cli.output import state_text, table
from ringrift.client.display import age, plain
from ringrift.protocol.batches import BatchHostView, BatchView, DebtView, PlanView

_ORDER = ("succeeded", "failed", "owed", "skipped", "running", "baking", "waiting")


def plans(views: Sequence[PlanView]) -> RenderableType:
    rows: list[tuple[object, ...]] = []
    for view in views:
        words = [view.error] if view.error else view.lines
        rows.append((view.host, _plan_state(view), view.hash[:12] or "-", words[0] if words else "-"))
        rows += [("", "", "", line) for line in words[1:]]
    return table(("host", "", "plan", "what would be done"), rows)


def _plan_state(view: PlanView) -> Text:
    return state_text("failed" if view.error else "change" if view.lines else "unchanged")


def batches(views: Sequence[BatchView]) -> RenderableType:
    rows = ((v.id, v.kind, state_text(v.state), _counts(v), age(v.age), v.reason) for v in views)
    return table(("batch", "kind", "state", "hosts", "age>", "reason"), rows)


def batch(view: BatchView) -> RenderableType:
    head = Text.assemble(
        f"{view.kind} {view.id}: ", state_text(view.state), f"  {_counts(view)}  {plain(view.reason)}"
    )
    rule = f"canary {view.canary}, {view.width} at once, {view.budget} failures allowed"
    return Group(
        head, Text(rule, style="dim"), table(("host", "state", "wave>", "why"), map(_row, view.hosts))
    )


def _row(row: BatchHostView) -> tuple[object, ...]:
    return (row.host, state_text(row.state), row.wave or "-", row.reason or "; ".join(row.lines) or "-")


def _counts(view: BatchView) -> str:
    return ", ".join(f"{view.counts[state]} {state}" for state in _ORDER if state in view.counts)


def debts(views: Sequence[DebtView]) -> RenderableType:
    rows = ((v.host, v.kind, age(v.age), v.batch or "-", v.reason) for v in views)
    return table(("host", "owes", "since>", "batch", "because"), rows)
