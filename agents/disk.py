"""How full the disk is, and what an agent does then: warn, take nothing new, or let nobody write."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from agents.settings import AgentFile
from ringrift.errors import BadInput

FLOOR_VARIABLE = "RINGRIFT_DISK_FLOOR_BYTES"
_GIB = 1 << 30


class Level(IntEnum):
    """What the disk allows."""

    FINE = 0
    WARN = 1
    PAUSE = 2
    """Nothing comes in: no new work, no artifacts."""
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
