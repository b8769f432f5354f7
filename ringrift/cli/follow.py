"""Wait for long actions, with live steps on stderr."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from ringrift.errors import PartialFailure, RingRiftError, Unreachable, error_classes

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ringrift.client.http import Client
    from ringrift.protocol.batches import BatchView
    from ringrift.protocol.operator import DeploymentView, OperationView

V = TypeVar("V", bound="OperationView | BatchView | DeploymentView")
GOING = ("running", "halting", "cancelling")
POLL_SECONDS = 0.4
PATIENCE_SECONDS = 60.0
"""How long the controller may be away in between (a restart) before we stop waiting."""


def follow_operation(client: Client, first: OperationView, label: str = "") -> OperationView:
    """Show one operation until it ends and return how it ended."""
    from ringrift.client import routes

    return follow(lambda: [client.send(routes.operation(first.id))], [first], label)[0]


def follow_batch(client: Client, first: BatchView) -> BatchView:
    """Show a batch until it ends or halts and return how it stands then."""
    from ringrift.cli.batchtables import batch
    from ringrift.client import routes

    shown = _Live(lambda views: batch(views[0])) if sys.stderr.isatty() else _HostLines()
    return _watch(lambda: [client.send(routes.batch(first.id))], [first], shown)[0]


def follow_deployment(client: Client, first: DeploymentView) -> DeploymentView:
    """Show a deployment until it has ended, or everything is taken back, and return how it ended."""
    from ringrift.cli.tables import deployed
    from ringrift.client import routes

    shown = _Live(lambda views: deployed(views[0])) if sys.stderr.isatty() else _TargetLines()
    return _watch(lambda: [client.send(routes.deployment(first.id or ""))], [first], shown)[0]


def follow(
    ask: Callable[[], Sequence[OperationView]], first: Sequence[OperationView], label: str = ""
) -> Sequence[OperationView]:
    """Show operations that run side by side until none is running; `ask` fetches how they stand."""
    return _watch(
        ask, first, _Live(lambda views: _drawn(views, label)) if sys.stderr.isatty() else _StepLines()
    )


def _watch(ask: Callable[[], Sequence[V]], first: Sequence[V], shown: Any) -> Sequence[V]:
    """Ask again and again until no view goes on; `shown` is entered for what shows them."""
    try:
        return _follow(ask, first, shown)
    except KeyboardInterrupt:
        sys.stderr.write("no longer watching; the controller goes on\n")
        raise


def _follow(ask: Callable[[], Sequence[V]], first: Sequence[V], shown: Any) -> Sequence[V]:
    views, away_since = first, None
    with shown as show:
        show(views)
        while any(view.state in GOING for view in views):
            time.sleep(POLL_SECONDS)
            try:
                views, away_since = ask(), None
            except Unreachable:
                away_since = away_since or time.monotonic()
                if time.monotonic() - away_since > PATIENCE_SECONDS:
                    raise
                continue
            show(views)
    return views


def raise_failures(views: Sequence[OperationView]) -> None:
    """Raise what went wrong: the one failure itself when there was one subject, else `PartialFailure`."""
    failed = [view for view in views if view.state == "failed"]
    if not failed:
        return
    causes = [_cause(view) for view in failed]
    if len(views) == 1:
        raise causes[0]
    told = "; ".join(error.message for error in causes)
    raise PartialFailure(
        f"{len(failed)} of {len(views)} failed: {told}", hint="ask again: finished steps are not repeated"
    )


def raise_unless_served(view: DeploymentView) -> None:
    """Raise when a deployment ended otherwise than with every target serving it."""
    if view.state not in ("halting", "failed", "cancelling", "cancelled"):
        return
    counts = Counter(row.state for row in view.targets)
    told = ", ".join(f"{count} {state}" for state, count in counts.items())
    raise PartialFailure(
        f"{view.id} {view.state}: {view.reason} ({told})", hint="see `ringrift-ctl targets list`"
    )


def _cause(view: OperationView) -> RingRiftError:
    if view.error is None:
        return RingRiftError(
            f"{view.kind} {view.subject} failed", hint=f"see `ringrift-ctl why {view.subject}`"
        )
    known = error_classes().get(view.error.code, RingRiftError)
    return known(f"{view.subject}: {view.error.message}", hint=view.error.hint)


class _Live:
    """Redraws views in place on a terminal."""

    def __init__(self, draw: Callable[[Sequence[Any]], RenderableType]) -> None:
        from rich.live import Live

        from ringrift.cli.output import console

        self._draw = draw
        self._live = Live(console=console(sys.stderr), refresh_per_second=8)

    def __enter__(self) -> Callable[[Sequence[Any]], None]:
        self._live.__enter__()
        return lambda views: self._live.update(self._draw(views))

    def __exit__(self, *details: Any) -> None:
        self._live.__exit__(*details)


class _HostLines:
    """Prints one line as each host of a batch comes to another state, where stderr is no terminal."""

    def __init__(self) -> None:
        self._told: dict[str, str] = {}

    def __enter__(self) -> Callable[[Sequence[BatchView]], None]:
        return self._show

    def __exit__(self, *_: object) -> None:
        pass

    def _show(self, views: Sequence[BatchView]) -> None:
        from ringrift.client.display import plain

        for row in views[0].hosts:
            if row.state != self._told.get(row.host, "waiting"):
                self._told[row.host] = row.state
                sys.stderr.write(plain(f"{row.host}: {row.state} {row.reason}".rstrip()) + "\n")
        sys.stderr.flush()


class _StepLines:
    """Prints one line as each step ends, where stderr is no terminal."""

    def __init__(self) -> None:
        self._told: set[tuple[str, str]] = set()

    def __enter__(self) -> Callable[[Sequence[OperationView]], None]:
        return self._show

    def __exit__(self, *_: object) -> None:
        pass

    def _show(self, views: Sequence[OperationView]) -> None:
        from ringrift.client.display import plain

        for view in views:
            for step in view.steps:
                ended = step.state in ("done", "unchanged", "failed")
                if ended and (view.id, step.name) not in self._told:
                    self._told.add((view.id, step.name))
                    seconds = "" if step.seconds is None else f" ({step.seconds:.1f}s)"
                    line = f"{view.subject}: {step.name} {step.state}{seconds} {step.detail}".rstrip()
                    sys.stderr.write(plain(line) + "\n")
                    sys.stderr.flush()


class _TargetLines:
    """Prints a line as each step of a deployment ends, and as each target comes to another state."""

    def __init__(self) -> None:
        self._steps, self._told = _StepLines(), dict[str, str]()

    def __enter__(self) -> Callable[[Sequence[DeploymentView]], None]:
        return self._show

    def __exit__(self, *_: object) -> None:
        pass

    def _show(self, views: Sequence[DeploymentView]) -> None:
        from ringrift.client.display import plain

        with self._steps as show:
            show(views[0].operations)
        for row in views[0].targets:
            if row.state != self._told.get(row.target, "waiting"):
                self._told[row.target] = row.state
                sys.stderr.write(plain(f"{row.target}: {row.state} {row.reason}".rstrip()) + "\n")
        sys.stderr.flush()


def _drawn(views: Sequence[OperationView], label: str) -> RenderableType:
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    from ringrift.cli.tables import operation

    steps = [step for view in views for step in view.steps]
    ended = sum(step.state in ("done", "unchanged", "failed") for step in steps)
    bar = Table.grid(padding=(0, 1))
    words = Text(f"{label} {ended}/{len(steps)} steps")
    bar.add_row(ProgressBar(total=max(1, len(steps)), completed=ended, width=30), words)
    return Group(*(operation(view) for view in views), bar)
