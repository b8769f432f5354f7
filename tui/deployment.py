"""A running deployment: every target's steps, live."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.text import Text
from textual.widget import Widget
from textual.widgets import Static

from ringrift.client import routes
from ringrift.client.display import plain
from ringrift.client.routes import Call
from ringrift.protocol.operator import DeploymentView, OperationView
from tui import keys
from tui.board import Board
from tui.dialogs import Scroll
from tui.draw import heading, line, progress, prose, stack, state, steps, words

ENDED = ("done", "unchanged", "failed")
GOING = ("running", "halting", "cancelling")
WATCH_SECONDS = 3.0


class Deployment(Board):
    place = keys.DEPLOYMENT
    tab = "production"

    def __init__(self, identity: str) -> None:
        super().__init__()
        self._identity = identity
        self.trail = "deployment"

    @property
    def _view(self) -> str:
        return f"deployment {self._identity}"

    def body(self) -> Iterable[Widget]:
        yield Scroll(Static("", markup=False, id="page"))

    def calls(self) -> dict[str, Call[Any]]:
        return {self._view: routes.deployment(self._identity)}

    def subject(self) -> str:
        view: DeploymentView | None = self.feed.views.get(self._view)
        failed = [each.subject for each in view.operations if each.state == "failed"] if view else []
        running = [each.subject for each in view.operations] if view else []
        return (failed or running or [""])[0]

    def paint(self) -> None:
        view: DeploymentView | None = self.feed.views.get(self._view)
        problem = self.feed.problems.get(self._view)
        if view is None:
            text = problem.line() if problem else "asking ..."
            self.query_one("#page", Static).update(words(text, "bad" if problem else "dim"))
            return
        if view.state in GOING:
            self.feed.hurry(WATCH_SECONDS)
        self.query_one("#page", Static).update(stack(_page(view, self.size.width - 4)))


def _page(view: DeploymentView, width: int) -> list[Text]:
    ended = sum(step.state in ENDED for each in view.operations for step in each.steps)
    total = sum(len(each.steps) for each in view.operations)
    lines = [
        line(
            words(f"deployment{_release(view)}, generation {view.generation}   ", "accent"), state(view.state)
        ),
        line(progress(ended, total, min(40, width - 20)), words(f"  {ended} of {total} steps")),
        *(
            line(
                words(f"wave {row.wave}  {plain(row.target)}  "),
                state(row.state),
                words("  "),
                prose(row.reason),
            )
            for row in view.targets
        ),
    ]
    for each in view.operations:
        lines += [
            words(""),
            heading(f"{plain(each.subject)}: {each.state}", width),
            *steps(each.steps, width),
        ]
        lines += _error(each)
    lines += [words(""), line(words("reversible  ", "dim"), prose(view.reversible))]
    lines.append(line(words("command     ", "dim"), words(view.command)))
    return lines


def _release(view: DeploymentView) -> str:
    return f" of release {plain(view.release)}" if view.release else ""


def _error(view: OperationView) -> list[Text]:
    if view.error is None:
        return []
    return [prose(f"✖ {view.error.message} - {view.error.hint}".rstrip(" -"), "bad")]
