"""Operations on many hosts, over the operators' API."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ringrift.protocol.types import Line, Name, Reply, Wire

BatchKind = Literal["provision", "update", "restart", "drain", "resume"]
_Hosts = Annotated[int, Field(ge=0, le=100_000)]


class Choice(Wire):
    """Which hosts are meant: by name, or all, or those that fit every filter that is not empty."""

    hosts: list[Name] = []
    everything: bool = False
    kinds: list[Line] = []
    roles: list[Line] = []
    providers: list[Line] = []


class BatchRequest(Choice):
    """Begin a batch. None takes the default of the kind: canary 1, width 16, budget a tenth of the hosts."""

    kind: BatchKind
    canary: _Hosts | None = None
    width: Annotated[int, Field(ge=1, le=1000)] | None = None
    budget: _Hosts | None = None
    actor: Line = "operator"


class BatchHostView(Reply):
    """One host of a batch and how it stands there; `lines` is what was found to be done."""

    host: str
    state: Literal["waiting", "running", "baking", "succeeded", "failed", "skipped", "owed"]
    wave: int
    reason: str
    operation: str | None
    lines: list[str] = []


class BatchView(Reply):
    id: str
    kind: BatchKind
    state: Literal["running", "halted", "cancelled", "failed", "succeeded"]
    reason: str
    actor: str
    canary: int
    width: int
    budget: int
    counts: dict[str, int]
    """State -> number of hosts."""
    hosts: list[BatchHostView]
    age: float
    seconds: float | None
    """From its begin to its end; None before that."""


class PlanView(Reply):
    """What provisioning would do on a host now; no lines and no error: nothing."""

    host: str
    hash: str = ""
    lines: list[str] = []
    error: str = ""


class DebtView(Reply):
    """An operation that an unreachable host still owes."""

    id: str
    host: str
    kind: str
    batch: str | None
    reason: str
    age: float
