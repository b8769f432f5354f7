"""Which hosts of a batch start now, and when the batch stops or ends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import floor
from zlib import crc32

KINDS = {
    "provision": "provision",
    "update": "provision",
    "restart": "restart",
    "drain": "",
    "resume": "",
}
"""Kinds of batches, and of the operation that each host gets; empty: the row of the host is all it takes."""
LOOKED_AT = frozenset({"provision", "update"})
"""Kinds that look at a host first: a host that is as it should be gets no operation."""
WIDTH = 16
BUDGET_SHARE = 0.1


@dataclass(frozen=True)
class Row:
    """One host of a batch, in the order of `position`.

    `planned` is whether it was looked at; `proved` whether it was changed and is healthy after that.
    """

    host: str
    state: str
    planned: bool = True
    proved: bool = False


@dataclass(frozen=True)
class Shape:
    """How a batch goes: at least `gates[0]` proofs before more than so many are touched, then `gates[1]`, ...

    `width` hosts at most have an operation at the same time. More than `budget` failures (any before the
    first gate) stop it; `forgiven` failures were looked at by a person, who let it go on.
    """

    gates: tuple[int, ...]
    width: int
    budget: int
    forgiven: int = 0


@dataclass(frozen=True)
class Verdict:
    """`state` that the batch should have, why, and the hosts that start now, as part of wave 1, 2, ..."""

    state: str
    reason: str = ""
    start: tuple[str, ...] = ()
    wave: int = 1


@dataclass(frozen=True)
class Candidate:
    """What makes a host a good canary."""

    name: str
    healthy: bool
    spot: bool


def ordered(hosts: Iterable[Candidate]) -> list[str]:
    """Return names in the order of their start: healthy ones first, of these the ones that are not spot."""
    return [host.name for host in sorted(hosts, key=lambda h: (not h.healthy, h.spot, h.name))]


def defaults(kind: str, hosts: int) -> tuple[int, int, int]:
    """Return canary, width and failure budget of a batch of so many hosts when none was asked for."""
    if not KINDS[kind]:
        return 0, max(1, hosts), hosts
    return 1, WIDTH, floor(hosts * BUDGET_SHARE)


def gates(kind: str, canary: int, hosts: int) -> tuple[int, ...]:
    """Return the numbers of proofs at which a batch widens; an update has a second stage of a tenth."""
    tenth = -(-hosts // 10)
    found = [canary] if canary else []
    if kind == "update" and tenth > canary:
        found.append(tenth)
    return tuple(min(gate, hosts) for gate in found)


def decide(rows: Sequence[Row], shape: Shape) -> Verdict:
    """Say how a running batch goes on; the same rows give the same answer whenever it is asked."""
    waiting = [row for row in rows if row.state == "waiting"]
    running = sum(row.state == "running" for row in rows)
    baking = sum(row.state == "baking" for row in rows)
    proofs = sum(row.proved for row in rows)
    failed = sum(row.state == "failed" for row in rows) - shape.forgiven
    gate = next((gate for gate in shape.gates if proofs < gate), None)
    canary = bool(shape.gates) and proofs < shape.gates[0]
    allowed = 0 if canary else shape.budget
    if failed > allowed and (waiting or any(row.state == "owed" for row in rows)):
        return Verdict("halted", _halted(failed, allowed, canary=canary))
    if not waiting:
        return Verdict("running") if running or baking else _ended(rows)
    if not all(row.planned for row in waiting):
        return Verdict("running")
    room = shape.width - running
    if gate is not None:
        room = min(room, gate - proofs - running - baking)
    start = tuple(row.host for row in waiting[: max(0, room)])
    return Verdict("running", start=start, wave=1 + sum(proofs >= gate for gate in shape.gates))


def _halted(failed: int, allowed: int, *, canary: bool) -> str:
    when = "before the canary was healthy" if canary else f"and {allowed} are allowed"
    return f"{failed} host{'s' if failed > 1 else ''} failed {when}"


def _ended(rows: Sequence[Row]) -> Verdict:
    counts = tally(row.state for row in rows)
    return Verdict("failed" if "failed" in counts else "succeeded", told(counts))


def tally(states: Iterable[str]) -> dict[str, int]:
    """Return state -> number of hosts."""
    counts: dict[str, int] = {}
    for state in states:
        counts[state] = counts.get(state, 0) + 1
    return counts


def told(counts: dict[str, int]) -> str:
    """Return counts in words, such as `38 succeeded, 2 failed, 1 owed`."""
    order = ("succeeded", "failed", "owed", "skipped", "running", "baking", "waiting")
    return ", ".join(f"{counts[state]} {state}" for state in order if state in counts)


@dataclass(frozen=True)
class Watch:
    """A host that was changed, while its agent is watched; times by the database's clock, in seconds."""

    changed_at: float
    beat_at: float | None
    incarnation: str
    incarnation_then: str
    quarantined: bool
    connected: bool


def watched(watch: Watch, time: float, bake: float, patience: float) -> tuple[str, str]:
    """Return state and reason of a baking host: it must beat for `bake` seconds without starting anew.

    Silence is a failure only while the host can be reached, `patience` seconds after it should have been
    heard; of a host that is away nothing is known, so that it proves nothing.
    """
    if watch.quarantined:
        return "failed", "it was quarantined while it was watched"
    if watch.incarnation != watch.incarnation_then:
        return "failed", "its agent started anew while it was watched"
    if watch.beat_at is not None and watch.beat_at - watch.changed_at >= bake:
        return "succeeded", f"it has beaten for {bake:.0f} s"
    if time - watch.changed_at <= bake + patience:
        return "baking", ""
    if watch.connected:
        return "failed", "its agent fell silent while it was watched"
    return "skipped", "it went away while it was watched: nothing is known"


def due(time: float, looked_at: float | None, every: float, name: str) -> bool:
    """Tell whether a host is to be looked at: once in `every` seconds, all of them spread evenly by name.

    A host that was never looked at, or whose last look counts no more, is due at once.
    """
    shift = crc32(name.encode()) / 2**32
    return looked_at is None or floor(time / every - shift) > floor(looked_at / every - shift)
