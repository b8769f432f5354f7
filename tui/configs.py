"""Configs: is every config learning, and if not, why?"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.text import Text
from textual.widget import Widget

from ringrift.client import routes
from ringrift.client.display import age, count, plain, short
from ringrift.client.routes import Call
from ringrift.protocol.operator import ConfigView, EvaluationView, StatusView
from tui import keys
from tui.board import Board
from tui.chrome import Pane, Strap
from tui.draw import evaluation, heading, join, line, stack, words
from tui.table import Column, Rows


def stage(view: ConfigView) -> str:
    """Return the word for how a config stands."""
    if not view.enabled:
        return "off"
    return "stale" if view.blocker else "running"


def wants_operator(view: ConfigView) -> bool:
    """Tell whether the next step of a config is a person's."""
    return view.enabled and view.next_action.startswith(("promote", "deploy", "look"))


def columns(drift: float) -> tuple[Column, ...]:
    """Return the table's columns; `drift` seconds have passed since the rows were seen."""

    def data(view: ConfigView, _: int) -> Text:
        if view.data_age is None:
            return words("-", "dim")
        seconds = view.data_age + drift
        return words(age(seconds), "warn" if seconds > 86_400 else "text")

    def champion(view: ConfigView, width: int) -> Text:
        if view.champion is None:
            return words("none", "dim")
        extra = f" g{view.champion.generation}" if width >= 13 else ""
        return line(words(f"◆ {short(view.champion.model)}", "good"), words(extra, "dim"))

    return (
        Column("config", lambda v, w: _name(v), 14, 14),
        Column("games", lambda v, w: words(count(v.games)), 6, 7, right=True),
        Column("fresh", lambda v, w: words(count(v.fresh_positions)), 6, 6, right=True, rank=1),
        Column("data", data, 4, 5, right=True),
        Column("training", lambda v, w: words(v.training), 9, 20, rank=3),
        Column("evaluation", lambda v, w: words(v.evaluation), 10, 20, rank=2),
        Column("champion", champion, 10, 14),
        Column("elo", lambda v, w: words("-" if v.elo is None else f"{v.elo:+.0f}"), 5, 5, right=True),
        Column("next, and what blocks it", _next, 24, 70),
    )


def _name(view: ConfigView) -> Text:
    return words(f"{view.key}", "text") if view.enabled else words(f"○ {view.key}"[:14], "dim")


def _next(view: ConfigView, width: int) -> Text:
    if not view.blocker:
        return words(f"▶ {plain(view.next_action)}", "busy")
    tone = "warn" if wants_operator(view) else "dim"
    mark = "!" if wants_operator(view) else "·"
    return line(words(f"{mark} {view.next_action}: ", tone), words(view.blocker, tone))


class Configs(Board):
    place = keys.CONFIGS
    tab = "configs"

    def body(self) -> Iterable[Widget]:
        self.table = Rows(columns(0.0), lambda view: view.key, "no config fits the filter")
        yield Strap()
        yield self.table
        yield Pane()

    def calls(self) -> dict[str, Call[Any]]:
        return {"evaluations": routes.evaluations(), "targets": routes.targets()}

    def paint(self) -> None:
        status: StatusView | None = self.feed.views.get("status")
        if status is None or self.table is None:
            self.query_one(Strap).put(words("nothing seen yet", "dim"))
            return
        rows = [view for view in status.configs if self.matches(view.key, view.next_action, view.blocker)]
        self.query_one(Strap).put(_summary(status, self.filter))
        self.table.use(columns(self.feed.age("status") or 0.0))
        self.table.show(rows)
        self.query_one(Pane).put(self._detail(self.size.width - 2))

    def _detail(self, width: int) -> Text | None:
        """Return the newest evaluation of the selected config."""
        view: ConfigView | None = self.table.selected if self.table else None
        if view is None:
            return None
        lines = [heading(f"{view.key}: evaluation", width)]
        newest = newest_evaluation(self.feed.views.get("evaluations"), view.key)
        if newest is None:
            lines += [words("no evaluation yet", "dim"), _next(view, width)]
        else:
            lines += evaluation(newest, width)
        return stack(lines)

    def subject(self) -> str:
        return self.table.selected.key if self.table and self.table.selected else ""

    def do_next(self) -> None:
        rows = self.table.rows if self.table else []
        self.go_next([index for index, view in enumerate(rows) if wants_operator(view)])

    def do_enter(self) -> None:
        from tui.config import Config

        if self.subject():
            self.app.push_screen(Config(self.subject()))

    async def do_plan(self) -> None:
        await propose_promotion(self, self.subject(), "this is only the plan; P promotes")

    async def do_promote(self) -> None:
        await propose_promotion(self, self.subject(), "")

    async def do_rollback(self) -> None:
        await propose_rollback(self, self.subject())

    async def do_switch(self) -> None:
        await propose_switch(self, self.subject())


def newest_evaluation(found: list[EvaluationView] | None, key: str) -> EvaluationView | None:
    """Return the youngest evaluation of a config."""
    return min((view for view in found or [] if view.config == key), key=lambda view: view.age, default=None)


def _summary(status: StatusView, filtered: str) -> Text:
    views = status.configs
    champions = sum(view.champion is not None for view in views)
    waiting = [view.key for view in views if wants_operator(view)]
    off = sum(not view.enabled for view in views)
    parts = [
        words(f"{len(views)} configs"),
        words(f"◆ {champions} with a champion", "good"),
        words(f"▶ {sum(view.enabled and not view.blocker for view in views)} moving", "busy"),
    ]
    if waiting:
        parts.append(words(f"! {len(waiting)} wait for you: {', '.join(waiting)}", "warn"))
    if off:
        parts.append(words(f"○ {off} off", "dim"))
    if filtered:
        parts.insert(1, words(f"/{plain(filtered)}", "accent"))
    return join(parts, "   ")


async def propose_promotion(board: Board, key: str, only_look: str) -> None:
    """Fetch the plan of a promotion and ask."""
    from tui.dialogs import Confirm
    from tui.proposals import promotion

    if key:
        plan = await board.feed.send(routes.promotion_plan(key))
        board.app.push_screen(Confirm(promotion(board.feed, plan, only_look)))


async def propose_rollback(board: Board, key: str) -> None:
    """Fetch the plan of a rollback and ask."""
    from tui.dialogs import Confirm
    from tui.proposals import rollback

    if key:
        plan = await board.feed.send(routes.rollback(key, dry_run=True))
        board.app.push_screen(Confirm(rollback(board.feed, plan)))


async def propose_switch(board: Board, key: str) -> None:
    """Ask before a config is enabled or disabled."""
    from tui.dialogs import Confirm
    from tui.proposals import switch

    if key:
        view = await board.feed.send(routes.config(key))
        board.app.push_screen(Confirm(switch(board.feed, view)))
