"""`ringrift-ctl bench inference`: how soon the service is ready, what it takes, how long answers take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ringrift.cli.output import Json, note, output

if TYPE_CHECKING:
    from rich.console import RenderableType

    from inference.bench.load import Asked
    from inference.bench.measure import Answers, Flow, InferenceFigures

_LEVELS = [1, 2, 3, 4, 5, 6]
"""The higher ones take ten minutes more on all configs."""


def inference(
    context: typer.Context,
    config: Annotated[list[str] | None, typer.Option(help="A config such as hex8_2p (all twelve).")] = None,
    level: Annotated[list[int] | None, typer.Option(min=1, max=10, help="A level (1 to 6).")] = None,
    seconds: Annotated[
        float, typer.Option(min=0.05, max=3600, help="How long each figure is measured.")
    ] = 0.5,
    workers: Annotated[int | None, typer.Option(min=1, max=64, help="Searches at once (the cores).")] = None,
    json: Json = False,
) -> None:
    """Measure the service with twelve loaded models: start, memory, and answers at 1 and 8 clients.

    The clients run on this machine too. Levels 1 to 6 of all configs take two to three minutes.
    """
    import os

    from ringrift.errors import EnvironmentProblem
    from ringrift.game.config import ALL_CONFIGS, GameConfig

    configs = [GameConfig.parse(key) for key in config] if config else list(ALL_CONFIGS)
    try:
        from inference.bench.measure import measure
    except ModuleNotFoundError as missing:
        raise EnvironmentProblem(
            f"{missing.name} is not installed", hint="pip install 'ringrift[inference,control]'"
        ) from missing
    at_once = workers or max(1, min(8, os.cpu_count() or 1))
    figures = measure(configs, level or _LEVELS, seconds, at_once, note)
    output(context, json).data(figures, lambda: _drawn(figures))


def _drawn(found: InferenceFigures) -> RenderableType:
    from rich.console import Group

    from ringrift.cli.output import fields
    from ringrift.client.display import size

    summary = fields(
        (
            ("machine", f"{found.machine}; {found.workers} searches at once"),
            ("models", f"{found.models} of {found.network}"),
            ("ready", f"{found.start_seconds:.1f} s ({found.start_cpu:.1f} s CPU), warm cache"),
            ("memory", f"{size(found.memory_started)} started, {size(found.memory_used)} after use"),
            *((f"level {flow.level}", _flow(flow)) for flow in found.flows),
        )
    )
    return Group(summary, _answers(found.answers))


def _flow(flow: Flow) -> str:
    return f"{flow.per_second:,.0f} a second on {flow.config}, {flow.cpu_ms:.1f} ms CPU each"


def _answers(rows: list[Answers]) -> RenderableType:
    from ringrift.cli.output import table

    counts = [asked.clients for asked in rows[0].asked]
    headers = ["config", "level>", "player", "budget>"]
    for clients in counts:
        headers += [f"{clients}: p50>", "p99>", "asked>"]
    return table(
        headers,
        (
            (
                row.config,
                row.level,
                row.ai_type,
                row.think_ms,
                *(cell for asked in row.asked for cell in _cells(asked)),
            )
            for row in rows
        ),
        f"milliseconds until an answer, with {' and '.join(map(str, counts))} clients",
    )


def _cells(asked: Asked) -> tuple[str, str, str]:
    failed = f", {asked.failed} failed" if asked.failed else ""
    return f"{asked.p50:.0f}", f"{asked.p99:.0f}", f"{asked.requests}{failed}"
