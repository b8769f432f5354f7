"""What it costs to be ready to play: fresh processes with a warm and with an empty compile cache.

`python -m ringrift.bench.startup CONFIG` is such a process: it gets ready and says what that took.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from ringrift.errors import EnvironmentProblem

RUNS = 3
"""Warm starts of which the median is taken."""


@dataclass(frozen=True)
class Startup:
    """CPU seconds of a process from its start until it has played a game through, and its largest memory."""

    load_seconds: float
    memory: int
    """Bytes, resident."""
    compile_seconds: float | None
    """The same with an empty cache; `None` when that was not measured."""


def measure_startup(config: str, *, cold: bool) -> Startup:
    """Start processes that play `config`; the cache must be warm. `cold` takes half a minute more."""
    starts = [_start(config) for _ in range(RUNS)]
    compiled = None
    if cold:
        with tempfile.TemporaryDirectory() as empty:
            compiled = _start(config, NUMBA_CACHE_DIR=empty)[0]
    seconds, memory = (statistics.median(figures) for figures in zip(*starts, strict=True))
    return Startup(seconds, int(memory), compiled)


def _start(config: str, **environment: str) -> tuple[float, int]:
    command = [sys.executable, "-m", "ringrift.bench.startup", config]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise EnvironmentProblem(f"a fresh process could not load the rules: {last}")
    seconds, memory = json.loads(done.stdout)
    return seconds, memory


def get_ready(config: str) -> None:
    """Do what every player does first: list, apply, and play a game through."""
    from ringrift.game.config import GameConfig
    from ringrift.game.play import Game
    from ringrift.game.playout import playout

    game = Game.new(GameConfig.parse(config))
    game.apply(int(game.legal()[0]))
    playout(game.geo, game.states, 0, game.scratch, 1)


def _peak_memory() -> int:
    """Return the largest resident size in bytes; on Linux `getrusage` would count the parent's as well."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    get_ready(sys.argv[1])
    sys.stdout.write(json.dumps([time.process_time(), _peak_memory()]))
