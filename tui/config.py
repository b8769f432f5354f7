"""One config: how it stands, its evaluations, and whether its candidate may be promoted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.text import Text
from textual.widget import Widget
from textual.widgets import Static

from ringrift.client import routes
from ringrift.client.display import age, count, elo, plain, short
from ringrift.client.routes import Call
from ringrift.protocol.operator import ConfigView, EvaluationView, ModelView, PromotionView, WhyView
from tui import keys
from tui.board import Board
from tui.configs import propose_promotion, propose_rollback, propose_switch
from tui.dialogs import Scroll
from tui.draw import conditions, evaluation, facts, heading, line, prose, stack, state, words


class Config(Board):
    place = keys.CONFIG
    tab = "configs"

    def __init__(self, key: str) -> None:
        super().__init__()
        self.trail = key
        self._key = key

    def body(self) -> Iterable[Widget]:
        yield Scroll(Static("", markup=False, id="page"))

    def calls(self) -> dict[str, Call[Any]]:
        key = self._key
        return {
            f"config {key}": routes.config(key),
            f"why {key}": routes.why(key),
            f"evaluations of {key}": routes.evaluations(config=key),
            f"models of {key}": routes.models(config=key),
            f"plan of {key}": routes.promotion_plan(key),
        }

    def subject(self) -> str:
        return self._key

    def paint(self) -> None:
        views = self.feed.views
        width = self.size.width - 4
        lines: list[Text] = []
        view: ConfigView | None = views.get(f"config {self._key}") or self._known()
        if view is not None:
            lines += _standing(view)
        why: WhyView | None = views.get(f"why {self._key}")
        if why is not None:
            lines += [
                prose(why.sentence, "accent"),
                line(words("next  ", "dim"), prose(why.next_action or "nothing")),
            ]
        lines += self._gate(width)
        found: list[EvaluationView] = views.get(f"evaluations of {self._key}") or []
        if found:
            newest = min(found, key=lambda each: each.age)
            lines += [words(""), heading(_test(newest), width), *evaluation(newest, width)]
        lines += _models(views.get(f"models of {self._key}") or [], width)
        self.query_one("#page", Static).update(stack(lines or [words("asking ...", "dim")]))

    def _known(self) -> ConfigView | None:
        status = self.feed.views.get("status")
        return next((view for view in status.configs if view.key == self._key), None) if status else None

    def _gate(self, width: int) -> list[Text]:
        plan: PromotionView | None = self.feed.views.get(f"plan of {self._key}")
        problem = self.feed.problems.get(f"plan of {self._key}")
        if problem is not None:
            return [words(""), heading("gate", width), prose(problem.line(), "dim")]
        if plan is None:
            return []
        verdict = "the candidate may be promoted" if plan.allowed else "no promotion now"
        title = f"gate: {verdict} ({short(plan.model)})"
        return [words(""), heading(title, width), *conditions(plan.conditions, width)]

    async def do_plan(self) -> None:
        await propose_promotion(self, self._key, "this is only the plan; P promotes")

    async def do_promote(self) -> None:
        await propose_promotion(self, self._key, "")

    async def do_rollback(self) -> None:
        await propose_rollback(self, self._key)

    async def do_switch(self) -> None:
        await propose_switch(self, self._key)


def _standing(view: ConfigView) -> list[Text]:
    champion = (
        f"{short(view.champion.model)}, generation {view.champion.generation}, {age(view.champion.age)} old"
        if view.champion
        else "none yet"
    )
    data = (
        f"{count(view.games)} games, {count(view.positions)} positions, {count(view.fresh_positions)} fresh"
    )
    return facts(
        (
            ("champion", f"{champion}   Elo {elo(view.elo)}"),
            ("data", f"{data}, newest {age(view.data_age) + ' old' if view.data_age is not None else '-'}"),
            ("training", plain(view.training)),
        )
    )


def _test(view: EvaluationView) -> str:
    bounds = f"H0 {view.elo0:+g}, H1 {view.elo1:+g} Elo, alpha {view.alpha:g}, beta {view.beta:g}"
    return f"newest evaluation: {bounds}"


def _models(found: list[ModelView], width: int) -> list[Text]:
    if not found:
        return []
    lines = [words(""), heading("models", width)]
    for view in found[:12]:
        loss = "-" if view.holdout_loss is None else f"{view.holdout_loss:.3f}"
        lines.append(
            line(
                words(short(view.model).ljust(10)),
                _padded(state(view.state), 14),
                words(f"parent {short(view.parent, 'none'):<9}", "dim"),
                words(f"{count(view.positions):>6} positions  held-out loss {loss}", "dim"),
                words(f"  {age(view.age)} old", "dim"),
            )
        )
    return lines


def _padded(text: Text, width: int) -> Text:
    text.pad_right(max(0, width - text.cell_len))
    return text
