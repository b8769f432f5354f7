"""Which self-played shards are played again elsewhere, and what the repetitions say about the hosts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


def is_chosen(shard: str, salt: str, share: float) -> bool:
    """Tell whether a shard is checked: by its hash, and by a salt that no host knows, `share` of all."""
    digest = hashlib.sha256(f"{salt} {shard}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


@dataclass(frozen=True)
class Repetition:
    """A repetition of a shard by a host. `same` None while it has no result, `dead` when it can have none."""

    host: str
    same: bool | None
    reason: str = ""
    dead: bool = False


@dataclass(frozen=True)
class Verdict:
    """What to do: `ask` another host, `wait`, or close as `same`, `differs` or `unable`.

    `same` and `differs` speak of the shard; `guilty` is the host in the minority, empty when nobody is.
    """

    action: Literal["ask", "wait", "same", "differs", "unable"]
    guilty: str = ""
    reason: str = ""


def judge_repetitions(
    producer: str, repetitions: Sequence[Repetition], *, peer: bool, overdue: bool
) -> Verdict:
    """Decide on a check from what its repetitions say, in the order in which they were asked for.

    One that agrees with the producer closes it. One that differs calls a third host, which decides by
    majority; where there is none (no `peer` that could do it, or none took it in time), the producer answers
    for it.
    """
    answers = [item for item in repetitions if item.same is not None]
    pending = len(repetitions) > len(answers) and not repetitions[-1].dead
    if not answers:
        if overdue or (repetitions and repetitions[-1].dead):
            return Verdict("unable", reason=_why_unable(repetitions))
        return Verdict("wait") if pending or not peer else Verdict("ask")
    first = answers[0]
    if first.same:
        return Verdict("same")
    if len(answers) > 1:
        return _majority(producer, first, answers[1])
    if pending and not overdue:
        return Verdict("wait")
    if peer and len(repetitions) == 1 and not overdue:
        return Verdict("ask")
    reason = f"{first.host} played it otherwise ({first.reason}), and no third host could decide"
    return Verdict("differs", producer, reason)


def _majority(producer: str, first: Repetition, second: Repetition) -> Verdict:
    if second.same:
        reason = f"{first.host} played it otherwise ({first.reason}), {second.host} the same"
        return Verdict("same", first.host, reason)
    reason = f"{first.host} and {second.host} played it otherwise ({first.reason})"
    return Verdict("differs", producer, reason)


def _why_unable(repetitions: Sequence[Repetition]) -> str:
    if repetitions and repetitions[-1].dead:
        return f"its repetition was given up: {repetitions[-1].reason}"
    return "no other host of its numeric class took it in time"
