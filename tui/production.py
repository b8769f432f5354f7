"""Production: what do players get?"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.text import Text
from textual.widget import Widget

from ringrift.client import routes
from ringrift.client.display import age, plain, short
from ringrift.client.marks import mark
from ringrift.client.routes import Call
from ringrift.protocol.operator import ServingView, TargetView, WhyView
from tui import keys
from tui.board import Board
from tui.chrome import Pane, Strap
from tui.draw import flow, glyph, heading, join, line, stack, state, words
from tui.table import Column, Rows


def serving_word(view: ServingView) -> str:
    """Return how a config of a target stands: serving, drifted (another hash), down (nothing) or off."""
    if view.desired is None:
        return "off" if view.serving is None else "drifted"
    if view.serving is None:
        return "down"
    return "serving" if view.serving == view.desired else "drifted"


def columns(drift: float) -> tuple[Column, ...]:
    """Return the table's columns; `drift` seconds have passed since the rows were seen."""

    def checked(view: TargetView, _: int) -> Text:
        return words("never" if view.checked_age is None else age(view.checked_age + drift))

    def ticks(view: TargetView, _: int) -> Text:
        return join((glyph(serving_word(model)) for model in view.models), "")

    return (
        Column("state", lambda v, w: state(v.state), 13, 15),
        Column("target", lambda v, w: words(v.name), 10, 14),
        Column("host", lambda v, w: words(f"{v.host}:{v.port}"), 14, 20, rank=1),
        Column(
            "gen", lambda v, w: words("-" if v.generation is None else str(v.generation)), 4, 5, right=True
        ),
        Column("served", ticks, 12, 12),
        Column("release", lambda v, w: words(v.release or "-"), 12, 12, rank=2),
        Column("checked", checked, 7, 7, right=True),
        Column(
            "issues", lambda v, w: words("; ".join(v.issues) or "none", "warn" if v.issues else "dim"), 10, 80
        ),
    )


class Production(Board):
    place = keys.PRODUCTION
    tab = "production"

    def body(self) -> Iterable[Widget]:
        empty = "no targets yet: ringrift-ctl targets add NAME --host HOST --port PORT"
        self.table = Rows(columns(0.0), lambda view: view.name, empty)
        yield Strap()
        yield self.table
        yield Pane()

    def calls(self) -> dict[str, Call[Any]]:
        wanted: dict[str, Call[Any]] = {"targets": routes.targets(), "evaluations": routes.evaluations()}
        name = self.subject()
        return wanted | {f"why {name}": routes.why(name)} if name and self.roomy else wanted

    def paint(self) -> None:
        targets: list[TargetView] | None = self.feed.views.get("targets")
        if targets is None or self.table is None:
            self.query_one(Strap).put(words("nothing seen yet", "dim"))
            return
        rows = [view for view in targets if self.matches(view.name, view.host, view.state, *view.issues)]
        self.query_one(Strap).put(_summary(targets, self.filter, self.size.width - 2))
        self.table.use(columns(self.feed.age("targets") or 0.0))
        self.table.show(rows)
        selected: TargetView | None = self.table.selected
        self.below(self._detail(selected, self.size.width - 2) if selected else [])

    def _detail(self, view: TargetView, width: int) -> list[Text]:
        """Return what the selected target serves, and why it stands so where there is room."""
        lines = _served(view, width)
        why: WhyView | None = self.feed.views.get(f"why {view.name}")
        if why is None or not self.roomy:
            return lines
        told = [words(f"· {plain(fact)}"[:width], "dim") for fact in why.facts]
        following = line(words("next  ", "accent"), words(why.next_action or "nothing"))
        return [*lines, words(""), words(why.sentence[:width]), *told, following]

    def subject(self) -> str:
        return self.table.selected.name if self.table and self.table.selected else ""

    def do_next(self) -> None:
        rows = self.table.rows if self.table else []
        self.go_next([index for index, view in enumerate(rows) if mark(view.state).tone in ("bad", "warn")])

    async def do_enter(self) -> None:
        await self.do_why()

    async def do_plan(self) -> None:
        await self._propose("this is only the plan; D deploys")

    async def do_deploy(self) -> None:
        await self._propose("")

    async def _propose(self, only_look: str) -> None:
        from ringrift.protocol.operator import DeployRequest
        from tui.deployment import Deployment
        from tui.dialogs import Confirm
        from tui.proposals import actor, deploy

        plan = await self.feed.send(routes.deploy(routes.build(DeployRequest, actor=actor(), dry_run=True)))
        begun: list[str] = []

        def watch(made: bool | None) -> None:
            if made and begun:
                self.app.push_screen(Deployment(begun[0]))

        self.app.push_screen(Confirm(deploy(self.feed, plan, only_look, begun)), watch)


def _summary(targets: list[TargetView], filtered: str, width: int) -> Text:
    served = [model for view in targets for model in view.models if model.desired]
    right = sum(serving_word(model) == "serving" for model in served)
    drifted = sum(serving_word(model) == "drifted" for model in served)
    down = sum(serving_word(model) == "down" for model in served)
    parts = [
        words(f"{len(targets)} targets"),
        words(f"● {right} as desired", "good"),
        words(f"▲ {drifted} another hash", "warn" if drifted else "dim"),
        words(f"✖ {down} not served", "bad" if down else "dim"),
    ]
    if filtered:
        parts.insert(1, words(f"/{plain(filtered)}", "accent"))
    return stack(flow(parts, width))


def _served(view: TargetView, width: int) -> list[Text]:
    """Return the target's configs with desired and serving hash, in two columns where there is room."""
    lines = [heading(f"{plain(view.name)}: desired and serving", width)]
    cells = [_model(model) for model in view.models]
    across = 2 if width >= 100 else 1
    rows = -(-len(cells) // across)
    for row in range(rows):
        parts = [cells[index] for index in range(row, len(cells), rows)]
        lines.append(join(parts, "   "))
    return lines if cells else [*lines, words("nothing is wanted here yet: no config has a champion", "dim")]


def _model(view: ServingView) -> Text:
    look = state(serving_word(view))
    look.pad_right(max(0, 11 - look.cell_len))
    return line(
        look,
        words(f"{plain(view.config):<13}"),
        words("desired ", "dim"),
        words(f"{short(view.desired, 'none'):<9}"),
        words("serving ", "dim"),
        words(f"{short(view.serving, 'none'):<8}"),
    )
