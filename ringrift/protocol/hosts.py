"""Wire types of the inventory and of host keys, in the operators' API."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from ringrift.protocol.types import Address, Line, Name, Port, Reply, User, Wire

Fingerprint = Annotated[str, StringConstraints(pattern=r"^SHA256:[A-Za-z0-9+/]{43}$")]
KeyHow = Literal["operator", "ca", "first-contact"]
"""How a key was confirmed: compared with a fingerprint, by an authority, or by a look at what was shown."""


class HostKey(Reply):
    """`public_key` in OpenSSH form (type and base64, no comment); `fingerprint` as `SHA256:...`."""

    type: str
    fingerprint: str
    public_key: str


class HostDetails(Reply):
    """What the row of a host tells beside its state: the machine, its price, its key, its drift."""

    kind: str = ""
    role: str = ""
    provider: str = ""
    region: str = ""
    arch: str = ""
    gpu: str = ""
    gpu_count: int = 0
    vram_gb: float = 0.0
    """Of each GPU; sizes as declared, 0 means not declared."""
    ram_gb: float = 0.0
    cpus: int = 0
    disk_gb: float = 0.0
    slots: int = 1
    reachability: str = "direct"
    jump: str | None = None
    spot: bool = False
    hourly_cost: float | None = None
    """US dollars; None means not known."""
    labels: dict[str, str] = {}
    note: str = ""
    pinned: bool = True
    """Whether a host key is pinned; until then nothing connects to it."""
    blocked: bool = False
    """It showed another key, or its key is revoked."""
    key_how: str = ""
    confirmed_by: str = ""
    key_age: float | None = None
    quarantined_for: float | None = None
    """Seconds until its quarantine ends by itself; None: by a person, or it is in none."""
    drift: list[str] = []
    """In what the machine differs from what was declared or put there, one line each."""
    drift_age: float | None = None
    owed: int = 0
    """Operations that it owes since it could not be reached."""
    expected_per_hour: float | None = None
    """Games an hour that like machines (kind, GPU) play with what it plays now; None when not measured."""


class ImportRequest(Wire):
    """An inventory file as text. `partial` writes the sound entries although others are wrong."""

    text: Annotated[str, StringConstraints(max_length=4 << 20)]
    dry_run: bool = False
    partial: bool = False


class ImportRow(Reply):
    """One entry: what became (or would become) of it. Errors and warnings begin with the field."""

    name: str
    outcome: Literal["added", "changed", "unchanged", "refused"]
    state: str = ""
    reason: str = ""
    changes: list[str] = []
    warnings: list[str] = []
    errors: list[str] = []


class ImportView(Reply):
    """`done` False: nothing was written, because it was a dry run or an entry is wrong."""

    done: bool
    rows: list[ImportRow]


class ExportView(Reply):
    """The inventory as YAML text."""

    text: str


class HostStateView(Reply):
    """One change of a host's state."""

    state: str
    reason: str
    at: str
    age: float


class QuarantineRequest(Wire):
    """Keep work away from a host; `seconds` None: until `resume`."""

    reason: Annotated[Line, Field(min_length=1)]
    seconds: Annotated[float, Field(gt=0, le=31_536_000)] | None = None


class TrustRequest(Wire):
    """Pin a host key in place of the one before."""

    host_key: Line = Field(min_length=1)
    how: Literal["operator", "first-contact"] = "first-contact"


class PinnedKeyView(Reply):
    """A key that was pinned for a host, by whom, when and how."""

    host: str
    type: str
    fingerprint: str
    how: str
    actor: str
    at: str
    age: float
    in_force: bool
    revoked: str | None = None
    """Why it is revoked; None: it is not."""


class RevokeRequest(Wire):
    fingerprint: Fingerprint
    reason: Annotated[Line, Field(min_length=1)]


class RevokedKeyView(Reply):
    """A key that no host may show. `hosts`: those it was pinned for when it was asked for."""

    fingerprint: str
    reason: str
    actor: str
    at: str
    age: float
    hosts: list[str] = []


class AuthorityAdd(Wire):
    public_key: Line = Field(min_length=1)


class AuthorityRemove(Wire):
    fingerprint: Fingerprint


class AuthorityView(Reply):
    """An SSH certificate authority whose host certificates are trusted."""

    fingerprint: str
    public_key: str
    actor: str
    at: str
    age: float


class ScanHostsRequest(Wire):
    """Ask hosts for their keys; no names: all that are not retired and have no pinned key."""

    names: list[Name] = []


class ScannedHost(Reply):
    """The keys that a host shows; `expected` is the fingerprint that its inventory gave."""

    name: str
    login: str
    keys: list[HostKey] = []
    expected: str = ""
    error: str = ""


class ScanRequest(Wire):
    """Ask which host key a machine shows, without logging in."""

    address: Line
    port: Port = 22


class HostAdd(Wire):
    """Add a host with its pinned key. `python` names an existing interpreter, then it is only checked."""

    name: Name
    user: User
    address: Address
    port: Port = 22
    host_key: Line
    confirmed_by: Literal["fingerprint", "confirmation"]
    root: Line = "ringrift"
    """Folder of ours on the host; relative means below the login's home."""
    python: Line | None = None
    identity: Line | None = None
    """Private key file on the controller's machine; None means the controller's own key."""
    slots: Annotated[int, Field(ge=1, le=256)] = 1
