"""The agents' API: enrol, beat, lease, transfer, report. Reached only through the host's SSH connection.

Every request but `enrol` is signed: header `x-ringrift-agent` names the agent, `x-ringrift-signature` is
the base64 Ed25519 signature over `signing_text(...)`. Reports are cumulative and idempotent: sending one
again changes nothing. No field carries the agent's clock.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    StringConstraints,
    model_validator,
)
from pydantic_core import CoreSchema, core_schema

from ringrift.protocol.types import Count, Finite, Name, Reply, Sha256

PREFIX = "/agent/v1"
AGENT_HEADER = "x-ringrift-agent"
SIGNATURE_HEADER = "x-ringrift-signature"
ENROL = f"{PREFIX}/enrol"
BEAT = f"{PREFIX}/beat"
LEASE = f"{PREFIX}/lease"
RESULTS = f"{PREFIX}/results"
FINISH = f"{PREFIX}/finish"
ASSIGNMENT_HEADER = "x-ringrift-assignment"
"""`<assignment>:<credential>`: for which assignment a file is fetched or put."""
ARTIFACTS = f"{PREFIX}/artifacts"
"""GET and PUT `ARTIFACTS/{sha256}`; GET honours `Range: bytes=n-`."""
CHUNK_HEADER = "x-ringrift-chunk"
"""SHA-256 of the bytes of a chunk, which is what its request signs."""
Percent = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
CHUNK_BYTES = 8 << 20
"""Most that one chunk may hold."""


def signing_text(method: str, path: str, body: bytes) -> bytes:
    """Return the bytes that an agent signs: method, path with query, and the body's SHA-256."""
    return f"{method.upper()}\n{path}\n{hashlib.sha256(body).hexdigest()}".encode()


def streaming_signing_text(method: str, path: str, sha256: str) -> bytes:
    """Return what is signed for an upload whose body hash is already its name."""
    return f"{method.upper()}\n{path}\n{sha256}".encode()


class Report(BaseModel):
    """Base of what agents tell: unknown fields of a newer agent are ignored (P12)."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


class EnrolRequest(Report):
    """First contact: the single-use token from the host's agent folder and the agent's new public key."""

    token: Annotated[str, StringConstraints(min_length=16, max_length=128)]
    host: Name
    public_key: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]{43}=$")]
    """Raw 32-byte Ed25519 public key, base64."""


class EnrolReply(Reply):
    agent: str


class _OrNone:
    """Annotates a field that becomes None where its value is not what it takes."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        # The validator's own default: a function of ours for each heartbeat would cost half as much again.
        return core_schema.with_default_schema(handler(source), default=None, on_error="default")


class Telemetry(Report):
    """What the host looks like now; None means that it could not be measured, never zero.

    A value that cannot be true becomes None too: a driver that tells nonsense must not stop the heartbeats.
    """

    cpus: Annotated[Count | None, _OrNone()] = None
    load: Annotated[Annotated[Finite, Field(ge=0)] | None, _OrNone()] = None
    cpu_percent: Annotated[Percent | None, _OrNone()] = None
    memory_total: Annotated[Count | None, _OrNone()] = None
    memory_used: Annotated[Count | None, _OrNone()] = None
    disk_total: Annotated[Count | None, _OrNone()] = None
    disk_used: Annotated[Count | None, _OrNone()] = None
    gpu: Annotated[str | None, _OrNone()] = None
    gpu_percent: Annotated[Percent | None, _OrNone()] = None
    gpu_memory_total: Annotated[Count | None, _OrNone()] = None
    gpu_memory_used: Annotated[Count | None, _OrNone()] = None

    @model_validator(mode="after")
    def _parts_within_wholes(self) -> Telemetry:
        more = [name for name, total in _PARTS if _exceeds(getattr(self, name), getattr(self, total))]
        # Nobody else has it yet, so that it may still be changed.
        self.__dict__.update(dict.fromkeys(more))
        return self


_PARTS = [(f"{what}_used", f"{what}_total") for what in ("memory", "disk", "gpu_memory")]


def _exceeds(used: int | None, total: int | None) -> bool:
    return used is not None and total is not None and used > total


class Progress(Report):
    """How far an assignment is, cumulative since it began."""

    assignment: str
    epoch: Count
    done: Finite = 0.0
    total: Finite = 0.0
    unit: str = ""
    rate: Finite = 0.0
    """Units per second."""


class Rate(Report):
    """How fast one job of this kind and config goes on a host, as a moving average."""

    kind: Annotated[str, StringConstraints(max_length=32)]
    config: Annotated[str, StringConstraints(max_length=32)]
    per_hour: Annotated[Finite, Field(ge=0)]


class BeatRequest(Report):
    version: str
    release: str
    """SHA-256 prefix of the installed wheel."""
    incarnation: str
    """Random per start of the agent; two alive at once mean a clone."""
    telemetry: Telemetry
    running: list[Progress] = []
    spooled: Count = 0
    """Results on disk that have no receipt yet."""
    config_hash: Annotated[str, StringConstraints(max_length=64)] = ""
    """SHA-256 prefix of the settings that the agent runs with."""
    rates: Annotated[list[Rate], Field(max_length=64)] = []
    idle: Annotated[str, StringConstraints(max_length=200)] = ""
    """Why it takes nothing new by itself, in words: a full disk. Empty when it does."""
    numeric_class: Annotated[str, StringConstraints(max_length=200)] = ""
    """Architecture, device and library versions under which equal seeds give equal games."""


class Standing(Reply):
    """Whether an assignment is still wanted; `alive` False means stop within this beat."""

    assignment: str
    epoch: int
    alive: bool


class BeatReply(Reply):
    standing: list[Standing] = []
    next_beat_seconds: float = 15.0
    stop: bool = False
    """Finish what runs, take nothing new (draining)."""


class LeaseRequest(Report):
    kinds: Annotated[list[Annotated[str, StringConstraints(max_length=32)]], Field(max_length=32)]
    """What this agent is able to run, in any order; the controller ignores kinds that it does not know."""
    credentials: bool = False
    """It shows an assignment's credential; agents of the version before that get assignments without one."""


class Assignment(Reply):
    """One try of one job. `done` names the sequences that have receipts already and must be skipped."""

    assignment: str
    job: str
    epoch: int
    spec: dict[str, Any]
    done: list[int] = []
    lease_seconds: float
    deadline_seconds: float
    memory_limit: int | None = None
    """Bytes of resident memory of the job's process group."""
    disk_limit: int | None = None
    """Bytes that the job may have in its folder."""
    credential: str = ""
    """Secret of this assignment; goes with its results, its files and its end."""


class LeaseReply(Reply):
    assignment: Assignment | None = None
    retry_seconds: float = 5.0
    reason: str = ""
    """Why there is nothing, in words; shown for idle hosts."""


class ResultRequest(Report):
    """One unit of work. All `artifacts` must have been uploaded before."""

    assignment: str
    epoch: Count
    sequence: Count
    payload: dict[str, Any]
    artifacts: list[Sha256] = []
    credential: str = ""


class ResultReply(Reply):
    """`accepted` False with `alive` False: superseded, drop it. `duplicate`: it was already there."""

    accepted: bool
    duplicate: bool = False
    alive: bool = True
    reason: str = ""


class FinishRequest(Report):
    """The end of an assignment."""

    assignment: str
    epoch: Count
    outcome: Literal["succeeded", "failed"]
    exit_code: int | None = None
    reason: str = ""
    log_tail: Annotated[str, StringConstraints(max_length=16_384)] = ""
    crashed: bool = False
    """The job died (a signal, no memory, no words) instead of saying what is wrong."""
    credential: str = ""


class FinishReply(Reply):
    accepted: bool


class ArtifactReceipt(Reply):
    """Answer to an upload: the store holds these bytes, durably."""

    sha256: Sha256
    size: int


class PartialUpload(Reply):
    """How many bytes of an upload in chunks are here; the next chunk begins there."""

    received: int


class ArtifactUrl(Reply):
    """An address in the bucket for one file of one assignment; None: fetch or put it here."""

    url: str | None
    seconds: int
