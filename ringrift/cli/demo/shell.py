"""Run `ringrift-ctl` as a person would, and show the command that was run."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence

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


def begin(place: Place, *words: str) -> subprocess.Popen[str]:
    """Start `ringrift-ctl WORDS` and show it."""
    console.print(f"[dim]$[/] ringrift-ctl {shlex.join(words)}", markup=True)
    return subprocess.Popen(
        [sys.executable, "-m", "ringrift.cli.main", *words],
        env=environment(place),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def finish(words: Sequence[str], process: subprocess.Popen[str]) -> str:
    """Wait for a command; return its stdout, or raise with its own one line."""
    out, err = process.communicate()
    if process.returncode:
        last = (err.strip().splitlines() or ["no message"])[-1]
        raise RingRiftError(f"ringrift-ctl {shlex.join(words)} ended with {process.returncode}: {last}")
    return out


def ctl(place: Place, *words: str) -> str:
    """Run `ringrift-ctl WORDS` to its end and return its stdout."""
    return finish(words, begin(place, *words))
