"""Fleet: who is up, busy, hurting?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from rich.text import Text
from textual.widget import Widget

from ringrift.client import routes
from ringrift.client.display import age, count, percent, plain, share
from ringrift.client.marks import mark
from ringrift.client.routes import Call
from ringrift.protocol.batches import BatchView
from ringrift.protocol.operator import HostView, RunningView, StatusView
from tui import keys
from tui.board import Board
from tui.chrome import Pane, Strap
from tui.draw import FULL, HIGH, fitting, flow, line, meter, progress, stack, state, words
from tui.table import Column, Rows

WELL = ("ready",)
SHORT_KINDS = {"selfplay": "play", "evaluate": "eval"}
WIDE = 110
"""Cells from which on marks stand in a column of their own."""
BATCHES = 5
"""Of the newest batches, so many are asked for."""
ROOM_FOR_KIND = 25
"""Cells that the longest config, kind and share need: `hexagonal_4p selfplay 19%`."""


def health_word(view: HostView) -> str:
    """Return the one word that says most: a ready host that is stale or down is that."""
    if view.state in WELL and view.health in ("stale", "down"):
        return view.health
    return view.state


def needs_look(view: HostView) -> bool:
    """Tell whether a host is neither well nor put away on purpose."""
    return mark(health_word(view)).tone in ("bad", "warn")


def cpu(view: HostView) -> float | None:
    seen = view.telemetry
    return None if seen is None or seen.cpu_percent is None else min(1.0, seen.cpu_percent / 100)


def memory(view: HostView) -> float | None:
    return share(view.telemetry.memory_used, view.telemetry.memory_total) if view.telemetry else None


def disk(view: HostView) -> float | None:
    return share(view.telemetry.disk_used, view.telemetry.disk_total) if view.telemetry else None


def gpu(view: HostView) -> float | None:
    seen = view.telemetry
    return None if seen is None or seen.gpu_percent is None else min(1.0, seen.gpu_percent / 100)


def work(view: HostView, width: int) -> Text:
    """Return the job with its progress; for an idle or hurting host, why."""
    tone = mark(health_word(view)).tone
    if not view.running:
        return words(view.reason or view.idle_reason or "idle", "dim" if tone == "good" else tone)
    first = view.running[0]
    more = f" +{len(view.running) - 1}" if len(view.running) > 1 else ""
    kind = SHORT_KINDS.get(first.kind, first.kind) if width < ROOM_FOR_KIND else first.kind
    what = f"{plain(first.config)} {plain(kind)}{more}"
    done = percent(share(first.done, first.total)).rjust(4)
    bar = min(16, width - 28)
    if bar < 4:
        room = max(0, width - 4)
        return line(words(what[:room].ljust(room)), words(done, "busy"))
    return line(words(what[:23].ljust(24)), progress(first.done, first.total, bar), words(done, "busy"))


def left(view: RunningView) -> str:
    """Return the time left of a job by its own rate."""
    if view.rate <= 0 or view.total <= view.done:
        return "-"
    return age((view.total - view.done) / view.rate)


def columns(old: float, width: int, marked: bool) -> tuple[Column, ...]:
    """Return the table's columns for a screen; `old` seconds have passed since the rows were seen.

    Marks get a column of their own where there is room and some host has one, else they stand before the job.
    """
    apart = width >= WIDE
    bar = 4 if width < 110 else (8 if marked else 9) if width < 140 else 14

    def beat(view: HostView, _: int) -> Text:
        seconds = None if view.heartbeat_age is None else view.heartbeat_age + old
        tone = {"up": "good", "stale": "warn", "down": "bad"}.get(view.health, "dim")
        return words("-" if seconds is None else age(seconds), tone)

    def job(view: HostView, room: int) -> Text:
        mark_of = words("") if apart or not marks(view) else words(f"{marks(view)} ", "warn")
        return line(mark_of, work(view, room - mark_of.cell_len))

    cost = Column("$/h", lambda v, w: words(price(v.hourly_cost)), 5, 5, right=True, rank=3)
    beside = Column("marks", lambda v, w: words(marks(v) or "-", "warn" if marks(v) else "dim"), 5, 5, rank=2)
    return (
        Column("state", lambda v, w: state(health_word(v)), 13, 14),
        Column("host", lambda v, w: words(v.name), 14, 14),
        Column("cpu", lambda v, w: meter(cpu(v), w, old=is_old(v)), bar, bar),
        Column("ram", lambda v, w: meter(memory(v), w, HIGH, FULL, is_old(v)), bar, bar),
        Column("disk", lambda v, w: meter(disk(v), w, HIGH, FULL, is_old(v)), bar, bar),
        Column("gpu", lambda v, w: meter(gpu(v), w, old=is_old(v)), bar, bar),
        Column("beat", beat, 4, 4, right=True),
        Column("games/h", lambda v, w: words(count(v.games_per_hour)), 7, 7, right=True, rank=1),
        *((cost,) if width >= 140 else ()),
        *((beside,) if apart and marked else ()),
        Column("job", job, 17, 80),
    )


def price(dollars: float | None) -> str:
    return "-" if dollars is None else f"{dollars:.2f}"


def marks(view: HostView) -> str:
    """Return what stands beside a host's state: it drifted, it owes an operation."""
    return " ".join(word for word, there in (("owes", view.owed), ("drift", view.drift)) if there)


def batch_lines(views: Sequence[BatchView], width: int) -> list[Text]:
    """Return the batches that run or halted, one a line with its progress."""
    lines = []
    for view in views:
        if view.state not in ("running", "halted"):
            continue
        total = sum(view.counts.values())
        done = total - sum(view.counts.get(each, 0) for each in ("waiting", "running", "baking"))
        bad = [
            words(f"{view.counts[each]} {each}", "warn")
            for each in ("failed", "owed")
            if view.counts.get(each)
        ]
        head = line(words(f"{view.kind} "), progress(done, total, 16), words(f" {done}/{total}"))
        parts = (state(view.state), head, *bad, words(view.reason, "dim"), words(view.id, "dim"))
        lines.append(fitting((part for part in parts if part.cell_len), width, "  "))
    return lines


def is_old(view: HostView) -> bool:
    """Tell whether a host's telemetry is of a time when it still answered."""
    return view.health in ("down", "unknown")


def summary(status: StatusView, shown: int, filtered: str) -> list[Text]:
    """Return the fleet in short: hosts by state, the worst first, and games an hour."""
    hosts = status.hosts
    tally = Counter(health_word(view) for view in hosts)
    order = sorted(tally, key=lambda word: ("bad", "warn", "busy", "good", "dim").index(mark(word).tone))
    if filtered:
        head = line(words(f"{shown} of {len(hosts)} hosts "), words(f"/{plain(filtered)}", "accent"))
    else:
        head = words(f"{len(hosts)} hosts")
    rate = words(
        f"{count(sum(view.games_per_hour or 0.0 for view in hosts))} games/h  ${status.hourly_cost:.2f}/h"
    )
    return [head, *(words(f"{mark(w).glyph} {tally[w]} {mark(w).word}", mark(w).tone) for w in order), rate]


def work_done(status: StatusView) -> list[Text]:
    """Return jobs by state, and the receipts of promises P1 and P2."""
    jobs = ", ".join(f"{count(number)} {plain(name)}" for name, number in status.jobs.items() if number)
    counted = status.receipts
    even = counted.games_receipted == counted.games_stored
    verdict = "✔ none lost, none twice" if even else f"✖ {counted.games_stored} stored"
    games = words(f"{count(counted.games_receipted)} games ")
    return [
        line(words("jobs ", "dim"), words(jobs or "none")),
        line(games, words(verdict, "good" if even else "bad")),
        words(f"{count(counted.games_awaiting_ingest)} await ingest", "dim"),
    ]


class Fleet(Board):
    place = keys.FLEET
    tab = "fleet"

    def body(self) -> Iterable[Widget]:
        self.table = Rows(
            columns(0.0, 80, False),
            lambda view: view.name,
            "no hosts yet: ringrift-ctl hosts add NAME --ssh user@host:port",
        )
        yield Strap()
        yield self.table
        yield Pane()

    def calls(self) -> dict[str, Call[Any]]:
        return {"batches": routes.batches(BATCHES)}

    def paint(self) -> None:
        status: StatusView | None = self.feed.views.get("status")
        if status is None or self.table is None:
            self.query_one(Strap).put(words("nothing seen yet", "dim"))
            return
        rows = [
            view
            for view in status.hosts
            if self.matches(view.name, health_word(view), view.login, view.reason, *_job(view))
        ]
        width = self.size.width - 2
        parts = (summary(status, len(rows), self.filter), work_done(status))
        rows_above = [row for part in parts for row in flow(part, width)]
        rows_above += batch_lines(self.feed.views.get("batches") or (), width)
        self.query_one(Strap).put(stack(rows_above))
        marked = any(marks(view) for view in rows)
        self.table.use(columns(self.feed.age("status") or 0.0, self.size.width, marked))
        self.table.show(rows)
        self.below(self._detail(self.table.selected))

    def _detail(self, view: HostView | None) -> list[Text]:
        """Return the selected host in short where there is room; the whole stands behind Enter."""
        from tui.host import briefly

        if view is None or not self.roomy:
            return []
        return briefly(view, self.size.width - 2)

    def subject(self) -> str:
        return self.table.selected.name if self.table and self.table.selected else ""

    def do_next(self) -> None:
        rows = self.table.rows if self.table else []
        self.go_next([index for index, view in enumerate(rows) if needs_look(view)])

    def do_enter(self) -> None:
        from tui.host import Host

        if self.subject():
            self.app.push_screen(Host(self.subject()))

    async def do_provision(self) -> None:
        await propose_provision(self, self.subject())

    async def do_drain(self) -> None:
        await propose_change(self, self.subject(), "drain")

    async def do_resume(self) -> None:
        await propose_change(self, self.subject(), "resume")


def _job(view: HostView) -> list[str]:
    return [f"{job.kind} {job.config}" for job in view.running]


async def propose_change(board: Board, name: str, verb: str) -> None:
    """Ask before draining or resuming a host."""
    from tui.dialogs import Confirm
    from tui.proposals import host_change

    if name:
        view = await board.feed.send(routes.host(name))
        board.app.push_screen(Confirm(host_change(board.feed, view, verb)))


async def propose_provision(board: Board, name: str) -> None:
    """Ask before provisioning a host; afterwards its drill-down shows the steps."""
    from tui.dialogs import Confirm
    from tui.host import Host
    from tui.proposals import provision

    if not name:
        return
    view = await board.feed.send(routes.host(name))

    def begun(made: bool | None) -> None:
        if made and board.place != keys.HOST:
            board.app.push_screen(Host(name))

    board.app.push_screen(Confirm(provision(board.feed, view)), begun)
