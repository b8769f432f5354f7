"""Run `ringrift-ctl` as a person would, and show the command that was run."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys

from rich.console import Console

from ringrift.cli.demo.place import Place
from ringrift.errors import RingRiftError

console = Console(stderr=True, highlight=False)


def environment(place: Place) -> dict[str, str]:
    """The process environment of every command of the demo; nothing of the caller's RingRift leaks in."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("RINGRIFT_")}
    database = os.environ.get("RINGRIFT_DATABASE_URL")
    if database:
        kept["RINGRIFT_DATABASE_URL"] = database
    return kept | {"RINGRIFT_HOME": str(place.home)}


def ctl(place: Place, *words: str, live: bool = False) -> str:
    """Run and show `ringrift-ctl WORDS`; return its stdout, or raise with its own one line.

    `live` lets its progress through to the screen.
    """
    console.print(f"$ ringrift-ctl {shlex.join(words)}", style="dim", markup=False, soft_wrap=True)
    done = subprocess.run(
        [sys.executable, "-m", "ringrift.cli.main", *words],
        env=environment(place),
        stdout=subprocess.PIPE,
        stderr=None if live else subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        last = ((done.stderr or "").strip().splitlines() or ["see above"])[-1].removeprefix("error: ")
        raise RingRiftError(f"ringrift-ctl {shlex.join(words)} ended with {done.returncode}: {last}")
    return done.stdout
