"""`ringrift-ctl bench`: how fast this machine plays and serves, and what a controller bears on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from ringrift.cli.benchgate import gate
from ringrift.cli.benchinference import inference
from ringrift.cli.benchladder import ladder
from ringrift.cli.output import Json, note, output

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ringrift.bench.scaling import Scaling
    from ringrift.bench.speed import Speed
    from ringrift.bench.startup import Startup
    from ringrift.control.bench.measure import ControlFigures
    from ringrift.game.config import GameConfig

app = typer.Typer(help="How fast this machine plays and serves, and how well controller, gate and ladder do.")
app.command()(gate)
app.command()(inference)
app.command()(ladder)


@app.callback()
def group() -> None:
    """How fast this machine plays and serves, and what a controller bears on it."""


@dataclass(frozen=True)
class Report:
    """Everything that was measured."""

    speeds: list[Speed]
    scaling: list[Scaling]
    startup: Startup


@app.command()
def engine(
    context: typer.Context,
    config: Annotated[list[str] | None, typer.Option(help="A config such as hex8_2p (all twelve).")] = None,
    seconds: Annotated[float, typer.Option(min=0.05, max=3600, help="CPU time of each figure.")] = 1.0,
    threads: Annotated[int, typer.Option(min=1, max=256, help="Also compare so many threads with one.")] = 1,
    cold: Annotated[bool, typer.Option("--cold", help="Also compile anew: half a minute.")] = False,
    json: Json = False,
) -> None:
    """Measure random games: full rules, and the full legal list at every ply.

    Rates are plies per CPU-second on one core. A ply is a recorded move, forced ones included.
    """
    configs = _configs(config)
    report = _measured(configs, seconds, threads, cold)
    output(context, json).data(report, lambda: _drawn(report))


@app.command()
def control(
    context: typer.Context,
    agents: Annotated[
        int, typer.Option(min=8, max=100_000, help="Simulated agents, each on its host.")
    ] = 10_000,
    seconds: Annotated[float, typer.Option(min=5, max=3600, help="How long heartbeats are measured.")] = 60.0,
    connections: Annotated[int, typer.Option(min=8, max=4000, help="Most connections of all agents.")] = 500,
    database: Annotated[str | None, typer.Option(help="An empty Postgres (SQLite in a new folder).")] = None,
    json: Json = False,
) -> None:
    """Measure one controller: CPU, memory and heartbeats under many agents, results, and a kill -9.

    The agents are simulated by another process over the real socket, with real keys; that process is not
    counted. They hold one assignment each and beat every 15 seconds. Takes about two minutes more.
    """
    import asyncio
    import os
    import tempfile
    from pathlib import Path

    from ringrift.control.bench.measure import measure
    from ringrift.control.store.engine import DATABASE_URL

    os.environ.pop(DATABASE_URL, None)
    if database:
        os.environ[DATABASE_URL] = database
    note("measuring; first every agent is heard once")
    with tempfile.TemporaryDirectory(prefix="ringrift-bench-") as folder:
        figures = asyncio.run(measure(Path(folder), agents, connections, seconds))
    output(context, json).data(figures, lambda: _controller(figures))


def _controller(found: ControlFigures) -> RenderableType:
    from ringrift.cli.output import fields
    from ringrift.client.display import size

    back = f"all {found.everyone_back:.1f} s ({found.back_cpu:.1f} s CPU)"
    single = f"{found.single_results_per_second:,.0f} a second one by one"
    return fields(
        (
            ("machine", found.machine),
            ("agents", f"{found.agents:,} over {found.connections} connections, {found.database}"),
            ("heartbeats", f"{found.beats:,} in {found.seconds:.0f} s, {found.failed} failed"),
            ("CPU", f"{found.cores:.1%} of a core; {found.result_cpu * 1e6:.0f} us a result in a batch"),
            ("memory", size(found.memory)),
            ("heartbeat", f"p50 {found.beat_p50 * 1000:.0f} ms, p99 {found.beat_p99 * 1000:.0f} ms"),
            ("results", f"{found.results_per_second:,.0f} a second in batches of {found.batch}; {single}"),
            ("after kill -9", f"first answer {found.first_answer:.1f} s, {back}"),
            ("false alarms", found.false_alarms),
        )
    )


def _configs(keys: list[str] | None) -> list[GameConfig]:
    from ringrift.game.config import ALL_CONFIGS, GameConfig

    return [GameConfig.parse(key) for key in keys] if keys else list(ALL_CONFIGS)


def _measured(configs: list[GameConfig], seconds: float, threads: int, cold: bool) -> Report:
    from ringrift.errors import EnvironmentProblem

    try:
        from ringrift.bench.scaling import measure_scaling
        from ringrift.bench.speed import measure_speed
        from ringrift.bench.startup import measure_startup
    except ModuleNotFoundError as missing:
        raise EnvironmentProblem(
            f"{missing.name} is not installed", hint="pip install 'ringrift[agent,control]'"
        ) from missing
    note("measuring; the first figure waits for the compiler")
    speeds = [measure_speed(config, seconds) for config in configs]
    scaling = [measure_scaling(config, threads, seconds) for config in configs if threads > 1]
    return Report(speeds, scaling, measure_startup(configs[0].key, cold=cold))


def _drawn(report: Report) -> RenderableType:
    from rich.console import Group

    parts = [_speeds(report.speeds), _phases(report.speeds)]
    if report.scaling:
        parts.append(_scaling(report.scaling))
    return Group(*parts, _startup(report.startup))


def _speeds(speeds: list[Speed]) -> RenderableType:
    from ringrift.cli.output import table

    headers = ("config", "stepped>", "settled>", "plies/game>", "decisions/game>", "moves median>", "p99>")
    rows = (
        (
            speed.config,
            f"{speed.stepped:,.0f}",
            f"{speed.settled:,.0f}",
            f"{speed.plies:,.0f}",
            f"{speed.decisions:,.0f}",
            speed.legal_median,
            speed.legal_p99,
        )
        for speed in speeds
    )
    return table(headers, rows, "plies per CPU-second on one core; legal moves at a decision")


def _phases(speeds: list[Speed]) -> RenderableType:
    from ringrift.cli.output import table

    rows = (
        (
            speed.config,
            cost.phase,
            f"{cost.share:.1%}",
            f"{cost.legal_us:.2f}",
            f"{cost.apply_us:.2f}",
            f"{cost.part(speed.phases):.1%}",
        )
        for speed in speeds
        for cost in speed.phases
    )
    headers = ("config", "phase", "plies>", "legal us>", "apply us>", "time>")
    return table(headers, rows, "CPU microseconds a ply")


def _scaling(figures: list[Scaling]) -> RenderableType:
    from ringrift.cli.output import table

    headers = ("config", "threads>", "1 thread>", "together>", "ratio>", "a core>", "cores used>", "load>")
    rows = (
        (
            found.config,
            found.threads,
            f"{found.alone.plies:,.0f}",
            f"{found.together.plies:,.0f}",
            f"{found.ratio:.2f}",
            f"{found.ratio_per_core:.2f}",
            f"{found.alone.cores:.2f}, {found.together.cores:.2f} of {found.cores}",
            f"{found.load:.2f}",
        )
        for found in figures
    )
    return table(headers, rows, "plies per second of wall time; ratios also per CPU-second (a core)")


def _startup(found: Startup) -> RenderableType:
    from ringrift.cli.output import fields
    from ringrift.client.display import size

    cold = "not measured (--cold)" if found.compile_seconds is None else f"{found.compile_seconds:.1f} s CPU"
    loaded = f"{found.load_seconds:.2f} s CPU, {size(found.memory)} resident"
    return fields((("ready from the cache", loaded), ("ready without it", cold)))
