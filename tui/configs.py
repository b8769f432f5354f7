"""Configs: is every config learning, and if not, why?"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from rich.text import Text
from textual.widget import Widget

from ringrift.client import routes
from ringrift.client.display import age, count, percent, plain, share, short
from ringrift.client.routes import Call
from ringrift.protocol.operator import ConfigView, EvaluationView, PromotionView, StatusView, WhyView
from tui import keys
from tui.board import Board
from tui.chrome import Pane, Strap
from tui.draw import conditions, evaluation, flow, heading, line, stack, state, verdict_tone, words
from tui.table import Column, Rows

STALE_SECONDS = 86_400.0
"""Data older than a day is stale (the fleet's limit for training)."""


def wants_operator(view: ConfigView) -> bool:
    """Tell whether the next step of a config is a person's."""
    return view.enabled and view.next_action.startswith("promote")


class Moving(NamedTuple):
    """What runs now, by config: the training's progress as a share, and the newest evaluation."""

    training: dict[str, float | None]
    evaluation: dict[str, EvaluationView]


def moving(status: StatusView, evaluations: list[EvaluationView]) -> Moving:
    """Return what runs now, from the hosts' work and the evaluations."""
    training = {
        job.config: share(job.done, job.total)
        for host in status.hosts
        for job in host.running
        if job.kind == "train"
    }
    oldest_first = sorted(evaluations, key=lambda each: each.age, reverse=True)
    return Moving(training, {view.config: view for view in oldest_first})


def columns(drift: float, now: Moving) -> tuple[Column, ...]:
    """Return the table's columns; `drift` seconds have passed since the rows were seen."""

    def data(view: ConfigView, _: int) -> Text:
        if view.data_age is None:
            return words("-", "dim")
        seconds = view.data_age + drift
        return words(age(seconds), "warn" if seconds > STALE_SECONDS else "text")

    def training(view: ConfigView, _: int) -> Text:
        if view.key in now.training:
            return words(f"◐ {percent(now.training[view.key])}", "busy")
        return state(view.training.split()[-1]) if view.training else words("-", "dim")

    def evaluating(view: ConfigView, _: int) -> Text:
        found = now.evaluation.get(view.key)
        if found is None:
            return words("-", "dim")
        look = {"accepted": "✔", "rejected": "✖"}.get(found.state, "◐")
        return words(f"{look} {found.llr:+.2f} {found.games}g", verdict_tone(found))

    def champion(view: ConfigView, _: int) -> Text:
        if view.champion is None:
            return words("none", "dim")
        return words(f"◆ {short(view.champion.model)}", "good")

    return (
        Column("config", _name, 14, 14),
        Column("games", lambda v, w: words(count(v.games)), 6, 7, right=True),
        Column("fresh", lambda v, w: words(count(v.fresh_positions)), 6, 6, right=True, rank=3),
        Column("data", data, 5, 5, right=True, rank=2),
        Column("training", training, 9, 9, rank=4),
        Column("test LLR", evaluating, 13, 13, rank=1),
        Column("champion", champion, 10, 10),
        Column("elo", lambda v, w: words("-" if v.elo is None else f"{v.elo:+.0f}"), 5, 5, right=True),
        Column("next or blocker", _next, 18, 90),
    )


def _name(view: ConfigView, _: int) -> Text:
    return words(view.key) if view.enabled else words(f"○ {view.key}", "dim")


def _next(view: ConfigView, _: int) -> Text:
    if not view.enabled:
        return words(f"○ off: {view.blocker}", "dim")
    if wants_operator(view):
        return words(f"! {view.next_action}", "warn")
    if view.blocker:
        return words(f"▲ {view.blocker}", "warn")
    return words(f"▶ {view.next_action}", "busy") if view.next_action else words("-", "dim")


class Configs(Board):
    place = keys.CONFIGS
    tab = "configs"

    def body(self) -> Iterable[Widget]:
        self.table = Rows(columns(0.0, Moving({}, {})), lambda view: view.key, "no config fits the filter")
        yield Strap()
        yield self.table
        yield Pane()

    def calls(self) -> dict[str, Call[Any]]:
        wanted: dict[str, Call[Any]] = {"evaluations": routes.evaluations(), "targets": routes.targets()}
        key = self.subject()
        if key and self.roomy:
            wanted |= {f"why {key}": routes.why(key), f"plan of {key}": routes.promotion_plan(key)}
        return wanted

    def paint(self) -> None:
        status: StatusView | None = self.feed.views.get("status")
        if status is None or self.table is None:
            self.query_one(Strap).put(words("nothing seen yet", "dim"))
            return
        rows = [view for view in status.configs if self.matches(view.key, view.next_action, view.blocker)]
        self.query_one(Strap).put(_summary(status, self.filter, self.size.width - 2))
        self.table.use(columns(self.feed.age("status") or 0.0, self._moving(status)))
        self.table.show(rows)
        self.below(self._detail(self.size.width - 2))

    def _moving(self, status: StatusView) -> Moving:
        return moving(status, self.feed.views.get("evaluations") or [])

    def _detail(self, width: int) -> list[Text]:
        """Return the newest evaluation of the selected config; next step and gate where there is room."""
        view: ConfigView | None = self.table.selected if self.table else None
        if view is None:
            return []
        lines = [heading(view.key, width, _next(view, width))]
        newest = self._moving(self.feed.views["status"]).evaluation.get(view.key)
        lines += evaluation(newest, width) if newest else [words("no evaluation yet", "dim")]
        if not self.roomy:
            return lines
        plan: PromotionView | None = self.feed.views.get(f"plan of {view.key}")
        why: WhyView | None = self.feed.views.get(f"why {view.key}")
        if why is not None:
            lines += [words(""), words(plain(why.sentence)[:width])]
            lines += [line(words("next  ", "accent"), words(why.next_action or "nothing")), words("")]
        if plan is not None and plan.config == view.key:
            lines += conditions(plan.conditions, width)
        return lines

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


def _summary(status: StatusView, filtered: str, width: int) -> Text:
    views = status.configs
    champions = sum(view.champion is not None for view in views)
    waiting = [view.key for view in views if wants_operator(view)]
    off = sum(not view.enabled for view in views)
    blocked = sum(view.enabled and bool(view.blocker) and not wants_operator(view) for view in views)
    parts = [
        words(f"{len(views)} configs"),
        words(f"◆ {champions} with a champion", "good"),
        words(f"▶ {sum(view.enabled and not view.blocker for view in views)} go on", "busy"),
        words(f"▲ {blocked} blocked", "warn" if blocked else "dim"),
    ]
    if waiting:
        parts.append(words(f"! {len(waiting)} for you: {', '.join(waiting)}", "warn"))
    if off:
        parts.append(words(f"○ {off} off", "dim"))
    if filtered:
        parts.insert(1, words(f"/{plain(filtered)}", "accent"))
    return stack(flow(parts, width))


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
