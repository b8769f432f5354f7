"""Which artifacts may be removed: those that nothing reaches, and that are old enough.

The references form a graph over names: artifacts, and data sets, which have no file of their own. Roots are
kept for a reason; whatever a kept name needs is kept because of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Stored:
    """One artifact: `age` in seconds since it was stored, `size` in bytes."""

    sha256: str
    size: int
    age: float


@dataclass(frozen=True)
class Graph:
    """`roots`: name -> why it is kept. `needs`: name -> the names that it needs."""

    roots: Mapping[str, str]
    needs: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Judgement:
    """Whether an artifact stays, and why."""

    artifact: Stored
    keep: bool
    why: str


def reasons(graph: Graph) -> dict[str, str]:
    """Return every name that is reached from a root, with the reason of a root that reaches it."""
    found = dict(graph.roots)
    waiting = list(found)
    while waiting:
        name = waiting.pop()
        for needed in graph.needs.get(name, ()):
            if needed not in found:
                found[needed] = found[name]
                waiting.append(needed)
    return found


def judge(artifacts: Sequence[Stored], graph: Graph, min_age: float) -> list[Judgement]:
    """Judge every artifact: what is reached, or younger than `min_age` seconds, stays."""
    kept = reasons(graph)
    return [_one(artifact, kept.get(artifact.sha256), min_age) for artifact in artifacts]


def _one(artifact: Stored, reason: str | None, min_age: float) -> Judgement:
    if reason is not None:
        return Judgement(artifact, True, reason)
    if artifact.age < min_age:
        return Judgement(artifact, True, f"younger than {min_age / 3600:g} h")
    return Judgement(artifact, False, "nothing references it")
