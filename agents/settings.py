"""Where things lie under a host's root, and the settings of its agent."""

from __future__ import annotations

import hashlib
import json
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from agents.files import write_json
from ringrift.errors import AccessRefused, BadInput, NotFound
from ringrift.protocol.jobs import JobKind
from ringrift.protocol.types import Count, Name, Reply

KINDS = tuple(JobKind)

GIB = 1 << 30
CACHE_BYTES = 8 * GIB
"""Default bound of the artifact cache; the least recently used go first."""
SPOOL_BYTES = 4 * GIB
Percent = Annotated[float, Field(ge=0, le=100)]


class AgentFile(Reply):
    """`agent/agent.json`, written at provisioning, mode 0600. `token` is erased after enrolment."""

    host: Name
    token: str | None = None
    release: str = ""
    """SHA-256 prefix of the installed wheel."""
    python: str = ""
    """The interpreter of this host's releases, for the record; the agent runs jobs with its own."""
    kinds: tuple[JobKind, ...] = KINDS
    disk_percent: tuple[Percent, Percent, Percent] = (70.0, 85.0, 92.0)
    """Share of the disk in use at which to warn, to take nothing new, and to let jobs pause; ascending."""
    disk_floor_bytes: Count | None = None
    """Instead of `disk_percent`: take nothing new while less is free, let jobs pause below half of it."""
    cache_bytes: Count = CACHE_BYTES
    spool_bytes: Count = SPOOL_BYTES
    """Jobs pause while so much waits for the controller."""
    config_hash: str = ""
    """Of the file that this was read from; see `config_hash`."""

    @model_validator(mode="after")
    def _is_ascending(self) -> AgentFile:
        if list(self.disk_percent) != sorted(self.disk_percent):
            raise ValueError("disk_percent: the three shares must not descend")
        return self


def config_hash(settings: dict[str, Any]) -> str:
    """Return twelve hexadecimal digits that tell settings apart; the token does not count.

    `hosts/probe.py` computes the same of the file as it is now.
    """
    counted = {name: value for name, value in settings.items() if name != "token"}
    text = json.dumps(counted, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


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
    def ballast(self) -> Path:
        return self.folder / "ballast"

    @property
    def replaced(self) -> Path:
        """What `identity` becomes when a later start of the same agent took its place."""
        return self.folder / "identity.replaced"

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
        settings = _json_object(layout)
        return AgentFile.model_validate(settings | {"config_hash": config_hash(settings)})
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "content"
        raise BadInput(f"{layout.settings}: {field}: {first['msg']}", hint="provision again") from None


def erase_token(layout: Layout) -> None:
    """Remove the single-use token from `agent.json`, keeping whatever else stands there."""
    settings = _json_object(layout)
    settings.pop("token", None)
    write_json(layout.settings, settings)


def _json_object(layout: Layout) -> dict[str, Any]:
    data = read_private(layout.settings)
    try:
        value = json.loads(data)
    except ValueError as error:
        raise BadInput(f"{layout.settings} is no JSON: {error}", hint="provision this host again") from None
    if not isinstance(value, dict):
        raise BadInput(f"{layout.settings} holds no JSON object", hint="provision this host again")
    return value
