"""`make failpoints`: a kill at every arrival at every place of every scene, and a table of the verdicts."""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.failpoints import alert_scenes, files_scenes, hosts_scenes, ssh_scenes, work_scenes
from tests.failpoints.killing import Arrival, NotReached, Scene, kill_and_repeat, record
from tests.failpoints.places import names

ALL: tuple[Scene, ...] = (
    *hosts_scenes.SCENES,
    *work_scenes.SCENES,
    *files_scenes.SCENES,
    *alert_scenes.SCENES,
    *ssh_scenes.SCENES,
)
MOST = 12
"""Arrivals at one place in one act that are killed: passes that wait arrive as often as they like."""


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what controllers log out of the output."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


@contextmanager
def played(scenes: Sequence[Scene], folder: Path) -> Iterator[list[Arrival]]:
    """Play scenes once and yield all arrivals; what the scenes need runs while inside."""
    try:
        yield [
            arrival for number, scene in enumerate(scenes) for arrival in record(scene, folder / str(number))
        ]
    finally:
        for number, scene in enumerate(scenes):
            scene.end(folder / str(number))


def verdict(arrival: Arrival) -> str:
    """Kill there; return `sound`, or what was broken.

    How often a controller comes by while it waits depends on the machine: the first time must come again.
    """
    try:
        kill_and_repeat(arrival)
    except NotReached as problem:
        return f"BROKEN: {problem}" if arrival.count == 1 else "not so often this time"
    except Exception as problem:
        return f"BROKEN: {type(problem).__name__}: {problem}"
    return "sound"


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.failpoints.run", description=__doc__)
    parser.add_argument("--name", help="only this place")
    wanted = parser.parse_args()
    began, broken, reached = time.monotonic(), 0, set[tuple[str, str]]()
    with quiet(), tempfile.TemporaryDirectory() as folder, played(ALL, Path(folder)) as arrivals:
        for arrival in arrivals:
            reached.add((arrival.name, arrival.moment))
            if arrival.count > MOST or wanted.name not in (None, arrival.name):
                continue
            said = verdict(arrival)
            broken += said.startswith("BROKEN")
            print(f"{arrival.place:40} {arrival.act:44} reached {said}", flush=True)
    missing = {(name, moment) for name in names() for moment in ("before", "after")} - reached
    for name, moment in sorted(missing):
        print(f"{name}:{moment:10} NOT REACHED")
    seconds = time.monotonic() - began
    print(f"{len(names())} names, {len(reached)} places reached, {broken} broken, {seconds:.0f} s")
    return 1 if broken or missing else 0


if __name__ == "__main__":
    sys.exit(main())
