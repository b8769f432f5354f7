"""How soon a promotion serves everywhere, a broken candidate is taken back, and a drifted target shows.

`python -m benchmarks.rollout --targets 6`: a controller, an sshd and a service for each target, all on this
machine. What serves where is asked of the services themselves.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import tempfile
import time
from collections import defaultdict
from math import inf
from pathlib import Path
from statistics import median
from typing import Any

from sqlmodel import Session

from ringrift.control.store.operations import get_operation
from ringrift.control.store.rollouts import rows_of
from tests.load.broken import BROKEN, tried
from tests.load.drifting import DRIFTS, mended, shown
from tests.load.stand import Stand, standing

_LOOK_SECONDS = 0.1


async def seen_everywhere(stand: Stand, model: str) -> dict[str, float]:
    """Ask every service until it serves a model; return when each did, by the monotonic clock."""

    async def seen(name: str) -> float:
        while True:
            served = await stand.serves(name)
            if served is not None and served.model == model:
                return time.monotonic()
            await asyncio.sleep(_LOOK_SECONDS)

    names = list(stand.ports)
    return dict(zip(names, await asyncio.gather(*map(seen, names)), strict=True))


async def promoted(stand: Stand, model: str) -> None:
    """Promote a model, deploy it, and print how long it took and what for."""
    began = time.monotonic()
    watching = asyncio.create_task(seen_everywhere(stand, model))
    await stand.promote(model)
    view = await stand.deploy()
    assert view["state"] == "succeeded", view["reason"]
    ended, times = time.monotonic() - began, await watching
    served = sorted(at - began for at in times.values())
    print(
        f"  served by one after {served[0]:.1f} s, by all after {served[-1]:.1f} s, done after {ended:.1f} s"
    )
    print(f"  waves: {await stand.store.read(lambda s: waves(s, view['id']))}")
    print(f"  steps: {parts(view)}")


def waves(session: Session, deployment: str) -> str:
    """Return how long each wave's operations took, and what passed between one wave and the next."""
    spans: dict[int, tuple[float, float]] = {}
    for row in rows_of(session, deployment):
        operation = get_operation(session, row.operation or "")
        began, ended = spans.get(row.wave, (inf, 0.0))
        spans[row.wave] = min(began, operation.began_at), max(ended, operation.ended_at or inf)
    told, before = [], None
    for began, ended in (spans[wave] for wave in sorted(spans)):
        told += [f"watched {began - before:.2f}"] if before else []
        told.append(f"changed {ended - began:.2f}")
        before = ended
    return ", ".join(told)


def parts(view: dict[str, Any]) -> str:
    """Return what the operations of a deployment spent their time with, the median of the targets."""
    spent: dict[str, list[float]] = defaultdict(list)
    for operation in view["operations"]:
        for step in operation["steps"]:
            spent[step["name"]].append(step["seconds"] or 0.0)
    shown = {name: median(times) for name, times in spent.items()}
    return ", ".join(f"{name} {seconds:.2f}" for name, seconds in shown.items() if seconds >= 0.005)


async def refused(stand: Stand) -> None:
    """Bring every broken candidate, and print how soon all was as before."""
    for name in BROKEN:
        outcome = await tried(stand, name)
        seen = (
            f"seen on {len(outcome.touched)} until {outcome.back:.1f} s" if outcome.touched else "never seen"
        )
        print(f"{name}: {seen}; {outcome.state} after {outcome.ended:.1f} s\n  {outcome.reason}", flush=True)


async def drifted(stand: Stand, times: int) -> None:
    """Let every drift befall a target, and print how soon the controller's record showed it."""
    name = next(iter(stand.ports))
    for drift in DRIFTS:
        took = []
        for _ in range(times):
            seconds, view = await shown(stand, name, drift)
            took.append(seconds)
            await mended(stand)
        told = "; ".join(view["issues"]) or "restarted"
        print(f"{drift}: shown after {', '.join(f'{item:.1f}' for item in took)} s: {told}", flush=True)


async def measure(options: argparse.Namespace, folder: Path) -> None:
    settings = options.settings.read_text() if options.settings else ""
    targets = options.targets
    async with standing(folder, targets, settings, options.engine) as stand:
        print(f"{targets} targets: first deployment, which brings the software")
        await promoted(stand, await stand.model(0))
        print("promotion of a model that no target has seen")
        await promoted(stand, await stand.model(1))
        for number in range(options.repeats):
            model = await stand.model(2 + number)
            began = time.monotonic()
            await stand.staged(model)
            print(f"promotion after pre-staging, which took {time.monotonic() - began:.1f} s")
            await promoted(stand, model)
        if options.drift:
            await drifted(stand, options.drift)
        if options.broken:
            await refused(stand)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--targets", type=int, default=6)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--broken", action="store_true", help="also bring broken candidates")
    parser.add_argument("--drift", type=int, default=0, help="how often to let each drift befall a target")
    parser.add_argument("--engine", choices=("torch", "onnx"), default="torch", help="of the services")
    parser.add_argument("--settings", type=Path, help="a config.toml for the controller")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(options, Path(folder)))


if __name__ == "__main__":
    main()
