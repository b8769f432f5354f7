"""One host: facts, load, work, the steps of its latest operation, and why it stands so."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.text import Text
from textual.widget import Widget
from textual.widgets import Static

from ringrift.client import routes
from ringrift.client.display import age, plain, share, size
from ringrift.client.routes import Call
from ringrift.protocol.operator import HostView, OperationView, WhyView
from tui import keys
from tui.board import Board
from tui.dialogs import Scroll
from tui.draw import FULL, HIGH, facts, heading, line, meter, progress, prose, stack, state, steps, words
from tui.fleet import cpu, disk, gpu, health_word, is_old, left, memory, propose_change, propose_provision
from tui.hostrecords import cost, games, records

METER = 20


class Host(Board):
    place = keys.HOST
    tab = "fleet"

    def __init__(self, name: str) -> None:
        super().__init__()
        self.trail = name
        self._host = name

    def body(self) -> Iterable[Widget]:
        yield Scroll(Static("", markup=False, id="page"))

    def calls(self) -> dict[str, Call[Any]]:
        view: HostView | None = self.feed.views.get(f"host {self._host}")
        wanted: dict[str, Call[Any]] = {
            f"host {self._host}": routes.host(self._host),
            f"why {self._host}": routes.why(self._host),
            f"keys {self._host}": routes.pinned_keys(self._host),
            "debts": routes.debts(),
        }
        if view is not None and view.operation:
            wanted[f"operation of {self._host}"] = routes.operation(view.operation)
        return wanted

    def subject(self) -> str:
        return self._host

    def paint(self) -> None:
        views, problems = self.feed.views, self.feed.problems
        view: HostView | None = views.get(f"host {self._host}") or self._known()
        width = self.size.width - 4
        if view is None:
            problem = problems.get(f"host {self._host}")
            page = [words(problem.line() if problem else "asking ...", "bad" if problem else "dim")]
        else:
            page = self._page(view, width)
        self.query_one("#page", Static).update(stack(page))

    def _known(self) -> HostView | None:
        status = self.feed.views.get("status")
        return next((view for view in status.hosts if view.name == self._host), None) if status else None

    def _page(self, view: HostView, width: int) -> list[Text]:
        lines = [_headline(view), *_columns(_identity(view), _load(view), width)]
        lines += [words(""), heading("work", width), *_work(view)]
        operation: OperationView | None = self.feed.views.get(f"operation of {self._host}")
        if operation:
            if operation.state == "running":
                self.feed.hurry(3.0)
            lines += [words(""), heading(_operation_title(operation), width), *steps(operation.steps, width)]
            if operation.error:
                lines.append(
                    prose(f"✖ {operation.error.message} - {operation.error.hint}".rstrip(" -"), "bad")
                )
        why: WhyView | None = self.feed.views.get(f"why {self._host}")
        if why:
            lines += [words(""), heading("why", width), prose(why.sentence)]
            lines += [prose(f"· {plain(fact)}", "dim") for fact in why.facts]
            lines.append(line(words("next  ", "accent"), prose(why.next_action or "nothing")))
        return lines + records(view, self.feed.views, width)

    async def do_provision(self) -> None:
        await propose_provision(self, self._host)

    async def do_drain(self) -> None:
        await propose_change(self, self._host, "drain")

    async def do_resume(self) -> None:
        await propose_change(self, self._host, "resume")


def briefly(view: HostView, width: int) -> list[Text]:
    """Return a host's facts, load and work without its history."""
    blocks = _columns(_identity(view), _load(view), width)
    title = heading(view.name, width, words(view.reason, "dim") if view.reason else None)
    return [title, *blocks, words(""), *_work(view)]


def _headline(view: HostView) -> Text:
    reason = f"   {plain(view.reason)}" if view.reason else ""
    return line(words(view.name, "accent"), "   ", state(health_word(view)), words(reason, "dim"))


def _identity(view: HostView) -> list[Text]:
    seen = view.telemetry
    return facts(
        (
            ("login", view.login),
            ("key", view.fingerprint),
            ("tunnel", state(view.tunnel)),
            ("heartbeat", "never" if view.heartbeat_age is None else f"{age(view.heartbeat_age)} ago"),
            ("release", plain(view.release or "none")),
            ("root", plain(view.root)),
            ("python", plain(view.python or "our own environment")),
            ("cost", cost(view)),
            ("gpu", plain(seen.gpu or "none seen") if seen else "unknown"),
        )
    )


def _load(view: HostView) -> list[Text]:
    seen = view.telemetry
    if seen is None:
        return facts((("load", words("unknown: no telemetry yet", "dim")),))
    return facts(
        (
            (
                "cpu",
                line(meter(cpu(view), METER, old=is_old(view)), words(f"  {seen.cpus or '?'} cores", "dim")),
            ),
            (
                "ram",
                line(
                    meter(memory(view), METER, HIGH, FULL, is_old(view)),
                    _of(seen.memory_used, seen.memory_total),
                ),
            ),
            (
                "disk",
                line(
                    meter(disk(view), METER, HIGH, FULL, is_old(view)), _of(seen.disk_used, seen.disk_total)
                ),
            ),
            ("gpu", meter(gpu(view), METER, old=is_old(view))),
            (
                "gpu ram",
                line(
                    meter(share(seen.gpu_memory_used, seen.gpu_memory_total), METER),
                    _of(seen.gpu_memory_used, seen.gpu_memory_total),
                ),
            ),
            ("games/h", games(view)),
            ("spooled", "unknown" if view.spooled is None else f"{view.spooled} results without a receipt"),
        ),
        label=9,
    )


def _of(part: float | None, whole: float | None) -> Text:
    return words("  unknown" if whole is None else f"  {size(part)} of {size(whole)}", "dim")


def _work(view: HostView) -> list[Text]:
    if not view.running:
        return [words(f"no work here: {view.idle_reason or view.reason or 'nothing was leased'}", "dim")]
    return [
        line(
            words(f"{job.kind} {job.config}".ljust(24)),
            progress(job.done, job.total, 24),
            words(f"  {job.done:.0f}/{job.total:.0f} {job.unit}", "text"),
            words(f"  {job.rate:.2g}/s  {left(job)} left", "dim"),
        )
        for job in view.running
    ]


def _operation_title(view: OperationView) -> str:
    return f"{plain(view.kind)}: {plain(view.state)}, {age(view.age)} ago"


def _columns(first: list[Text], other: list[Text], width: int) -> list[Text]:
    """Return two blocks side by side where there is room, else below one another."""
    if width < 110:
        return [*first, *other]
    half = max(text.cell_len for text in first) + 4
    rows = max(len(first), len(other))
    blank = words("")
    lines = []
    for index in range(rows):
        begin = (first[index] if index < len(first) else blank).copy()
        begin.pad_right(half - begin.cell_len)
        lines.append(line(begin, other[index] if index < len(other) else blank))
    return lines
