"""Alerts: what is wrong now, and who looks after it?"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.text import Text
from textual.widget import Widget

from ringrift.client import routes
from ringrift.client.display import age, plain
from ringrift.client.routes import Call
from ringrift.protocol.alerts import AlertAck, AlertView
from tui import keys
from tui.board import Board
from tui.chrome import Pane, Strap
from tui.draw import facts, flow, heading, line, prose, stack, state, words
from tui.table import Column, Rows

OVER = 20
"""So many alerts that are over stand below the open ones."""


def look(view: AlertView) -> str:
    """Return the one word that says most: how bad an open alert is, else that it is taken over or past."""
    return view.severity if view.state == "open" else view.state


def columns(drift: float) -> tuple[Column, ...]:
    """Return the table's columns; `drift` seconds have passed since the rows were seen."""

    def since(view: AlertView, _: int) -> Text:
        return words(age((view.age if view.cleared_age is None else view.cleared_age) + drift))

    return (
        Column("state", lambda v, w: state(look(v)), 14, 15),
        Column("kind", lambda v, w: words(v.kind), 12, 14),
        Column("subject", lambda v, w: words(v.subject), 14, 18),
        Column("since", since, 5, 5, right=True),
        Column("taken by", lambda v, w: words(v.acknowledged_by or "-", "dim"), 8, 10, rank=1),
        Column("what", lambda v, w: words(what(v), "dim" if v.state == "cleared" else "text"), 18, 90),
    )


def what(view: AlertView) -> str:
    """Return the message without the subject that stands before it."""
    return view.message.removeprefix(f"{view.subject}: ")


def often(view: AlertView) -> str:
    return "for the first time" if view.count == 1 else f"the last of {view.count} times"


class Alerts(Board):
    place = keys.ALERTS
    tab = "alerts"

    def body(self) -> Iterable[Widget]:
        self.table = Rows(columns(0.0), lambda view: view.signature, "nothing is wrong")
        yield Strap()
        yield self.table
        yield Pane()

    def calls(self) -> dict[str, Call[Any]]:
        return {"alerts": routes.alerts(OVER)}

    def paint(self) -> None:
        views: list[AlertView] | None = self.feed.views.get("alerts")
        if views is None or self.table is None:
            self.query_one(Strap).put(words("nothing seen yet", "dim"))
            return
        rows = [view for view in views if self.matches(view.signature, view.message, look(view))]
        self.query_one(Strap).put(_summary(views, self.filter, self.size.width - 2))
        self.table.use(columns(self.feed.age("alerts") or 0.0))
        self.table.show(rows)
        self.below(_detail(self.table.selected, self.size.width - 2) if rows else [])

    def _selected(self) -> AlertView | None:
        return self.table.selected if self.table else None

    def subject(self) -> str:
        view = self._selected()
        return view.subject.partition(" ")[0] if view else ""

    def do_next(self) -> None:
        rows = self.table.rows if self.table else []
        self.go_next([index for index, view in enumerate(rows) if view.state == "open"])

    async def do_enter(self) -> None:
        await self.do_why()

    async def do_ack(self) -> None:
        view = self._selected()
        if view is None or view.state != "open":
            self.say("nothing to take over: it is not open, or somebody has it", "warn")
            return
        await self.feed.send(routes.acknowledge(view.signature, AlertAck(actor=self.ring.who)))
        self.say(f"{view.signature} is yours: ringrift-ctl alerts ack {view.signature}")
        self.feed.wake()


def _summary(views: list[AlertView], filtered: str, width: int) -> Text:
    open_now = [view for view in views if view.state != "cleared"]
    critical = sum(view.severity == "critical" for view in open_now)
    taken = sum(view.state == "acknowledged" for view in open_now)
    parts = [words(f"{len(open_now)} open", "warn" if open_now else "good")]
    if critical:
        parts.append(words(f"✖ {critical} critical", "bad"))
    parts += [
        words(f"◐ {taken} taken over", "busy"),
        words(f"{len(views) - len(open_now)} over lately", "dim"),
    ]
    if filtered:
        parts.append(words(f"/{plain(filtered)}", "accent"))
    return stack(flow(parts, width))


def _detail(view: AlertView | None, width: int) -> list[Text]:
    """Return the selected alert whole."""
    if view is None:
        return []
    told = view.notified or "nobody was told"
    if view.notified_age is not None:
        told += f", {age(view.notified_age)} ago"
    taken = f"{view.acknowledged_by}, {age(view.acknowledged_age)} ago" if view.acknowledged_by else "nobody"
    return [
        heading(view.signature, width, line(state(look(view)))),
        prose(what(view)),
        *facts(
            (
                ("opened", f"{age(view.age)} ago, {often(view)}"),
                ("last found", f"{age(view.seen_age)} ago"),
                ("webhook", told),
                ("taken by", taken),
            )
        ),
    ]
