"""`make simulate SEEDS=10000`: play seeds, say what came to pass, and how to replay the first broken one."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.checks import Violation
from tests.simulation.world import run_seed

Outcome = tuple[int, dict[str, int], str]
"""(seed, what came to pass, the broken promise or nothing)."""


def outcome(seed: int) -> Outcome:
    """Play one seed without its story."""
    logging.disable(logging.CRITICAL)
    try:
        return seed, run_seed(seed).totals, ""
    except Violation as violation:
        return seed, {}, str(violation)
    except Exception as error:
        return seed, {}, f"raised {type(error).__name__}: {error}"


def replay(seed: int) -> int:
    """Play one seed and tell its story; 1 when a promise was broken."""
    logging.basicConfig(level=logging.WARNING, format="          %(name)s: %(message)s")
    try:
        world = run_seed(seed)
    except Violation as violation:
        print(*getattr(violation, "__notes__", ()), f"seed {seed}: {violation}", sep="\n")
        return 1
    print(*world.log, f"seed {seed}: every promise was kept", sep="\n")
    return 0


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.run", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="how many seeds to play")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, help="replay this one and tell its story")
    wanted = parser.parse_args()
    if wanted.seed is not None:
        return replay(wanted.seed)
    began, totals, broken = time.monotonic(), Counter[str](), list[Outcome]()
    with ProcessPoolExecutor(wanted.workers) as pool:
        seeds = range(wanted.first, wanted.first + wanted.seeds)
        for number, found in enumerate(pool.map(outcome, seeds, chunksize=8), 1):
            totals.update(found[1])
            if found[2]:
                broken.append(found)
                print(f"seed {found[0]}: {found[2]}\n  replay: make simulate SEED={found[0]}", flush=True)
            if number % 500 == 0:
                print(
                    f"{number} seeds, {len(broken)} violations, {time.monotonic() - began:.0f} s", flush=True
                )
    for what, number in totals.items():
        print(f"{number:12,}  {what}")
    print(f"{wanted.seeds} seeds, {len(broken)} violations, {time.monotonic() - began:.0f} s")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
