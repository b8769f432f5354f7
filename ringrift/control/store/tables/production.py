"""Operations on hosts, inference targets, deployments and what serves where."""

from typing import Any

from sqlmodel import Field, SQLModel

from ringrift.control.store.tables.columns import document, seconds, text


class Target(SQLModel, table=True):
    """An inference service on a host, and what it said when it was last asked."""

    name: str = Field(primary_key=True)
    host: str = Field(foreign_key="host.name", index=True)
    port: int
    configs: list[str] = document(default_factory=list)
    state: str = "new"
    generation: int | None = None
    issues: list[str] = document(default_factory=list)
    added_at: float = seconds()
    checked_at: float | None = seconds(default=None)
    process: int | None = None
    """The service's process when it was last asked."""
    traffic: dict[str, Any] | None = document(default=None, nullable=True)
    """Its counters then; None when it shows none."""
    restarted_at: float | None = seconds(default=None)
    """When it was found to have started anew other than by a deployment, for the last time."""
    release: str | None = None
    """The release of our software that answered when it was last asked; None when it did not tell."""
    engine: str = Field(default="torch", sa_column_kwargs={"server_default": "torch"})
    """What computes its models: `torch` or `onnx`."""


class Deployment(SQLModel, table=True):
    """One order to make targets serve champions, in waves; its operations carry one target each."""

    id: str = Field(primary_key=True)
    generation: int = Field(unique=True)
    actor: str
    actions: list[dict[str, Any]] = document()
    made_at: float = seconds()
    state: str = Field(index=True)
    """`running`, `halting` or `cancelling` (touched targets go back), `succeeded`, `failed`, `cancelled`."""
    reason: str = text(default="")
    back_generation: int | None = Field(default=None, index=True, unique=True)
    """Under which its targets were taken back."""
    ended_at: float | None = seconds(default=None)
    release: str | None = None
    """The release of our software that it installs; None when only models change."""


class DeploymentTarget(SQLModel, table=True):
    """One target of a deployment.

    `waiting`, `running`, `baking`, `succeeded`, `failed`, `rolling_back`, `rolled_back` or `skipped`.
    """

    __tablename__ = "deployment_target"
    deployment: str = Field(primary_key=True, foreign_key="deployment.id")
    target: str = Field(primary_key=True, foreign_key="target.name", index=True)
    position: int
    wave: int
    state: str = Field(index=True)
    reason: str = text(default="")
    since: float = seconds()
    """When it came into this state."""
    operation: str | None = Field(default=None, foreign_key="operation.id")
    back: str | None = Field(default=None, foreign_key="operation.id", index=True)
    """The operation that takes it back."""
    before: list[dict[str, Any]] = document(default_factory=list)
    """The models that it was ordered to serve before; none when it served nothing."""
    release: str | None = None
    """The release of our software that it ran before; None when it did not tell."""
    first: dict[str, Any] | None = document(default=None, nullable=True)
    """The first sample of its counters after the change."""


class Operation(SQLModel, table=True):
    """A long action on one host. While `running`, whoever holds the lock token carries it on."""

    id: str = Field(primary_key=True)
    kind: str
    """`provision`, `restart`, `deploy` or `stage` (models that wait for their deployment)."""
    subject: str = Field(index=True)
    host: str = Field(foreign_key="host.name", index=True)
    state: str = Field(index=True)
    order: dict[str, Any] = document(default_factory=dict)
    """What to do, fixed at the beginning."""
    error: dict[str, Any] | None = document(default=None, nullable=True)
    deployment: str | None = Field(default=None, foreign_key="deployment.id", index=True)
    batch: str | None = Field(default=None, index=True)
    """The batch that started it, if one did."""
    plan_hash: str | None = None
    """The one plan that may be carried out; another one found on the host is refused."""
    lock_token: str | None = None
    lock_expires_at: float | None = seconds(default=None)
    began_at: float = seconds()
    ended_at: float | None = seconds(default=None)


class Batch(SQLModel, table=True):
    """One operation on many hosts: a canary first, then waves, until the failure budget is spent."""

    id: str = Field(primary_key=True)
    kind: str
    actor: str
    order: dict[str, Any] = document(default_factory=dict)
    canary: int
    """Hosts in the first wave."""
    width: int
    """Hosts at the same time afterwards."""
    budget: int
    """Failed hosts with which it still goes on."""
    state: str = Field(index=True)
    """`running`, `halted`, `cancelled`, `failed` (some hosts) or `succeeded`."""
    reason: str = ""
    began_at: float = seconds()
    ended_at: float | None = seconds(default=None)


class BatchHost(SQLModel, table=True):
    """One host of a batch: `waiting`, `running`, `baking`, `succeeded`, `failed`, `skipped` or `owed`."""

    __tablename__ = "batch_host"
    batch: str = Field(primary_key=True, foreign_key="batch.id")
    host: str = Field(primary_key=True, foreign_key="host.name")
    position: int
    wave: int
    state: str
    operation: str | None = Field(default=None, foreign_key="operation.id")
    reason: str = text(default="")
    plan_hash: str | None = None
    """Of what the look before the start found to be done; None before that look."""
    lines: list[str] = document(default_factory=list)
    """That plan in words."""
    incarnation: str = ""
    """The start of the agent that is being watched while the host bakes."""
    ended_at: float | None = seconds(default=None)


class Debt(SQLModel, table=True):
    """An operation that an unreachable host still owes; paid when it returns."""

    id: str = Field(primary_key=True)
    host: str = Field(foreign_key="host.name", index=True)
    kind: str
    order: dict[str, Any] = document(default_factory=dict)
    batch: str | None = Field(default=None, foreign_key="batch.id")
    reason: str = ""
    made_at: float = seconds()
    paid_at: float | None = seconds(default=None)
    operation: str | None = Field(default=None, foreign_key="operation.id")
    """That paid it."""


class OperationStep(SQLModel, table=True):
    """One step of an operation and how it ended."""

    __tablename__ = "operation_step"
    operation: str = Field(primary_key=True, foreign_key="operation.id")
    position: int = Field(primary_key=True)
    name: str
    state: str
    detail: str = ""
    took: float | None = None


class ServingRow(SQLModel, table=True):
    """From `since` on, a target said that it serves this model for this config (None: nothing)."""

    __tablename__ = "serving"
    id: int | None = Field(default=None, primary_key=True)
    target: str = Field(foreign_key="target.name", index=True)
    config: str
    model: str | None = None
    generation: int | None = None
    since: float = seconds()
