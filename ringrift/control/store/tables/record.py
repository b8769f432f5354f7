"""The audit log and single values."""

from typing import Any

from sqlmodel import Field, SQLModel

from ringrift.control.store.tables.columns import document, seconds


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
