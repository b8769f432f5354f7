"""When a config trains: one rule, every condition with its value, limit and reason."""

from __future__ import annotations

from dataclasses import dataclass

from ringrift.control.domain.health import age_text
from ringrift.protocol.operator import Condition


@dataclass(frozen=True)
class TrainingFacts:
    """What the trigger looks at, for one config.

    `fresh_positions` come from sound self-play shards in no data set yet; `data_age` is seconds since the
    newest of them arrived; `soft_target_share` is their share of decisions with a search target. `training`
    and `candidate` name what is under way, empty for nothing. `fruitless` candidates were rejected since the
    config was enabled and since its last promotion.
    """

    enabled: bool
    fresh_positions: int
    data_age: float | None
    soft_target_share: float
    training: str = ""
    candidate: str = ""
    fruitless: int = 0


@dataclass(frozen=True)
class TrainingLimits:
    """The rule's numbers."""

    min_positions: int
    max_data_age: float
    min_soft_target_share: float
    max_fruitless: int = 10


def training_conditions(facts: TrainingFacts, limits: TrainingLimits) -> list[Condition]:
    """Return every condition of a training run; it starts when all passed."""
    fresh = facts.data_age is not None and facts.data_age <= limits.max_data_age
    return [
        Condition(
            name="enabled",
            value="yes" if facts.enabled else "no",
            limit="yes",
            passed=facts.enabled,
            reason="only enabled configs are trained",
        ),
        Condition(
            name="no training under way",
            value=facts.training or "none",
            limit="none",
            passed=not facts.training,
            reason="one training at a time per config",
        ),
        Condition(
            name="no candidate waiting",
            value=facts.candidate or "none",
            limit="none",
            passed=not facts.candidate,
            reason="the last candidate needs its verdict and decision first",
        ),
        Condition(
            name="fresh positions",
            value=str(facts.fresh_positions),
            limit=f">= {limits.min_positions}",
            passed=facts.fresh_positions >= limits.min_positions,
            reason="replayed positions that no data set has yet",
        ),
        Condition(
            name="data age",
            value=age_text(facts.data_age),
            limit=f"<= {age_text(limits.max_data_age)}",
            passed=fresh,
            reason="training on old data makes the model worse",
        ),
        Condition(
            name="search targets",
            value=f"{facts.soft_target_share:.3f}",
            limit=f">= {limits.min_soft_target_share:.3f}",
            passed=facts.soft_target_share >= limits.min_soft_target_share,
            reason="without search targets the policy learns nothing",
        ),
        Condition(
            name="runs without gain",
            value=str(facts.fruitless),
            limit=f"< {limits.max_fruitless}",
            passed=facts.fruitless < limits.max_fruitless,
            reason="more of the same brings no gain; disable and enable the config to begin anew",
        ),
    ]


def first_failed(conditions: list[Condition]) -> Condition | None:
    """Return the first condition that does not hold, or None."""
    return next((condition for condition in conditions if not condition.passed), None)
