"""Everything that `ringrift-ctl bench inference` tells, measured on a service with twelve models."""

from __future__ import annotations

import os
import platform
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from inference.bench.load import Asked, ask, bodies
from inference.bench.process import Service, write_models
from ringrift.game.config import GameConfig
from ringrift.nets.network import ArchConfig
from ringrift.players.ladder import level

STARTS = 3
"""Starts with a warm cache of which the median is taken."""
CLIENTS = (1, 8)
_FLOW_LEVELS = (1, 2)


@dataclass(frozen=True)
class Answers:
    """How long a level's answers took on a config, alone and with eight clients at once."""

    config: str
    level: int
    ai_type: str
    think_ms: int
    """What the ladder allows the search by the clock."""
    asked: list[Asked]


@dataclass(frozen=True)
class Flow:
    """What eight clients get of a cheap level, and the service's CPU for one of these answers."""

    config: str
    level: int
    per_second: float
    cpu_ms: float


@dataclass(frozen=True)
class InferenceFigures:
    """What was measured. Memory is resident bytes; starts are seconds from process start to healthy."""

    machine: str
    workers: int
    models: int
    network: str
    start_seconds: float
    start_cpu: float
    memory_started: int
    memory_used: int
    """After everything below was asked."""
    answers: list[Answers]
    flows: list[Flow]


def measure(
    configs: list[GameConfig],
    levels: list[int],
    seconds: float,
    workers: int,
    told: Callable[[str], object],
) -> InferenceFigures:
    """Start a service and ask each level of each config, with one and eight clients, `seconds` each.

    The clients share the machine with the service. `told` hears what is measured next.
    """
    arch = ArchConfig()
    with tempfile.TemporaryDirectory(prefix="ringrift-bench-") as name:
        folder = Path(name)
        write_models(folder, arch)
        told("starting; without a cache the first start compiles for a minute")
        starts = [_start(folder, workers) for _ in range(STARTS + 1)][1:]
        with Service(folder, workers) as service:
            answers = [
                _answers(service, config, rung, seconds, told) for config in configs for rung in levels
            ]
            flows = [_flow(service, configs[0], rung, seconds) for rung in _FLOW_LEVELS]
            used = service.memory()
    return InferenceFigures(
        machine=f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        workers=workers,
        models=12,
        network=f"{arch.blocks}x{arch.channels}",
        start_seconds=statistics.median(start[0] for start in starts),
        start_cpu=statistics.median(start[1] for start in starts),
        memory_started=max(start[2] for start in starts),
        memory_used=used,
        answers=answers,
        flows=flows,
    )


def _start(folder: Path, workers: int) -> tuple[float, float, int]:
    with Service(folder, workers) as service:
        return service.seconds, service.cpu(), service.memory()


def _answers(
    service: Service, config: GameConfig, rung: int, seconds: float, told: Callable[[str], object]
) -> Answers:
    told(f"{config.key}, level {rung}")
    found, questions = level(rung, config), bodies(config, rung)
    # Every worker has its own players: they are made before the clock starts.
    ask(service.address, questions, CLIENTS[-1], 0.0)
    asked = [ask(service.address, questions, clients, seconds) for clients in CLIENTS]
    return Answers(config.key, rung, found.ai_type, found.think_ms, asked)


def _flow(service: Service, config: GameConfig, rung: int, seconds: float) -> Flow:
    before = service.cpu()
    asked = ask(service.address, bodies(config, rung), CLIENTS[-1], max(2.0, seconds))
    return Flow(config.key, rung, asked.per_second, (service.cpu() - before) / asked.requests * 1000)
