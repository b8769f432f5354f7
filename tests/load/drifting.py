"""What befalls a target behind its controller's back, and how soon the controller's record shows it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from tests.load.stand import Stand

_LOOK_SECONDS = 0.1
_LONGEST = 60.0


def _folder(stand: Stand, name: str) -> Path:
    return stand.root(name) / "inference" / name


def _checkpoint(stand: Stand, name: str) -> Path:
    (found,) = (_folder(stand, name) / "current").glob("*.pth")
    return found


def edited(stand: Stand, name: str) -> None:
    """Change a byte of the file that is served, by way of a new file as editors do."""
    path = _checkpoint(stand, name)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    new = path.with_name("edited")
    new.write_bytes(content)
    new.replace(path)


def removed(stand: Stand, name: str) -> None:
    """Remove the file that is served."""
    _checkpoint(stand, name).unlink()


def restarted(stand: Stand, name: str) -> None:
    """Kill the service's processes, which its supervisor starts again."""
    for process in _processes(stand, name):
        process.kill()


def put_back(stand: Stand, name: str) -> None:
    """Point to the models of an older deployment, and restart, so that nothing remembers newer ones."""
    folder = _folder(stand, name)
    present = (folder / "current").readlink()
    older = max(path for path in (folder / "models").iterdir() if path.name != present.name)
    new = folder / "by-hand"
    new.symlink_to(f"models/{older.name}")
    new.replace(folder / "current")
    restarted(stand, name)


def stopped(stand: Stand, name: str) -> None:
    """Stop the service for good."""
    (state,) = (stand.root(name) / "run" / "services").glob(f"inference-{name}.json")
    command = [sys.executable, "-m", "agents.supervisor", "stop", "--grace", "5"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    place = ["--dir", str(state.parent), "--name", state.stem]
    subprocess.run([*command, *place], env=environment, check=True, capture_output=True)


def _processes(stand: Stand, name: str) -> list[psutil.Process]:
    """Return the front and the service, without their supervisor, which has their command in its own."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = process.info["cmdline"] or []
        if str(_folder(stand, name)) in line and "agents.supervisor" not in line:
            found.append(process)
    return found


DRIFTS: dict[str, tuple[Callable[[Stand, str], None], str]] = {
    "older models": (put_back, "drifted"),
    "an edited file": (edited, "unhealthy"),
    "a removed file": (removed, "unhealthy"),
    "a restart": (restarted, "serving"),
    "a stopped service": (stopped, "unreachable"),
}
"""What is done, and the state that the controller is to show; of a restart it tells the age."""


async def shown(stand: Stand, name: str, drift: str) -> tuple[float, dict[str, Any]]:
    """Let something befall a target; return the seconds until the controller shows it, and what it shows.

    The target must serve as ordered. Raises AssertionError when nothing is shown in a minute.
    """
    befall, state = DRIFTS[drift]
    view = await stand.get(f"/targets/{name}")
    assert view["state"] == "serving", view
    began = time.monotonic()
    await asyncio.to_thread(befall, stand, name)
    while (took := time.monotonic() - began) < _LONGEST:
        view = await stand.get(f"/targets/{name}")
        anew = view["restarted_age"] is not None and view["restarted_age"] < took
        if view["state"] == state and (state != "serving" or anew):
            return took, view
        await asyncio.sleep(_LOOK_SECONDS)
    raise AssertionError(f"{drift} was not shown: {view}")


async def mended(stand: Stand) -> None:
    """Deploy what is champion to every target again, and wait until the controller has seen it there."""
    view = await stand.deploy()
    assert view["state"] == "succeeded", view["reason"]
    while {target["state"] for target in await stand.get("/targets")} != {"serving"}:
        await asyncio.sleep(_LOOK_SECONDS)
