"""Registered tests: what is fixed before game 1, which blocks are played next, and the verdict on them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ringrift.control.domain.policy import ANCHOR, MIRROR, NON_INFERIORITY, SUPERIORITY, Policy
from ringrift.game.config import GameConfig
from ringrift.learning.sprt import Test, Verdict, decide, decide_even, tally
from ringrift.protocol.jobs import PlayerSpec


@dataclass(frozen=True)
class Wanted:
    """A test that a promotion needs. `opponent` is a model's hash, or the name of a player without one."""

    name: str
    """`champion`, `mirror`, `anchor random`, `former champion 1` (the newest) and so on."""
    purpose: str
    opponent: str


def wanted_tests(policy: Policy, model: str, champion: str | None, former: Sequence[str]) -> list[Wanted]:
    """Return the tests that a promotion of `model` needs, in the order in which they are played.

    The first is the one that most candidates lose; then the cheap ones, so that a candidate that fails costs
    little: against itself, which shows that hosts and harness favour neither side, and against the anchors.
    `former` are the former champions that count, the newest first. Nobody is played against twice: who beat
    the random player to become the first champion need not show that it is not worse.
    """
    first = Wanted("champion", SUPERIORITY, champion or ANCHOR)
    anchors = [Wanted(f"anchor {item.player}", NON_INFERIORITY, item.player) for item in policy.anchors]
    older = [
        Wanted(f"former champion {age}", NON_INFERIORITY, model)
        for age, model in enumerate(former[: policy.non_inferiority.champions], 1)
    ]
    mirror = Wanted("mirror", MIRROR, model)
    return [first, mirror, *(item for item in [*anchors, *older] if not covers(policy, first, item))]


def covers(policy: Policy, test: Wanted, wanted: Wanted) -> bool:
    """Tell whether passing a test shows what another one would."""
    if MIRROR in (test.purpose, wanted.purpose):
        return test == wanted
    same = test.opponent == wanted.opponent
    shown, needed = (policy.test(2, item.purpose, item.opponent).elo0 for item in (test, wanted))
    return same and shown >= needed


@dataclass(frozen=True)
class Registration:
    """Everything about an evaluation that is fixed before its game 1.

    `policy` names the policy that it was made under; empty in one from before there were policies.
    """

    config: str
    candidate: PlayerSpec
    opponent: PlayerSpec
    test: Test
    opening_random_plies: int
    purpose: str
    policy: Mapping[str, Any]

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        test = {name: getattr(self.test, name) for name in Test.__dataclass_fields__}
        return {
            "config": self.config,
            "candidate": self.candidate.model_dump(),
            "opponent": self.opponent.model_dump(),
            "test": test,
            "opening_random_plies": self.opening_random_plies,
            "purpose": self.purpose,
            "policy": dict(self.policy),
        }

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Registration:
        """Read what `document` wrote."""
        return cls(
            config=document["config"],
            candidate=PlayerSpec.model_validate(document["candidate"]),
            opponent=PlayerSpec.model_validate(document["opponent"]),
            test=Test(**document["test"]),
            opening_random_plies=document["opening_random_plies"],
            purpose=document.get("purpose", SUPERIORITY),
            policy=document.get("policy", {}),
        )

    @property
    def opponent_name(self) -> str:
        """The opponent's model hash, or the name of a player without one."""
        return self.opponent.model or self.opponent.kind

    @property
    def seed(self) -> int:
        """Seed of the openings, below 2**53: derived, so that it cannot be chosen after a look."""
        return int(registration_id(self.document())[:13], 16)


def registration_id(document: Mapping[str, Any]) -> str:
    """Return the SHA-256 that names an evaluation: of its registration as canonical JSON."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def register(policy: Policy, config: str, candidate: PlayerSpec, wanted: Wanted, plies: int) -> Registration:
    """Return the registration of a wanted test; a model as opponent searches as the candidate does."""
    named = {"random": "random", "heuristic": "heuristic"}.get(wanted.opponent)
    return Registration(
        config=config,
        candidate=candidate,
        opponent=PlayerSpec(kind=named) if named else candidate.model_copy(update={"model": wanted.opponent}),
        test=policy.test(GameConfig.parse(config).players, wanted.purpose, wanted.opponent),
        opening_random_plies=plies,
        purpose=wanted.purpose,
        policy=policy.identity,
    )


def verdict_in_order(test: Test, wins: Mapping[int, int], purpose: str = SUPERIORITY) -> Verdict:
    """Return the verdict on blocks 0, 1, 2, ... at the first of them that decides.

    Only the unbroken run of blocks from 0 counts, so that neither the order of arrival nor the moment of
    looking changes the verdict (short games would otherwise be heard first).
    """
    judge = decide_even if purpose == MIRROR else decide
    counts = list(tally(test.players, ()))
    verdict = judge(test, counts)
    for block in range(test.max_blocks):
        if block not in wins or verdict.verdict != "continue":
            break
        counts[wins[block]] += 1
        verdict = judge(test, counts)
    return verdict


def blocks_to_hand_out(
    covered: Collection[int], max_blocks: int, open_jobs: int, *, jobs_ahead: int, blocks_per_job: int
) -> list[tuple[int, int]]:
    """Return the next jobs as (first block, number of blocks), so that `jobs_ahead` jobs are open.

    `covered` blocks have a result or belong to an open job; the lowest uncovered ones come first.
    """
    jobs: list[tuple[int, int]] = []
    block = 0
    while open_jobs + len(jobs) < jobs_ahead and block < max_blocks:
        if block in covered:
            block += 1
            continue
        size = 1
        while size < blocks_per_job and block + size < max_blocks and block + size not in covered:
            size += 1
        jobs.append((block, size))
        block += size
    return jobs
