"""When work is given up, when a host no longer gets some work, and when a host is at fault itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

EndedBadly = Literal["failed", "expired"]


@dataclass(frozen=True)
class Tries:
    """How a job's tries since its last retry ended: failures that said why, and crashes by host."""

    failures: int = 0
    crashes: Mapping[str, int] = field(default_factory=dict)


def never_began(*, named: bool, same_start: bool, heard: float, beat_seconds: float) -> bool:
    """Tell whether a try that vanished was never begun: the answer to its lease was lost on the way.

    An agent names what it has in every heartbeat, also after a start. So it is enough that none named the try
    (`named`) although the agent was started anew since the lease, or was heard for two intervals after it
    (`heard` seconds). Of one that fell silent before that nothing is known: the job may have silenced it.
    """
    return not named and (not same_start or heard >= 2 * beat_seconds)


def after_bad_end(
    tries: Tries, limit: int, *, dispensable: bool = False
) -> Literal["queued", "failed", "quarantined"]:
    """Return the job's next state.

    `limit` crashes on two hosts or more are the job's own fault; on one host only, they may be its,
    and another one is waited for. Not so for a `dispensable` job: there may be no other that can take it.
    """
    crashes = sum(tries.crashes.values())
    if len(tries.crashes) >= 2 and crashes >= limit:
        return "quarantined"
    return "failed" if tries.failures >= limit or (dispensable and crashes >= limit) else "queued"


def shunned_hosts(tries: Tries, limit: int) -> frozenset[str]:
    """Return the hosts that never get the job again: it crashed there `limit` times."""
    return frozenset(host for host, count in tries.crashes.items() if count >= limit)


def host_fault(crashed: Mapping[str, frozenset[str]], host: str, limit: int) -> str:
    """Tell why a host is to be quarantined, empty when it is not.

    `crashed` maps jobs that crashed on `host` to every host on which they crashed: those that crash elsewhere
    too say nothing about this one.
    """
    own = sorted(job for job, hosts in crashed.items() if hosts == {host})
    if len(own) < limit:
        return ""
    return f"{len(own)} different jobs crashed here and nowhere else, the last ones {', '.join(own[-3:])}"
