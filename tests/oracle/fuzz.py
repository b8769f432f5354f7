"""`make fuzz`: random games in the engine and in the oracle until enough plies are compared.

Ends with a table of what the games met, and fails if anything differs or, in a run of a million plies or
more, if some row of the table is empty. Every game follows from the seed and its number: `--game` repeats
a single one.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import count

from tests.oracle.board import SIZES
from tests.oracle.check import Played, play
from tests.oracle.coverage import empty_rows, table

GAMES_AT_ONCE = 50
JUDGED_FROM = 1_000_000
SHOWN = 10
PROGRESS_SECONDS = 30


class Tally:
    """What the games of a run met, and their differences."""

    def __init__(self) -> None:
        self.met: dict[str, Counter[str]] = {name: Counter() for name in SIZES}
        self.differences: list[str] = []

    @property
    def plies(self) -> int:
        return sum(counter["plies"] for counter in self.met.values())

    def add(self, played: Played) -> None:
        self.met[played.board].update(played.met)
        if played.difference:
            self.differences.append(played.difference)


def play_some(seed: int, first: int) -> list[Played]:
    return [play(seed, number) for number in range(first, first + GAMES_AT_ONCE)]


def run(plies: int, seed: int, workers: int) -> Tally:
    """Play games until at least that many plies are compared."""
    tally, started = Tally(), time.monotonic()
    shown = started
    firsts = count(0, GAMES_AT_ONCE)
    with ProcessPoolExecutor(workers) as pool:
        running: set[Future[list[Played]]] = set()
        while tally.plies < plies or running:
            while tally.plies < plies and len(running) < 2 * workers:
                running.add(pool.submit(play_some, seed, next(firsts)))
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                for played in future.result():
                    tally.add(played)
            if time.monotonic() - shown >= PROGRESS_SECONDS:
                shown = time.monotonic()
                _report_progress(tally, shown - started)
    _report_progress(tally, time.monotonic() - started)
    return tally


def _report_progress(tally: Tally, seconds: float) -> None:
    print(
        f"{tally.plies} plies, {tally.plies / seconds:.0f} a second, {len(tally.differences)} differences",
        flush=True,
    )


def conclude(tally: Tally) -> int:
    """Print differences and table; return the exit status."""
    for difference in tally.differences[:SHOWN]:
        print(difference)
    print(table(tally.met))
    empty = empty_rows(tally.met)
    judged = tally.plies >= JUDGED_FROM
    if empty:
        print(f"{'never met' if judged else 'too short to judge the table; not met'}: {', '.join(empty)}")
    print(f"{len(tally.differences)} differences")
    return int(bool(tally.differences) or (judged and bool(empty)))


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.oracle.fuzz", description=__doc__)
    parser.add_argument("--plies", type=int, default=100_000, help="how many to compare at least")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--game", type=int, help="only this game of the seed")
    options = parser.parse_args(arguments)
    if options.game is None:
        return conclude(run(options.plies, options.seed, max(1, options.workers)))
    tally = Tally()
    tally.add(play(options.seed, options.game))
    return conclude(tally)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
