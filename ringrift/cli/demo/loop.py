"""Watch one config until a candidate has won its evaluation: stages with rates and time left."""

from __future__ import annotations

import time
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from ringrift.client import routes
from ringrift.client.http import Client
from ringrift.errors import RingRiftError, Unreachable
from ringrift.protocol.operator import ConfigView, EvaluationView, JobView

POLL_SECONDS = 1.0
PATIENCE_SECONDS = 1500.0
AWAY_SECONDS = 120.0
"""How long the controller may be away (killed, restarting) before the demo gives up."""


@dataclass(frozen=True)
class Stage:
    """One line of progress: `done` of `total`, and what stands behind it in words."""

    name: str
    done: float
    total: float
    unit: str
    note: str = ""


@dataclass(frozen=True)
class Picture:
    """The rows of one config at one moment."""

    config: ConfigView
    jobs: list[JobView]
    evaluations: list[EvaluationView]
    """Newest first."""
    proven: bool
    """A candidate passed every test that its promotion needs."""


def stages(picture: Picture, wanted: int) -> list[Stage]:
    """Return self-play, training and evaluation as they stand; `wanted` positions start a training."""
    return [_selfplay(picture, wanted), _training(picture), _evaluation(picture)]


def _selfplay(picture: Picture, wanted: int) -> Stage:
    config = picture.config
    played = min(config.positions, wanted)
    return Stage("self-play", played, wanted, "positions", f"{config.games} games counted")


def _training(picture: Picture) -> Stage:
    runs = [job for job in picture.jobs if job.kind == "train" and job.config == picture.config.key]
    if picture.evaluations or any(job.state == "succeeded" for job in runs):
        return Stage("training", 1, 1, "", "checkpoint stored")
    share = max((job.progress for job in runs if job.state == "leased"), default=0.0)
    return Stage("training", share, 1, "")


def _evaluation(picture: Picture) -> Stage:
    if not picture.evaluations:
        return Stage("evaluation", 0, 1, "")
    newest = picture.evaluations[0]
    share = min(abs(newest.llr / (newest.upper if newest.llr >= 0 else newest.lower)), 0.99)
    note = f"{newest.games} games, score {newest.score or 0:.2f}, LLR {newest.llr:+.2f} of {newest.upper:.2f}"
    itself = "against itself: " if newest.opponent == newest.candidate else ""
    return Stage("evaluation", 1 if picture.proven else share, 1, "", itself + note)


class Lines:
    """The stages as progress bars with speed and time left, measured from when each began to move."""

    def __init__(self, console: Console) -> None:
        text = TextColumn("{task.fields[note]}")
        self.bars = Progress(
            TextColumn("  {task.description:<11}"), BarColumn(24), text, TimeElapsedColumn(), console=console
        )
        self._tasks = {
            name: self.bars.add_task(name, total=1.0, start=False, note="")
            for name in ("self-play", "training", "evaluation")
        }
        self._since: dict[str, tuple[float, float]] = {}

    def draw(self, stage: Stage, now: float) -> None:
        task = self._tasks[stage.name]
        began, first = self._since.setdefault(stage.name, (now, stage.done))
        if stage.done > first or 0 < stage.done < stage.total:
            self.bars.start_task(task)
        rate = (stage.done - first) / (now - began) if now > began else 0.0
        words = [stage.note, *_pace(stage, rate)]
        self.bars.update(
            task, completed=stage.done / stage.total, note=", ".join(word for word in words if word)
        )
        if stage.done >= stage.total:
            self.bars.stop_task(task)


def _pace(stage: Stage, rate: float) -> list[str]:
    """Return speed and time left in words; nothing where they cannot be known."""
    if rate <= 0 or stage.done >= stage.total:
        return []
    speed = [f"{rate:.0f} {stage.unit}/s"] if stage.unit else []
    return [*speed, f"{(stage.total - stage.done) / rate:.0f} s left"]


def await_acceptance(client: Client, config: str, wanted: int, console: Console) -> EvaluationView:
    """Block until a candidate passed all of its tests; return the one against the champion or the anchor.

    Raises when a test was rejected or nothing moves for long.
    """
    lines = Lines(console)
    end = time.monotonic() + PATIENCE_SECONDS
    answered = time.monotonic()
    with lines.bars:
        while time.monotonic() < end:
            try:
                picture = _look(client, config)
            except Unreachable:
                if time.monotonic() - answered > AWAY_SECONDS:
                    raise
            else:
                answered = time.monotonic()
                for stage in stages(picture, wanted):
                    lines.draw(stage, answered)
                if picture.evaluations and picture.evaluations[0].state == "rejected":
                    raise _lost(picture.evaluations[0])
                if picture.proven:
                    return next(item for item in picture.evaluations if item.purpose == "superiority")
            time.sleep(POLL_SECONDS)
    raise RingRiftError(
        f"{config} has no verdict after {PATIENCE_SECONDS:.0f} s", hint=f"ask `ringrift-ctl why {config}`"
    )


def _look(client: Client, config: str) -> Picture:
    return Picture(
        client.send(routes.config(config)),
        client.send(routes.jobs(limit=200)),
        client.send(routes.evaluations(config=config)),
        client.send(routes.promotion_plan(config)).allowed,
    )


def _lost(evaluation: EvaluationView) -> RingRiftError:
    return RingRiftError(
        f"candidate {evaluation.candidate[:12]} of {evaluation.config} lost its evaluation",
        hint="run `make demo` again: self-play goes on and the next candidate is tried",
    )
