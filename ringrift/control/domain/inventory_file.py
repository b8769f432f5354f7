"""The inventory file, version 1: its fields and bounds, and how an entry becomes the columns of a host.

Reading is strict: unknown fields, wrong types and values out of bounds are errors that name the field. Text
that could end up in a command, a path or on a screen is limited to harmless characters here already.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from ringrift.control.domain.hostkeys import FINGERPRINT, bare_key, fingerprint
from ringrift.errors import BadInput
from ringrift.protocol.types import Address, Name, Port, User
from ringrift.text import printable

VERSION = 1
SECTIONS = {"schema_version", "defaults", "enumerations", "credentials", "hosts"}
"""`defaults` and `enumerations` are read by nobody: settings are in config.toml, and the words are these."""


def _visible(text: str) -> str:
    if text.startswith("-") or printable(text) != text:
        raise ValueError("it must be visible text on one line that does not begin with a dash")
    return text


def _folder(path: str) -> str:
    if _visible(path).rstrip("/") == "" or ".." in path.split("/"):
        raise ValueError("it must be a folder of its own, without '..'")
    return path


def _key(text: str) -> str:
    try:
        return bare_key(text)
    except BadInput as error:
        raise ValueError(error.message) from None


Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._:/()+-]{0,99}$")]
Note = Annotated[str, StringConstraints(max_length=500), AfterValidator(_visible)]
Place = Annotated[str, StringConstraints(min_length=1, max_length=300), AfterValidator(_folder)]
LabelName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$")]
LabelValue = Annotated[
    str, StringConstraints(pattern=r"^([A-Za-z0-9]([A-Za-z0-9 ._:/@+=,-]{0,98}[A-Za-z0-9])?)?$")
]
Size = Annotated[float, Field(gt=0, le=1e7)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Gpu(_Part):
    """GPUs of one model; sizes in GB."""

    model: Word
    count: Annotated[int, Field(ge=1, le=64)] = 1
    vram_gb_each: Size
    vram_gb_total: Annotated[float, Field(gt=0, le=1e9)] | None = None

    @model_validator(mode="after")
    def _sum(self) -> Gpu:
        total = self.vram_gb_total
        if total is not None and not math.isclose(total, self.count * self.vram_gb_each):
            raise ValueError(f"vram_gb_total is not {self.count} x {self.vram_gb_each:g}")
        return self


class Ssh(_Part):
    """The login. `host` null: redacted, the known address stays."""

    host: Address | None
    port: Port = 22
    user: User
    credential: Word | None = None
    host_key: Annotated[str, AfterValidator(_key)] | None = None
    fingerprint: Annotated[str, StringConstraints(pattern=FINGERPRINT)] | None = None

    @model_validator(mode="after")
    def _one_key(self) -> Ssh:
        if self.host_key and self.fingerprint and fingerprint(self.host_key) != self.fingerprint:
            raise ValueError(f"host_key has the fingerprint {fingerprint(self.host_key)}")
        return self


class Install(_Part):
    """Our folder; `venv` (a folder) or `python` (a program) name an environment that is there already."""

    path: Place = "ringrift"
    venv: Place | None = None
    python: Place | None = None

    @model_validator(mode="after")
    def _one_python(self) -> Install:
        if self.venv and self.python:
            raise ValueError("give venv or python, not both")
        return self


class Network(_Part):
    """`jump` names the host through which this one is reached."""

    reachability: Literal["direct", "nat_relay", "gateway_only", "unreachable", "gateway", "jump"] = "direct"
    jump: Name | None = None
    overlay_address: Address | None = None
    overlay_mode: Literal["kernel", "userspace"] | None = None

    @model_validator(mode="after")
    def _through(self) -> Network:
        if (self.reachability == "jump") != (self.jump is not None):
            raise ValueError("reachability `jump` and the name of the jump host go together")
        return self


class Allow(_Part):
    """The classes of work that a host may have."""

    selfplay: bool = True
    training: bool = True
    gauntlet: bool = True


class Entry(_Part):
    """One host as the file tells it; what is missing or null is not declared."""

    provider: Word | None = None
    kind: Literal["cpu_server", "gpu_container", "gpu_pod", "gpu_vm", "mac"] | None = None
    role: (
        Literal[
            "backbone",
            "coordinator",
            "cpu_selfplay",
            "gpu_selfplay",
            "gpu_selfplay_primary",
            "gpu_training_primary",
            "nn_training_primary",
        ]
        | None
    ) = None
    status: Literal["new", "provisioning", "ready", "draining", "quarantined", "offline", "retired"] = "new"
    arch: Literal["x86_64", "amd64", "aarch64", "arm64"] | None = None
    gpu: Gpu | None = None
    memory_gb: Size | None = None
    cpus: Annotated[int, Field(ge=1, le=4096)] | None = None
    disk_gb: Size | None = None
    ssh: Ssh
    install: Install = Install()
    network: Network = Network()
    container: bool = False
    spot: bool = False
    allow: Allow = Allow()
    max_parallel_jobs: Annotated[int, Field(ge=1, le=256)] = 1
    cost_per_hour_usd: Annotated[float, Field(ge=0, le=1000)] | None = None
    region: Word | None = None
    note: Note | None = None
    labels: dict[LabelName, LabelValue] = {}


class Credential(_Part):
    """A private key by name. `path`: a file on the controller's machine; null: the controller's own key."""

    kind: Literal["ssh-private-key"]
    source: Word = "file"
    path: Place | None = None


_REACHED = {"nat_relay": "direct", "unreachable": "direct", "gateway_only": "gateway"}


def columns(entry: Entry, credentials: Mapping[str, Credential]) -> dict[str, Any]:
    """Return the columns of a host's row that an entry gives.

    `address` and `identity` are missing where the file leaves them out, so that what is known stays.
    """
    ssh, install, network, gpu = entry.ssh, entry.install, entry.network, entry.gpu
    found: dict[str, Any] = {
        "user": ssh.user,
        "port": ssh.port,
        "root": install.path,
        "python": f"{install.venv.rstrip('/')}/bin/python" if install.venv else install.python,
        "slots": entry.max_parallel_jobs,
        "kind": entry.kind or "",
        "role": entry.role or "",
        "provider": entry.provider or "",
        "arch": entry.arch or "",
        "gpu": gpu.model if gpu else "",
        "gpu_count": gpu.count if gpu else 0,
        "vram_gb": gpu.vram_gb_each if gpu else 0.0,
        "ram_gb": entry.memory_gb or 0.0,
        "cpus": entry.cpus or 0,
        "disk_gb": entry.disk_gb or 0.0,
        "reachability": _REACHED.get(network.reachability, network.reachability),
        "jump": network.jump,
        "spot": entry.spot,
        "hourly_cost": entry.cost_per_hour_usd,
        "labels": dict(entry.labels),
        "declared": _beyond(entry, credentials),
    }
    known = credentials[ssh.credential].path if ssh.credential else None
    given = {"address": ssh.host, "identity": known}
    return found | {name: value for name, value in given.items() if value is not None}


def _beyond(entry: Entry, credentials: Mapping[str, Credential]) -> dict[str, Any]:
    """Return what the file tells beyond the columns, as the row keeps it."""
    name = entry.ssh.credential
    return {
        "status": entry.status,
        "reachability": entry.network.reachability,
        "overlay_mode": entry.network.overlay_mode,
        "overlay_address": entry.network.overlay_address,
        "container": entry.container,
        "allow": entry.allow.model_dump(),
        "region": entry.region,
        "note": entry.note,
        "credential": [name, credentials[name].source] if name else None,
    }


def entry_document(host: Mapping[str, Any], *, with_addresses: bool) -> dict[str, Any]:
    """Return a host's columns as an entry of the file; what leads to the machine only when asked for."""
    said = host["declared"]
    python = host["python"] or ""
    venv = python.removesuffix("/bin/python") if python.endswith("/bin/python") else None
    ssh = {"host": None, "port": host["port"], "user": host["user"]}
    if with_addresses:
        ssh |= {"host": host["address"], "host_key": host["host_key"] or None}
        ssh["fingerprint"] = host["fingerprint"] or None
    network = {"reachability": said.get("reachability", host["reachability"]), "jump": host["jump"]}
    network["overlay_mode"] = said.get("overlay_mode")
    network["overlay_address"] = said.get("overlay_address") if with_addresses else None
    return {
        "provider": host["provider"] or None,
        "kind": host["kind"] or None,
        "role": host["role"] or None,
        "status": "offline" if host["state"] == "unreachable" else host["state"],
        "arch": host["arch"] or None,
        "gpu": _gpu_document(host),
        "memory_gb": host["ram_gb"] or None,
        "cpus": host["cpus"] or None,
        "disk_gb": host["disk_gb"] or None,
        "ssh": ssh | {"credential": (said.get("credential") or [None])[0]},
        "install": {"path": host["root"], "venv": venv, "python": None if venv else host["python"]},
        "network": network,
        "container": said.get("container", False),
        "spot": host["spot"],
        "allow": said.get("allow") or Allow().model_dump(),
        "max_parallel_jobs": host["slots"],
        "cost_per_hour_usd": host["hourly_cost"],
        "region": said.get("region"),
        "note": said.get("note"),
        "labels": dict(host["labels"]),
    }


def _gpu_document(host: Mapping[str, Any]) -> dict[str, Any] | None:
    count, each = host["gpu_count"], host["vram_gb"]
    if not count:
        return None
    return {"model": host["gpu"], "count": count, "vram_gb_each": each, "vram_gb_total": count * each}


def inventory_document(hosts: Mapping[str, Mapping[str, Any]], *, with_addresses: bool) -> dict[str, Any]:
    """Return hosts as a file that can be imported again; the paths of private keys are never in it."""
    named = [host["declared"].get("credential") for host in hosts.values()]
    return {
        "schema_version": VERSION,
        "credentials": {
            name: {"kind": "ssh-private-key", "source": source, "path": None}
            for name, source in sorted(tuple(pair) for pair in named if pair)
        },
        "hosts": {
            name: entry_document(host, with_addresses=with_addresses) for name, host in sorted(hosts.items())
        },
    }
