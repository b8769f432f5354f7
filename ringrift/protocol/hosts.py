"""Wire types of the inventory and of host keys, in the operators' API."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from ringrift.protocol.operator import HostKey, Line
from ringrift.protocol.types import Name, Reply, Wire

Fingerprint = Annotated[str, StringConstraints(pattern=r"^SHA256:[A-Za-z0-9+/]{43}$")]
KeyHow = Literal["operator", "ca", "first-contact"]
"""How a key was confirmed: compared with a fingerprint, by an authority, or by a look at what was shown."""


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
