"""Why a config stands where it stands: one sentence of cause, the conditions, the facts, the next action."""

from __future__ import annotations

from dataclasses import dataclass, field

from ringrift.control.domain.trigger import first_failed
from ringrift.protocol.operator import Condition, WhyView


@dataclass(frozen=True)
class EvaluationProgress:
    """The test that the waiting candidate has reached. `state` is running, accepted or rejected.

    `test` tells which one it is; accepted means that it was the last one.
    """

    id: str
    test: str
    state: str
    games: int
    blocks: int
    max_blocks: int
    llr: float
    lower: float
    upper: float
    unverified: int


@dataclass(frozen=True)
class ConfigFacts:
    """Everything that decides what a config does next.

    `training_state` is queued or leased while one is under way; `able` are the job kinds that some live agent
    can run; `last_training_failure` is empty unless the newest training failed.
    """

    key: str
    conditions: list[Condition]
    enabled: bool
    fresh_positions: int
    min_positions: int
    training: str = ""
    training_state: str = ""
    candidate: str = ""
    evaluation: EvaluationProgress | None = None
    able: frozenset[str] = frozenset()
    awaiting_ingest: int = 0
    last_training_failure: str = ""
    given_up: str = ""
    """A job without which it cannot go on and that was given up, with the reason; empty for none."""
    retry: str = ""
    """The id of that job."""
    facts: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Cause:
    """One sentence of where it stands, what comes next, and what stands in the way (empty for nothing)."""

    sentence: str
    next_action: str
    blocker: str = ""


def config_cause(facts: ConfigFacts) -> Cause:
    """Return the cause for a config: the furthest stage that it has reached decides."""
    if not facts.enabled:
        action = f"enable it: ringrift-ctl configs enable {facts.key}"
        return Cause(f"{facts.key} is not trained because it is not enabled", action, "not enabled")
    if facts.training and not facts.candidate:
        return _training(facts)
    cause = _candidate(facts) if facts.candidate else _collecting(facts)
    undecided = facts.evaluation is None or facts.evaluation.state == "running"
    if facts.given_up and undecided:
        action = f"mend the cause, then: ringrift-ctl jobs retry {facts.retry}"
        return Cause(cause.sentence, action, facts.given_up)
    return cause


def why_config(facts: ConfigFacts) -> WhyView:
    """Return the answer to `why CONFIG`."""
    cause = config_cause(facts)
    blocked = f"; blocked: {cause.blocker}" if cause.blocker else ""
    return WhyView(
        subject=facts.key,
        sentence=f"{cause.sentence}{blocked}.",
        conditions=facts.conditions,
        facts=facts.facts,
        next_action=cause.next_action,
    )


def _nobody(facts: ConfigFacts, kind: str) -> str:
    return "" if kind in facts.able else f"no live agent takes {kind} jobs"


def _candidate(facts: ConfigFacts) -> Cause:
    found = facts.evaluation
    if found is None:
        return Cause(f"candidate {facts.candidate} waits for a test", "it is registered in the next pass")
    if found.state == "accepted":
        return Cause(
            f"candidate {facts.candidate} passed its tests and waits for a decision",
            f"promote it: ringrift-ctl promote {facts.key}",
            "a promotion is a person's decision",
        )
    between = f"LLR {found.llr:.2f} between {found.lower:.2f} and {found.upper:.2f}"
    stand = f"{found.test}, {found.games} games, {between}"
    if found.lower < found.llr < found.upper and found.blocks < found.max_blocks:
        action = f"more blocks are played ({found.blocks} of at most {found.max_blocks})"
        return Cause(
            f"candidate {facts.candidate} is being evaluated: {stand}", action, _nobody(facts, "evaluate")
        )
    return Cause(
        f"candidate {facts.candidate} has its result: {stand}",
        f"the verdict falls when its last {found.unverified} shards are replayed",
        _nobody(facts, "ingest"),
    )


def _training(facts: ConfigFacts) -> Cause:
    if facts.training_state == "leased":
        return Cause(f"{facts.training} is training", "its checkpoint becomes the next candidate")
    return Cause(
        f"{facts.training} waits to be trained", "an agent with a free slot takes it", _nobody(facts, "train")
    )


def _collecting(facts: ConfigFacts) -> Cause:
    failed = first_failed(facts.conditions)
    if failed is None:
        return Cause("every condition of a training holds", "the training starts in the next pass")
    if failed.name in ("fresh positions", "data age"):
        missing = max(0, facts.min_positions - facts.fresh_positions)
        blocker = _nobody(facts, "selfplay") or (_nobody(facts, "ingest") if facts.awaiting_ingest else "")
        sentence = f"{failed.name} is {failed.value}, and a training needs {failed.limit}"
        action = f"self-play goes on: {missing} more positions, {facts.awaiting_ingest} shards to be replayed"
        return Cause(sentence, action, blocker or facts.last_training_failure)
    sentence = f"{failed.name} is {failed.value}, and a training needs {failed.limit}"
    return Cause(sentence, "mend the cause; self-play goes on", f"{failed.name}: {failed.reason}")
