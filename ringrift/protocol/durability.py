"""Wire types of backups and of retention, for operators."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import StringConstraints

from ringrift.protocol.types import Reply, Wire


class BackupRequest(Wire):
    """Order a backup. `place` None means the one of `RINGRIFT_BACKUP_TO`."""

    place: Annotated[str, StringConstraints(min_length=1, max_length=1000)] | None = None
    keys: bool = False
    """Take the controller's SSH key and the operator's token along; to a folder only."""


class BackupView(Reply):
    """One backup. `age` is seconds since it began; `sha256` is that of its manifest."""

    id: str
    place: str
    state: Literal["running", "verified", "failed"]
    keys: bool
    size: int
    artifacts: int
    sha256: str
    reason: str
    age: float


class RetentionItem(Reply):
    """One artifact that goes, and why. `size` in bytes, `age` in seconds."""

    sha256: str
    size: int
    age: float
    why: str


class RetentionView(Reply):
    """What retention would do now."""

    kept: int
    kept_size: int
    deleted: int
    deleted_size: int
    items: list[RetentionItem]
    """What goes, largest first, at most 1,000 of them."""
    reasons: dict[str, int]
    """How many artifacts stay for which reason, the commonest 50."""
