"""Several threads against one: compiled code holds no interpreter lock, so each should get a whole core."""

from __future__ import annotations

import os
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ringrift.bench.speed import ROUNDS, RandomGames
from ringrift.game.config import GameConfig

APART = 2**32
"""Between the seeds of two threads, so that they never play the same game."""


@dataclass(frozen=True)
class Rate:
    """What some threads did together, per second of wall time."""

    plies: float
    cores: float
    """CPU-seconds used."""


@dataclass(frozen=True)
class Scaling:
    """One thread, and several of them, in turn."""

    config: str
    threads: int
    alone: Rate
    together: Rate
    ratio: float
    """Of plies per second, together to alone: `threads` when every thread had a core to itself."""
    ratio_per_core: float
    """Of plies per CPU-second: 1 when the threads did not slow each other, however busy the machine is."""
    cores: int
    load: float
    """Processes that wanted a core in the minute before: near 0 on an idle machine."""


def measure_scaling(config: GameConfig, threads: int, seconds: float) -> Scaling:
    """Play stepped random games for about `seconds` on one thread and as long on `threads` of them."""
    load = os.getloadavg()[0]
    players = [RandomGames(config, seed=1 + APART * number) for number in range(threads)]
    for player in players:
        player.step()
    alone, together = [], []
    for _ in range(ROUNDS):
        alone.append(_rate(players[:1], seconds / ROUNDS))
        together.append(_rate(players, seconds / ROUNDS))
    one, all_ = _median(alone), _median(together)
    return Scaling(
        config=config.key,
        threads=threads,
        alone=one,
        together=all_,
        ratio=all_.plies / one.plies,
        ratio_per_core=(all_.plies / all_.cores) / (one.plies / one.cores),
        cores=os.cpu_count() or 1,
        load=load,
    )


def _rate(players: list[RandomGames], seconds: float) -> Rate:
    """Let each play on a thread of its own until the time is over."""
    with ThreadPoolExecutor(len(players)) as pool:
        began, used = time.perf_counter(), time.process_time()
        plies = sum(pool.map(lambda player: _play(player, began + seconds), players))
        wall, cpu = time.perf_counter() - began, time.process_time() - used
    return Rate(plies / wall, cpu / wall)


def _play(player: RandomGames, until: float) -> int:
    plies = 0
    while time.perf_counter() < until:
        plies += player.step()
        player.next_batch()
    return plies


def _median(rates: list[Rate]) -> Rate:
    return Rate(statistics.median(r.plies for r in rates), statistics.median(r.cores for r in rates))
