"""The audit log and single values."""

from typing import Any

from sqlmodel import Field, SQLModel

from ringrift.control.store.tables.columns import big, document, seconds, text


class Event(SQLModel, table=True):
    """One audit row; `digest` covers this row and the digest of the row before (P10)."""

    id: int = Field(primary_key=True)
    at: float = seconds()
    actor: str
    action: str
    subject: str
    detail: dict[str, Any] = document()
    digest: str


class Setting(SQLModel, table=True):
    """A single named value of the store."""

    key: str = Field(primary_key=True)
    value: dict[str, Any] = document()


class Alert(SQLModel, table=True):
    """One thing that is wrong, grouped by its signature; it is open while `cleared_at` is None."""

    signature: str = Field(primary_key=True)
    """Kind and subject, such as `host-down:alpha`."""
    kind: str = Field(index=True)
    subject: str
    severity: str
    """`warning` or `critical`."""
    message: str = text()
    count: int = 1
    """How often it opened."""
    first_at: float = seconds()
    """When it opened, the last time if more than once."""
    last_at: float = seconds()
    cleared_at: float | None = seconds(default=None)
    notified_at: float | None = seconds(default=None)
    """As of when it was told that it opened or is over."""
    notified: str = text(default="")
    """How the last notification went; empty before the first."""
    acknowledged_by: str | None = None
    acknowledged_at: float | None = seconds(default=None)


class Backup(SQLModel, table=True):
    """One copy of database and artifacts, and whether it was read back."""

    id: str = Field(primary_key=True)
    place: str = text()
    state: str
    """`running`, `verified` or `failed`."""
    keys: bool = False
    """Whether the controller's SSH key and the operator's token are in it."""
    size: int = big(default=0)
    artifacts: int = 0
    sha256: str = ""
    """Of its manifest."""
    reason: str = text(default="")
    made_at: float = seconds()
    verified_at: float | None = seconds(default=None)


class AccessToken(SQLModel, table=True):
    """One operator's token: what it may, until when, and the hash of its text."""

    __tablename__ = "access_token"

    name: str = Field(primary_key=True)
    role: str
    sha256: str = Field(unique=True)
    made_by: str
    made_at: float = seconds()
    expires_at: float = seconds()
    revoked_at: float | None = seconds(default=None)
