"""Jobs, the tries of them by agents, what came back, and the files that belong to it."""

from typing import Any

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from ringrift.control.store.tables.columns import big, document, seconds, text


class Artifact(SQLModel, table=True):
    """A file in the artifact folder, named by its SHA-256. The row comes after the durable file."""

    sha256: str = Field(primary_key=True)
    size: int = big()
    stored_at: float = seconds()
    agent: str | None = None


class Job(SQLModel, table=True):
    """Work that is wanted. `work` names it once: asking for the same work again finds this row."""

    __table_args__ = (Index("ix_job_state_kind", "state", "kind"),)
    id: str = Field(primary_key=True)
    kind: str
    config: str = Field(index=True)
    state: str
    work: str = Field(unique=True)
    subject: str = Field(index=True)
    """Hash of the shard, data set or evaluation that it is for; empty for self-play."""
    spec: dict[str, Any] = document()
    total: int
    epoch: int = 0
    """Of the newest assignment; grows by one with each lease (P3)."""
    attempts: int = 0
    not_before: float = seconds(default=0.0)
    avoid: str | None = None
    """Agent that should not get it while another live one can."""
    reason: str = text(default="")
    created_at: float = seconds()
    changed_at: float = seconds()


class Assignment(SQLModel, table=True):
    """One try of a job by one agent, under a lease that each heartbeat extends."""

    __table_args__ = (UniqueConstraint("job", "epoch", name="uq_assignment_job_epoch"),)
    id: str = Field(primary_key=True)
    job: str = Field(foreign_key="job.id")
    agent: str = Field(foreign_key="agent.id", index=True)
    epoch: int
    incarnation: str
    state: str = Field(index=True)
    began_at: float = seconds()
    expires_at: float = seconds()
    deadline_at: float = seconds()
    ended_at: float | None = seconds(default=None)
    done: float = 0.0
    amount: float = 0.0
    unit: str = ""
    rate: float = 0.0
    exit_code: int | None = None
    reason: str = text(default="")
    log_tail: str = text(default="")


class Result(SQLModel, table=True):
    """One receipted unit of work; (job, sequence) can hold one only (P2)."""

    __table_args__ = (
        UniqueConstraint("job", "sequence", name="uq_result_job_sequence"),
        Index("ix_result_games", "games_named", "games_repeated"),
    )
    id: int | None = Field(default=None, primary_key=True)
    job: str = Field(foreign_key="job.id")
    sequence: int
    assignment: str = Field(foreign_key="assignment.id")
    agent: str = Field(foreign_key="agent.id", index=True)
    games_named: int = 0
    games_repeated: int = 0
    """Of the named games, those that an earlier result had named already."""
    received_at: float = seconds(index=True)
    payload: dict[str, Any] = document()
    """Last, so that the counts are read without its pages."""
