"""Hosts, their agents and the tokens that enrol them."""

from typing import Any

from sqlmodel import Field, SQLModel

from ringrift.control.store.tables.columns import big, document, seconds, text


class Host(SQLModel, table=True):
    """A machine reached over SSH. `state` is what is shown; `draining` survives being unreachable."""

    name: str = Field(primary_key=True)
    state: str = Field(index=True)
    reason: str = text(default="")
    user: str
    address: str
    port: int
    host_key: str = text()
    fingerprint: str
    confirmed_by: str
    root: str
    python: str | None = None
    identity: str | None = None
    slots: int = 1
    draining: bool = False
    tunnel: str = "unknown"
    """`open`, `closed` or `unknown`."""
    tunnel_reason: str = text(default="")
    blocked: bool = False
    """The machine showed another host key; nothing connects until `trust`."""
    restarts: int = 0
    """Agent restarts since its last heartbeat."""
    restarted_at: float | None = seconds(default=None)
    """Since when its agent has time to show a heartbeat: its last restart, or the opening of the tunnel."""
    unanswered: float = 0.0
    """Seconds behind an open tunnel before that in which it showed none, since the last one or restart."""
    release: str | None = None
    """Release put there by the last provisioning; None before the first."""
    facts: dict[str, Any] = document(default_factory=dict)
    """What its last look found."""
    kind: str = ""
    """`cpu_server`, `gpu_container`, `gpu_pod`, `gpu_vm`, `mac`, or empty: not said."""
    role: str = ""
    provider: str = ""
    arch: str = ""
    """Declared; `facts` has what was seen."""
    gpu: str = ""
    gpu_count: int = 0
    vram_gb: float = 0.0
    """Of each GPU."""
    ram_gb: float = 0.0
    cpus: int = 0
    disk_gb: float = 0.0
    reachability: str = "direct"
    """`direct`, `gateway` (a provider's address and port) or `jump` (through the host `jump`)."""
    jump: str | None = None
    spot: bool = False
    hourly_cost: float | None = None
    """US dollars; None means not known."""
    labels: dict[str, str] = document(default_factory=dict)
    key_how: str = ""
    """How its key was confirmed: `operator`, `ca` or `first-contact`; `confirmed_by` says who."""
    key_at: float | None = seconds(default=None)
    """When it was confirmed last."""
    quarantined_until: float | None = seconds(default=None)
    """When a quarantine ends by itself; None: by a person."""
    drift: list[str] = document(default_factory=list)
    """In what the machine differs from what was declared or put there, one line each."""
    drift_at: float | None = seconds(default=None)
    """When that was last looked at."""
    declared: dict[str, Any] = document(default_factory=dict)
    """What an inventory says beyond the columns: status, region, allow, note and the like."""
    added_at: float = seconds()
    changed_at: float = seconds()


class HostStateRow(SQLModel, table=True):
    """One change of a host's state."""

    __tablename__ = "host_state"
    id: int | None = Field(default=None, primary_key=True)
    host: str = Field(foreign_key="host.name", index=True)
    state: str
    reason: str = text(default="")
    at: float = seconds()


class HostKey(SQLModel, table=True):
    """A key that was pinned for a host, by whom, when and how; the newest is the one in force."""

    __tablename__ = "host_key"
    id: int | None = Field(default=None, primary_key=True)
    host: str = Field(foreign_key="host.name", index=True)
    public_key: str = text()
    fingerprint: str
    how: str
    actor: str
    at: float = seconds()


class RevokedKey(SQLModel, table=True):
    """A host key that no host may show any more."""

    __tablename__ = "revoked_key"
    fingerprint: str = Field(primary_key=True)
    actor: str
    reason: str = text(default="")
    at: float = seconds()


class HostAuthority(SQLModel, table=True):
    """An SSH certificate authority whose host certificates are trusted."""

    __tablename__ = "host_authority"
    fingerprint: str = Field(primary_key=True)
    public_key: str = text()
    actor: str
    at: float = seconds()


class Agent(SQLModel, table=True):
    """One enrolled key on a host and its last heartbeat. At most one per host is not revoked."""

    id: str = Field(primary_key=True)
    host: str = Field(foreign_key="host.name", index=True)
    public_key: str
    enrolled_at: float = seconds()
    revoked_at: float | None = seconds(default=None)
    beat_at: float | None = seconds(default=None)
    """Without an index: every heartbeat would have to move its entry."""
    version: str = ""
    release: str = ""
    incarnation: str = ""
    kinds: list[str] = document(default_factory=list)
    """Job kinds that it offered to run when it last asked for work."""
    telemetry: dict[str, Any] | None = document(default=None, nullable=True)
    spooled: int | None = big(default=None, nullable=True)
    idle_reason: str = text(default="")
    config_hash: str = ""
    """Of the settings that it runs with."""
    numeric_class: str = ""
    """Architecture, device and library versions under which equal seeds give equal games."""
    refusal: str = ""
    """Why it takes nothing new by itself, as its last heartbeat told: a full disk."""


class EnrolmentToken(SQLModel, table=True):
    """A single-use token, kept as its SHA-256. `used_key` lets a lost reply be asked for again."""

    __tablename__ = "enrolment_token"
    digest: str = Field(primary_key=True)
    host: str = Field(foreign_key="host.name", index=True)
    made_at: float = seconds()
    expires_at: float = seconds()
    used_at: float | None = seconds(default=None)
    used_key: str | None = None
    agent: str | None = None
