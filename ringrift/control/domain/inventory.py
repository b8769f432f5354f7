"""What an inventory would change, and in what machines differ from what they are declared to be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

from ringrift.control.domain.hostkeys import fingerprint
from ringrift.control.domain.inventory_file import Entry, columns

if TYPE_CHECKING:
    from ringrift.control.domain.inventory_text import InventoryFile, ReadEntry

JUMPS = 3
"""Most hosts in a row through which one is reached."""
GIGA = 1e9
_SAME_MACHINE = {"amd64": "x86_64", "arm64": "aarch64"}
_VARIANTS = {"ti", "super"}
"""Words that make another GPU of the same number."""

ROOM = {"ram_gb": 0.2, "vram_gb": 0.2, "disk_gb": 0.3}
"""How far a size may be from the declared one, as a share of it: firmware and file systems take their part,
and makers and programs mean 10^9 or 2^30 bytes by the same letters."""


class Declared(Protocol):
    """The part of a host's row that a look can confirm; empty or 0 means not declared."""

    kind: str
    arch: str
    gpu: str
    gpu_count: int
    vram_gb: float
    ram_gb: float
    cpus: int
    disk_gb: float


def declared_differences(host: Declared, facts: Mapping[str, Any]) -> tuple[str, ...]:
    """Return in what a machine differs from its declaration, one line each, none when it fits.

    Facts: `os`, `arch`, `cpus`, `ram_bytes`, `disk_total_bytes`, `gpus` (a list of `name` and `vram_bytes`).
    A fact that is missing or None is unknown, which is no difference.
    """
    lines = [_arch(host.arch, facts.get("arch"))]
    if host.cpus and facts.get("cpus") not in (None, host.cpus):
        lines.append(f"cpus: declared {host.cpus}, found {facts['cpus']}")
    lines.append(_size("ram_gb", host.ram_gb, facts.get("ram_bytes")))
    lines.append(_size("disk_gb", host.disk_gb, facts.get("disk_total_bytes")))
    lines += _gpus(host, facts)
    return tuple(line for line in lines if line)


def _arch(declared: str, found: str | None) -> str:
    same = _SAME_MACHINE.get(declared, declared) == _SAME_MACHINE.get(found or "", found)
    return "" if same or not declared or not found else f"arch: declared {declared}, found {found}"


def _size(field: str, declared: float, octets: float | None) -> str:
    """Return the line of a size in GB that is off by more than its room."""
    if not declared or octets is None:
        return ""
    found = octets / GIGA
    if abs(found - declared) <= ROOM[field] * declared:
        return ""
    return f"{field}: declared {declared:g}, found {found:.0f}"


def _gpus(host: Declared, facts: Mapping[str, Any]) -> list[str]:
    """Compare GPUs; on a Mac only those that are listed, since nothing there lists them for sure."""
    found: list[Mapping[str, Any]] | None = facts.get("gpus")
    undeclared = not host.kind and not host.gpu_count
    if found is None or undeclared or (not found and facts.get("os") == "Darwin"):
        return []
    if len(found) != host.gpu_count:
        declared = f"{host.gpu_count} x {host.gpu}" if host.gpu_count else "none"
        names = ", ".join(str(gpu.get("name")) for gpu in found) or "none"
        return [f"gpu: declared {declared}, found {names}"]
    lines = [
        f"gpu: declared {host.gpu}, found {gpu['name']}" for gpu in found if not _same_gpu(host.gpu, gpu)
    ]
    lines += [line for gpu in found if (line := _size("vram_gb", host.vram_gb, gpu.get("vram_bytes")))]
    return list(dict.fromkeys(lines))


def _same_gpu(declared: str, gpu: Mapping[str, Any]) -> bool:
    """Tell whether a driver's name (`NVIDIA GH200 480GB`) can be of the declared model (`GH200`)."""
    if not declared or not gpu.get("name"):
        return True
    wanted, shown = declared.lower().split(), str(gpu["name"]).lower()
    numbers = [word for word in wanted if any(c.isdigit() for c in word)] or wanted[:1]
    words = set(shown.replace("-", " ").split())
    return all(number in shown for number in numbers) and _VARIANTS & set(wanted) == _VARIANTS & words


@dataclass(frozen=True)
class PlannedRow:
    """What importing one entry would do. `columns` are those of the host's row, `changes` their names."""

    name: str
    outcome: Literal["added", "changed", "unchanged", "refused"]
    columns: Mapping[str, Any] = field(default_factory=dict)
    changes: tuple[str, ...] = ()
    host_key: str | None = None
    state: str = ""
    reason: str = ""
    warnings: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()


Known = Mapping[str, Mapping[str, Any]]
"""Name -> the columns of its row."""


def plan_import(file: InventoryFile, known: Known) -> tuple[PlannedRow, ...]:
    """Return one row per entry, in the file's order; rows that are refused say why and what to do."""
    rows = {read.name: _planned(read, file, known.get(read.name)) for read in file.entries}
    while True:
        found = {name: error for name, error in _together(rows, known) if not rows[name].errors}
        if not found:
            return tuple(rows.values())
        for name, error in found.items():
            rows[name] = replace(rows[name], outcome="refused", errors=(error,))


def _planned(read: ReadEntry, file: InventoryFile, known: Mapping[str, Any] | None) -> PlannedRow:
    """Plan one entry by itself."""
    entry = read.entry
    if entry is None:
        return PlannedRow(read.name, "refused", errors=read.errors)
    wanted = columns(entry, file.credentials)
    print_ = fingerprint(entry.ssh.host_key) if entry.ssh.host_key else entry.ssh.fingerprint
    warnings = tuple(_doubts(entry, known))
    if known is None:
        if "address" not in wanted:
            return PlannedRow(read.name, "refused", errors=("ssh.host: it is redacted, give the address",))
        state, reason = first_state(entry)
        wanted |= {"fingerprint": print_ or "", "draining": entry.status == "draining"}
        return PlannedRow(read.name, "added", wanted, (), entry.ssh.host_key, state, reason, warnings)
    if print_ and known["fingerprint"] not in ("", print_):
        words = f"pinned is {known['fingerprint']}; after a look at the machine: {trust_command(read.name)}"
        return PlannedRow(read.name, "refused", errors=(f"ssh.host_key: {print_} is another key, {words}",))
    kept = ("status",) if "address" in wanted else ("status", "overlay_address")
    wanted["declared"] = wanted["declared"] | {name: known["declared"].get(name) for name in kept}
    if print_:
        wanted["fingerprint"] = print_
    changes = tuple(name for name, value in wanted.items() if known[name] != value)
    key = entry.ssh.host_key if not known["host_key"] else None
    outcome: Literal["changed", "unchanged"] = "changed" if changes or key else "unchanged"
    return PlannedRow(read.name, outcome, wanted, changes, key, known["state"], known["reason"], warnings)


def first_state(entry: Entry) -> tuple[str, str]:
    """Return state and reason of a host that is imported for the first time: nothing is believed ready."""
    if entry.status == "retired":
        return "retired", "the inventory calls it retired"
    if entry.status == "offline":
        return "unreachable", "the inventory calls it offline"
    if entry.status == "quarantined":
        return "quarantined", "the inventory calls it quarantined"
    return "new", "" if entry.ssh.host_key else NO_KEY


NO_KEY = "no host key is pinned, so nothing connects to it"


def trust_command(name: str) -> str:
    """Return the command that pins a host's key."""
    return f"ringrift-ctl hosts trust {name}"


def _doubts(entry: Entry, known: Mapping[str, Any] | None) -> Iterator[str]:
    """Yield what is allowed and yet looks wrong."""
    if entry.kind is None:
        yield "kind: it is not said"
    elif entry.kind.startswith("gpu_") and entry.gpu is None:
        yield f"gpu: a {entry.kind} without one"
    elif entry.kind == "cpu_server" and entry.gpu is not None:
        yield "gpu: a cpu_server has one"
    if entry.network.reachability == "unreachable" and entry.status not in ("offline", "retired"):
        yield f"network.reachability: unreachable, yet it is called {entry.status}"
    if known is not None and (entry.status == "retired") != (known["state"] == "retired"):
        command = "hosts remove" if entry.status == "retired" else "hosts add"
        yield f"status: the file says {entry.status}, here it is {known['state']}: ringrift-ctl {command}"


def _together(rows: Mapping[str, PlannedRow], known: Known) -> Iterator[tuple[str, str]]:
    """Yield (name, error) for what is wrong between entries, or between one and the hosts that are known."""
    merged = {name: host for name, host in known.items() if name not in rows}
    for name, row in rows.items():
        if not row.errors:
            merged[name] = {**known.get(name, {}), **row.columns, "state": row.state}
    places: dict[tuple[Any, ...], str] = {}
    for name, host in merged.items():
        if host["state"] == "retired":
            continue
        place = (host["jump"], host["address"], host["port"])
        other = places.setdefault(place, name)
        if other != name and name in rows:
            yield name, f"ssh.host: {host['address']} port {host['port']} is {other}'s already"
    for name, row in rows.items():
        if not row.errors and (error := _jump_error(name, merged)):
            yield name, error


def _jump_error(name: str, hosts: Known) -> str:
    """Return what is wrong with the way to a host through others."""
    way = [name]
    while (following := hosts[way[-1]]["jump"]) is not None:
        if following not in hosts or hosts[following]["state"] == "retired":
            return f"network.jump: there is no host {following} to go through"
        if following in way or len(way) > JUMPS:
            names = " -> ".join([*way, following])
            return f"network.jump: a circle, or more than {JUMPS} hosts to go through: {names}"
        way.append(following)
    return ""
