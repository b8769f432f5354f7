"""What the controller wants from the room `hosts`, without knowing it.

`ringrift.cli` joins the two. All methods are coroutines that do network I/O; none is called while a
database session is open. Errors are `ringrift.errors` (Unreachable, AccessRefused, HostKeyChanged, ...).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True)
class HostSpec:
    """Everything needed to log in to a host and to find our folder there."""

    name: str
    user: str
    address: str
    port: int
    host_key: str
    """The pinned public key in OpenSSH form."""
    root: str
    python: str | None
    identity: str | None
    slots: int = 1
    jump: HostSpec | None = None
    """The host through which it is reached; None: directly, or at a gateway's address and port."""
    authorities: tuple[str, ...] = ()
    """Public keys of authorities whose host certificates are accepted beside the pinned key."""
    revoked: tuple[str, ...] = ()
    """`SHA256:` fingerprints of keys that must never be accepted."""
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class ShownKey:
    """The key that an address showed: OpenSSH type, `SHA256:` fingerprint, OpenSSH public key."""

    type: str
    fingerprint: str
    public_key: str


@dataclass(frozen=True)
class StepEvent:
    """One step of an operation began or ended. `state` is running, done, unchanged or failed."""

    name: str
    state: str
    detail: str = ""
    seconds: float | None = None


StepReport = Callable[[StepEvent], Awaitable[None]]


@dataclass(frozen=True)
class ProvisionOutcome:
    """What stands on the host after provisioning: probed facts and the release that runs."""

    facts: dict[str, object]
    release: str


@dataclass(frozen=True)
class HostPlan:
    """What provisioning would do on a host as it is now.

    `hash` covers the facts that matter, the wish and every command; `lines` are the changes in words, none
    when the host is as it should be.
    """

    hash: str
    lines: tuple[str, ...]
    facts: dict[str, object]


@dataclass(frozen=True)
class ModelFile:
    """One champion to be served: config key, SHA-256, and the file in the controller's artifact store."""

    config: str
    sha256: str
    path: Path
    generation: int
    evaluation: str | None = None
    """The test that it passed to become champion."""
    golden: Mapping[str, Any] | None = None
    """What its net says in fixed positions; None for a model of before there were such vectors."""

    @property
    def served_as(self) -> str:
        """The name that it has on a target."""
        return f"canonical_{self.config}.pth"


@dataclass(frozen=True)
class DeployOrder:
    """Make one target serve exactly these models.

    `manifest` says so to the service, `signature` is the controller's of its bytes, and `trusted` the public
    key that proves it; all three are texts of files.
    """

    target: str
    port: int
    deployment: str
    generation: int
    models: tuple[ModelFile, ...]
    manifest: str
    signature: str
    trusted: str
    release: str = ""
    """The release of our software that serves them; empty: the controller's present one."""
    engine: str = "torch"
    """What computes them there: `torch` or `onnx`."""


@dataclass(frozen=True)
class Traffic:
    """Counters of a target since its service started."""

    answered: int
    """Moves."""
    errors: int
    """Requests that failed by the service's own fault; what a client asked wrongly is not among them."""
    latency: tuple[tuple[float, int], ...] = ()
    """(seconds, moves that took at most so long), rising; slower moves are in `answered` only."""


@dataclass(frozen=True)
class Serving:
    """What a target said about itself: config key -> SHA-256 that it serves."""

    healthy: bool
    generation: int | None
    models: dict[str, str] = field(default_factory=dict)
    issues: tuple[str, ...] = ()
    process: int | None = None
    """The service's process: another one means that it started anew."""
    traffic: Traffic | None = None
    """None when it shows no counters."""
    release: str | None = None
    """The release of our software that answered; None when it does not tell."""


class Fleet(Protocol):
    """Hosts over SSH."""

    async def scan(self, address: str, port: int, jump: HostSpec | None = None) -> list[ShownKey]:
        """Return the keys that an address shows, through a jump host if one is given, without logging in."""

    async def plan(self, host: HostSpec) -> HostPlan:
        """Look at a host and say what provisioning would change; changes nothing."""

    async def provision(
        self, host: HostSpec, token: str | None, report: StepReport, plan_hash: str | None = None
    ) -> ProvisionOutcome:
        """Bring a host to the wished state up to a started agent; `token` None keeps its enrolment.

        With `plan_hash` exactly that plan is carried out; raises `Refused` when another one is called for.
        """

    async def hold_tunnel(
        self, host: HostSpec, agents_socket: Path, opened: Callable[[], Awaitable[None]]
    ) -> None:
        """Forward the agents' API to the host, publish where it is, call `opened`, return when it is cut."""

    async def agent_enrolled(self, host: HostSpec) -> bool:
        """Tell whether the host's agent holds a key of its own (so that no new token is needed)."""

    async def restart_agent(self, host: HostSpec) -> None:
        """Start the agent's service anew."""

    async def installable(self, release: str = "") -> str:
        """Return the name of a release that can be installed, the present one when none is named.

        Raises `NotFound` for one that the controller does not have any more.
        """

    async def deploy(self, host: HostSpec, order: DeployOrder, report: StepReport) -> Serving:
        """Copy, verify hash and one legal move, swap, and return what the target says that it serves."""

    async def stage(
        self, host: HostSpec, target: str, release: str, orders: Sequence[DeployOrder], report: StepReport
    ) -> None:
        """Have exactly the models of these orders wait on a target, one in each, proven by a release.

        An empty `release` is the present one. What serves does not change.
        """

    async def observe(self, host: HostSpec, target: str, port: int) -> Serving:
        """Ask a target what it serves."""

    async def close(self) -> None:
        """Close every connection."""
