"""Where things lie under a host's root, and the settings of its agent."""

from __future__ import annotations

import json
import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from agents.files import write_json
from ringrift.errors import AccessRefused, BadInput, NotFound
from ringrift.protocol.jobs import JobKind
from ringrift.protocol.types import Count, Name, Reply

KINDS = tuple(JobKind)

GIB = 1 << 30
CACHE_BYTES = 8 * GIB
"""Default bound of the artifact cache; the least recently used go first."""
DISK_FLOOR_VARIABLE = "RINGRIFT_DISK_FLOOR_BYTES"


class AgentFile(Reply):
    """`agent/agent.json`, written at provisioning, mode 0600. `token` is erased after enrolment."""

    host: Name
    token: str | None = None
    release: str = ""
    """SHA-256 prefix of the installed wheel."""
    python: str = ""
    """The interpreter of this host's releases, for the record; the agent runs jobs with its own."""
    kinds: tuple[JobKind, ...] = KINDS
    disk_floor_bytes: Count | None = None
    """Lease nothing while less is free; None means the rule of `disk_floor`."""
    cache_bytes: Count = CACHE_BYTES


@dataclass(frozen=True)
class Layout:
    """The paths below a host's root that the agent uses."""

    root: Path

    @property
    def folder(self) -> Path:
        return self.root / "agent"

    @property
    def settings(self) -> Path:
        return self.folder / "agent.json"

    @property
    def key(self) -> Path:
        return self.folder / "key"

    @property
    def identity(self) -> Path:
        return self.folder / "identity.json"

    @property
    def lock(self) -> Path:
        return self.folder / "agent.lock"

    @property
    def spool(self) -> Path:
        return self.folder / "spool"

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    @property
    def log(self) -> Path:
        return self.folder / "logs" / "agent.log"

    @property
    def controller(self) -> Path:
        return self.root / "run" / "controller.json"

    def prepare(self) -> None:
        """Make the folders; only the owner may look into them."""
        for folder in (self.folder, self.spool, self.cache, self.log.parent):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def read_private(path: Path) -> bytes:
    """Read a file that holds a secret; raise `AccessRefused` if others may read it, `NotFound` without it."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            raise AccessRefused(f"{path} may be read by others (mode {mode:04o})", hint=f"chmod 600 {path}")
        return path.read_bytes()
    except FileNotFoundError:
        raise NotFound(f"{path} does not exist", hint="provision this host") from None


def load_settings(layout: Layout) -> AgentFile:
    """Read `agent.json`; raise `BadInput` naming the field that is wrong."""
    try:
        return AgentFile.model_validate(_json_object(layout))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "content"
        raise BadInput(f"{layout.settings}: {field}: {first['msg']}", hint="provision again") from None


def erase_token(layout: Layout) -> None:
    """Remove the single-use token from `agent.json`, keeping whatever else stands there."""
    settings = _json_object(layout)
    settings.pop("token", None)
    write_json(layout.settings, settings)


def disk_floor(settings: AgentFile) -> int | None:
    """Return the free bytes below which nothing is leased as it was set, environment first; None if unset.

    Raises `BadInput` when the environment variable is no whole number.
    """
    text = os.environ.get(DISK_FLOOR_VARIABLE)
    if text is None:
        return settings.disk_floor_bytes
    if not text.isdecimal():
        raise BadInput(f"{DISK_FLOOR_VARIABLE} is {text!r}", hint="give a whole number of bytes")
    return int(text)


def disk_shortage(folder: Path, floor: int | None) -> str:
    """Return why the disk of `folder` is too full for new work, in words; empty when it is not.

    Without a set `floor` it is 8 % of the disk, but at least 1 GiB and at most 10 GiB.
    """
    usage = shutil.disk_usage(folder)
    if floor is None:
        floor = max(GIB, min(usage.total * 8 // 100, 10 * GIB))
    if usage.free >= floor:
        return ""
    return f"{usage.free / GIB:.2f} GiB free, {floor / GIB:.2f} GiB wanted before new work is taken"


def _json_object(layout: Layout) -> dict[str, Any]:
    data = read_private(layout.settings)
    try:
        value = json.loads(data)
    except ValueError as error:
        raise BadInput(f"{layout.settings} is no JSON: {error}", hint="provision this host again") from None
    if not isinstance(value, dict):
        raise BadInput(f"{layout.settings} holds no JSON object", hint="provision this host again")
    return value
