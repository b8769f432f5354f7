"""Registered tests: what is fixed before game 1, which blocks are played next, and the verdict on them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ringrift.game.config import GameConfig
from ringrift.learning.sprt import Test, Verdict, decide, tally
from ringrift.protocol.jobs import PlayerSpec

ANCHOR = "random"
"""Opponent of a config's first champion: the pinned random player. A constant, so that it never drifts."""


@dataclass(frozen=True)
class Registration:
    """Everything about an evaluation that is fixed before its game 1."""

    config: str
    candidate: PlayerSpec
    opponent: PlayerSpec
    test: Test
    opening_random_plies: int

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        test = {name: getattr(self.test, name) for name in Test.__dataclass_fields__}
        return {
            "config": self.config,
            "candidate": self.candidate.model_dump(),
            "opponent": self.opponent.model_dump(),
            "test": test,
            "opening_random_plies": self.opening_random_plies,
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
        )

    @property
    def opponent_name(self) -> str:
        """`random` for the anchor, else the opponent's model hash."""
        return self.opponent.model or ANCHOR

    @property
    def seed(self) -> int:
        """Seed of the openings, below 2**53: derived, so that it cannot be chosen after a look."""
        return int(registration_id(self.document())[:13], 16)


def registration_id(document: Mapping[str, Any]) -> str:
    """Return the SHA-256 that names an evaluation: of its registration as canonical JSON."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def register(
    config: str, candidate: PlayerSpec, champion: PlayerSpec | None, test: Mapping[str, Any], plies: int
) -> Registration:
    """Return the registration of a candidate against the champion, or the anchor where there is none."""
    return Registration(
        config=config,
        candidate=candidate,
        opponent=champion or PlayerSpec(kind="random"),
        test=Test(players=GameConfig.parse(config).players, **test),
        opening_random_plies=plies,
    )


def verdict_in_order(test: Test, wins: Mapping[int, int]) -> Verdict:
    """Return the verdict on blocks 0, 1, 2, ... at the first of them that decides.

    Only the unbroken run of blocks from 0 counts, so that neither the order of arrival nor the moment of
    looking changes the verdict (short games would otherwise be heard first).
    """
    counts = list(tally(test.players, ()))
    verdict = decide(test, counts)
    for block in range(test.max_blocks):
        if block not in wins or verdict.verdict != "continue":
            break
        counts[wins[block]] += 1
        verdict = decide(test, counts)
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
