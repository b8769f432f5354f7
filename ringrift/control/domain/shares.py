"""Who is owed the next slot: shares of job kinds and of configs, kept by deficit."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from ringrift.errors import BadInput, Refused
from ringrift.game.config import GameConfig
from ringrift.protocol.jobs import JobKind

KINDS: Mapping[str, float] = {
    JobKind.INGEST: 0.2,
    JobKind.EVALUATE: 0.25,
    JobKind.TRAIN: 0.12,
    JobKind.REPEAT: 0.03,
}
"""Shares of the kinds beside self-play, which has its reserve; scaled so that all together are 1."""

LEAST = 0.01
"""Nothing has less than this share, so that nothing starves."""

HISTORY_SECONDS = 3600.0
"""Past use is forgotten with this time constant."""

HISTORY_SLOTS = 4.0
"""So many slots the whole past weighs."""

UNSERVED_SECONDS = 600.0
"""So much waiting weighs as much as one slot of the whole."""


def kind_shares(explicit: Mapping[str, float], reserve: float) -> dict[str, float]:
    """Return the share of every job kind; `explicit` ones stand, the others divide what they leave."""
    reserve = min(max(reserve, LEAST), 1.0 - LEAST * len(KINDS))
    fixed = {JobKind.SELFPLAY.value: reserve, **explicit}
    return _filled(fixed, {str(kind): weight for kind, weight in KINDS.items()})


def config_shares(explicit: Mapping[str, float], configs: Collection[str]) -> dict[str, float]:
    """Return the share of every config; those that have none of their own divide the rest equally."""
    return _filled(explicit, dict.fromkeys(configs, 1.0))


def _filled(fixed: Mapping[str, float], weights: Mapping[str, float]) -> dict[str, float]:
    others = {name: weight for name, weight in weights.items() if name not in fixed}
    rest = max(1.0 - sum(fixed.values()), LEAST * len(others))
    total = sum(others.values())
    return {**fixed, **{name: rest * weight / total for name, weight in others.items()}}


def checked_scope(scope: str) -> tuple[str, str]:
    """Return (`kind` or `config`, its name); raise `BadInput` for anything else."""
    group, _, name = scope.partition(":")
    if group == "kind" and name in set(JobKind):
        return group, name
    if group == "config":
        return group, GameConfig.parse(name).key
    kinds = ", ".join(f"kind:{kind}" for kind in JobKind)
    raise BadInput(f"{scope!r} is no scope of a share", hint=f"use {kinds} or config:KEY")


def check_share(scope: str, share: float, explicit: Mapping[str, float], reserve: float) -> None:
    """Refuse a share that leaves the others of its group less than `LEAST` each, with the numbers.

    `explicit` are the shares of the group that were set before, by name.
    """
    group, name = checked_scope(scope)
    if not (math.isfinite(share) and LEAST <= share <= 1.0):
        raise BadInput(f"a share is between {LEAST:g} and 1, not {share:g}")
    fixed = {**explicit, name: share}
    if group == "kind":
        fixed = {JobKind.SELFPLAY.value: reserve, **fixed}
    unset = (len(JobKind) if group == "kind" else 12) - len(fixed)
    if sum(fixed.values()) > 1.0 - LEAST * unset + 1e-9:
        listed = ", ".join(f"{name} {value:.0%}" for name, value in sorted(fixed.items()))
        raise Refused(
            f"the shares would be more than everything: {listed}, and {LEAST:.0%} for each of {unset} others",
            hint="lower another one first: ringrift-ctl shares show",
        )


@dataclass(frozen=True)
class Use:
    """What each name uses: slots `held` now, slot-hours of the `recent` past, and for how many seconds it has
    been `unserved` although it waits."""

    held: Mapping[str, float]
    recent: Mapping[str, float]
    unserved: Mapping[str, float]


def most_owed(
    candidates: Sequence[str], contending: Collection[str], use: Use, shares: Mapping[str, float]
) -> str:
    """Return the candidate whose use is furthest below its share, the first of equals.

    All of the past together weighs as much as a few slots, so that a small fleet is shared over time and
    a large one by its slots. What is not served is owed more and more, so that nothing starves.
    """
    total = sum(shares.get(name, LEAST) for name in contending)
    slots = sum(use.held.get(name, 0.0) for name in contending)
    past = sum(use.recent.get(name, 0.0) for name in contending)

    def owed(name: str) -> float:
        used = use.held.get(name, 0.0) + (HISTORY_SLOTS * use.recent.get(name, 0.0) / past if past else 0.0)
        grown = slots + (HISTORY_SLOTS if past else 0.0) + use.unserved.get(name, 0.0) / UNSERVED_SECONDS
        return round(shares.get(name, LEAST) / total * grown - used, 2)

    return max(candidates, key=owed)


def faded(value: float, seconds: float, constant: float = HISTORY_SECONDS) -> float:
    """Return what is left of a past value after `seconds`."""
    return value * math.exp(-max(seconds, 0.0) / constant)
