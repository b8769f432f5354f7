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
    deleted_at: float | None = seconds(default=None)
    """When retention removed the file; the row stays, for what it is named by."""


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
    retried_epoch: int = 0
    """`epoch` when an operator last lifted its quarantine: earlier tries do not count any more."""
    not_before: float = seconds(default=0.0)
    avoid: str | None = None
    """Agent that should not get it while another live one can."""
    reason: str = text(default="")
    log_tail: str = text(default="")
    """Of the try for which it was quarantined."""
    needs: dict[str, Any] = document(default_factory=dict)
    """What a host must have for it: `ram_gb`, `vram_gb`, `numeric_class`; `never` lists hosts without it."""
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
    crashed: bool = False
    """It failed by dying (a signal, no memory, no words) or vanished; counted towards poison."""
    begun: bool = False
    """A heartbeat of its agent has named it."""
    credential: str = ""
    """SHA-256 of the secret without which its results and files are refused."""


class Throughput(SQLModel, table=True):
    """Measured units per hour of a host for a kind of job of a config, a moving average."""

    host: str = Field(primary_key=True, foreign_key="host.name")
    kind: str = Field(primary_key=True)
    config: str = Field(primary_key=True)
    per_hour: float
    at: float = seconds()


class Share(SQLModel, table=True):
    """An operator's share of the slots for a scope: `kind:train`, `config:hex8_2p`."""

    scope: str = Field(primary_key=True)
    share: float
    actor: str
    changed_at: float = seconds()


class SpotCheck(SQLModel, table=True):
    """A self-played shard whose seed another host plays again; a difference quarantines its producer."""

    __tablename__ = "spot_check"
    shard: str = Field(primary_key=True, foreign_key="shard.sha256")
    host: str = Field(foreign_key="host.name")
    """That played it first."""
    job: str | None = Field(default=None, foreign_key="job.id")
    """That plays it again."""
    checker: str | None = Field(default=None, foreign_key="host.name")
    state: str = Field(index=True)
    """`waiting`, `same`, `differs` or `unable`."""
    reason: str = text(default="")
    made_at: float = seconds()
    closed_at: float | None = seconds(default=None)


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
