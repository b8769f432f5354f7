"""How full the disk is, and what an agent does then: warn, take nothing new, or let nobody write."""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from agents.settings import AgentFile
from ringrift.errors import BadInput

FLOOR_VARIABLE = "RINGRIFT_DISK_FLOOR_BYTES"
RESERVE_BYTES = 16 << 20
_GIB = 1 << 30


class Level(IntEnum):
    """What the disk allows."""

    FINE = 0
    WARN = 1
    PAUSE = 2
    """No new work comes in."""
    STOP = 3
    """Running jobs pause too."""


@dataclass(frozen=True)
class Disk:
    """The state of the disk, with the words that go to the operator; none when it is fine."""

    level: Level
    words: str = ""


@dataclass(frozen=True)
class DiskRule:
    """`percent` used at which to warn, pause and stop. A set `floor` goes before it: pause below so many free
    bytes, stop below half of them."""

    percent: tuple[float, float, float]
    floor: int | None = None

    def judge(self, used: int, free: int) -> Disk:
        """Return the state of a disk with so many bytes in use and so many left for this user."""
        share = 100.0 * used / max(1, used + free)
        if self.floor is not None:
            level = Level.STOP if free < self.floor / 2 else Level.PAUSE if free < self.floor else Level.FINE
            limit = f"{self.floor / _GIB:.2f} GiB are wanted"
        else:
            level = Level(sum(share >= percent for percent in self.percent))
            limit = f"the limit is {self.percent[max(0, level - 1)]:g} %"
        return Disk(level, f"disk {share:.0f} % full, {free / _GIB:.2f} GiB free; {limit}" if level else "")

    def look(self, folder: Path) -> Disk:
        """Return the state of the disk that holds `folder`."""
        usage = shutil.disk_usage(folder)
        return self.judge(usage.used, usage.free)


def disk_rule(settings: AgentFile) -> DiskRule:
    """Return the rule as it was set, environment first; `BadInput` when the variable is no whole number."""
    text = os.environ.get(FLOOR_VARIABLE)
    if text is None:
        return DiskRule(settings.disk_percent, settings.disk_floor_bytes)
    if not text.isdecimal():
        raise BadInput(f"{FLOOR_VARIABLE} is {text!r}", hint="give a whole number of bytes")
    return DiskRule(settings.disk_percent, int(text))


class Ballast:
    """A file that keeps room on the disk for what must still be written when it is full.

    While it lies there nobody else can take its blocks; it goes when the disk reaches `Level.STOP`, so that a
    paused job's last result, receipts and the agent's own notes find room, and comes back with the space.
    """

    def __init__(self, path: Path, size: int = RESERVE_BYTES) -> None:
        self._path = path
        self._size = min(size, shutil.disk_usage(path.parent).total // 100)

    def keep(self, level: Level) -> None:
        """Take or give back the room, as the state of the disk wants it; never an error."""
        with contextlib.suppress(OSError):
            if level >= Level.STOP:
                self._path.unlink(missing_ok=True)
            elif level < Level.PAUSE and not self._path.exists():
                self._reserve()

    def _reserve(self) -> None:
        part = self._path.with_name(f"{self._path.name}.part")
        try:
            # Written and not only allocated: the call for that is missing on macOS.
            part.write_bytes(bytes(self._size))
            part.replace(self._path)
        finally:
            part.unlink(missing_ok=True)
