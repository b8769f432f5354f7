"""The one gate of promotions. All conditions must hold; what is missing fails."""

from __future__ import annotations

from dataclasses import dataclass

from ringrift.control.domain.policy import ANCHOR
from ringrift.protocol.operator import Condition


@dataclass(frozen=True)
class EvaluationFacts:
    """An evaluation as its rows tell it. `verdict` is computed anew from the rows; `id_matches` tells that
    the registration still hashes to the evaluation's id, and `fits_policy` that its test is the one that the
    present policy orders; `policy` is the one that it names. `unverified` counts its shards that were not
    replayed and found sound."""

    id: str
    id_matches: bool
    fits_policy: bool
    policy: str
    config: str
    candidate: str
    opponent: str
    state: str
    verdict: str
    blocks: int
    complete_blocks: int
    games: int
    players: int
    unverified: int


@dataclass(frozen=True)
class TestFacts:
    """A test that shows that a model is not worse than `opponent`, or even with itself; None where there
    was none."""

    __test__ = False

    name: str
    opponent: str
    evaluation: EvaluationFacts | None


@dataclass(frozen=True)
class GateFacts:
    """What is known about a promotion of `model` to champion of `config`.

    `policy` is the present one. `evaluation` is the test against the present champion, or the random player
    where there is none; `others` are the tests against anchors and former champions. `model_config` is None
    for an unknown model. `parents` are its ancestors' configs, nearest first, None for an ancestor that is
    not in the store. `signer` is the key id under an imported model, which has no data set here; None for
    one that was trained here.
    """

    config: str
    model: str
    champion: str | None
    model_config: str | None
    model_state: str
    dataset_config: str | None
    architecture: str
    parent_architecture: str | None
    parents: tuple[str | None, ...]
    evaluation: EvaluationFacts | None
    policy: str
    others: tuple[TestFacts, ...] = ()
    signer: str | None = None
    onnx_difference: float | None = None
    onnx_tolerance: float | None = None
    """None where the policy does not ask."""


def gate_conditions(facts: GateFacts) -> list[Condition]:
    """Return every condition of the promotion; it is allowed when all passed."""
    wanted = facts.champion or ANCHOR
    found = facts.evaluation
    superior = _evaluation_conditions(facts, wanted, found) if found else _no_evaluation(wanted)
    others = (_not_worse(facts, test) for test in facts.others)
    return [*_model_conditions(facts), *_onnx(facts), *superior, *others]


def allowed(conditions: list[Condition]) -> bool:
    """Tell whether the gate is open: there are conditions, and all of them hold."""
    return bool(conditions) and all(condition.passed for condition in conditions)


def overridable(conditions: list[Condition]) -> bool:
    """Tell whether only evidence is missing. What a model is no person overrides: see `_model_conditions`."""
    return bool(conditions) and all(item.passed or _is_evidence(item.name) for item in conditions)


def _is_evidence(name: str) -> bool:
    return name in _EVIDENCE or name.startswith(("anchor ", "former champion "))


_EVIDENCE = frozenset(
    {
        "evaluation",
        "opponent",
        "policy",
        "registered test",
        "verdict",
        "games",
        "blocks",
        "replayed",
        "mirror",
    }
)


def _condition(name: str, value: object, limit: object, passed: bool, reason: str) -> Condition:
    return Condition(name=name, value=str(value), limit=str(limit), passed=passed, reason=reason)


def _model_conditions(facts: GateFacts) -> list[Condition]:
    beginning = "imported" if facts.signer else "from scratch"
    parents = ", ".join(parent or "missing" for parent in facts.parents) or beginning
    same_shape = facts.parent_architecture in (None, facts.architecture)
    return [
        _condition(
            "model",
            facts.model_config or "unknown",
            facts.config,
            facts.model_config == facts.config,
            "the model must be of this config",
        ),
        _condition(
            "model state",
            facts.model_state,
            "candidate or retired",
            facts.model_state in ("candidate", "retired"),
            "rejected models stay rejected",
        ),
        _origin(facts),
        _condition(
            "architecture",
            facts.architecture,
            facts.parent_architecture or facts.architecture,
            same_shape,
            "a model keeps its parent's shape",
        ),
        _condition(
            "parent chain",
            parents,
            f"all {facts.config}",
            all(parent == facts.config for parent in facts.parents),
            "every ancestor must be known",
        ),
    ]


def _origin(facts: GateFacts) -> Condition:
    """Return what stands for the training: the data set, or whoever signed what was imported."""
    if facts.signer is not None and facts.dataset_config is None:
        reason = "it was imported: its signer was trusted then"
        return _condition("origin", f"signed by {facts.signer}", "a trusted signer", True, reason)
    return _condition(
        "data set",
        facts.dataset_config or "missing",
        facts.config,
        facts.dataset_config == facts.config,
        "it must have been trained on this config's games",
    )


def _onnx(facts: GateFacts) -> list[Condition]:
    """Return the condition that targets with either engine serve the same net, where the policy asks."""
    off, most = facts.onnx_difference, facts.onnx_tolerance
    if most is None:
        return []
    value = "not compared" if off is None else f"off by {off:.2g}"
    reason = "onnxruntime must say what torch says; the agent that trains compares where it is installed"
    passed = off is not None and off <= most
    return [_condition("onnx", value, f"off by at most {most:g}", passed, reason)]


def _no_evaluation(wanted: str) -> list[Condition]:
    return [
        _condition(
            "evaluation",
            "none",
            f"against {wanted[:12]}",
            False,
            "a promotion needs an evaluation against the champion that stands now",
        )
    ]


def _brief(policy: str) -> str:
    """Return a policy's name with the first digits of its SHA-256."""
    name, _, digest = policy.partition(", ")
    return f"{name.replace(' version ', ' v')} {digest[:8]}".strip()


def _not_worse(facts: GateFacts, test: TestFacts) -> Condition:
    """Return the one condition of a test against itself, an anchor or a former champion."""
    mirrored = test.opponent == facts.model
    limit = "even against itself" if mirrored else f"against {test.opponent[:12]}"
    found = test.evaluation
    if found is None:
        return _condition(test.name, "no test", limit, False, "it begins when the tests before it passed")
    wrong = [item for item in _evaluation_conditions(facts, test.opponent, found) if not item.passed]
    said = "; ".join(f"{item.name} is {item.value}, must be {item.limit}" for item in wrong)
    fine = "neither side is favoured" if mirrored else "a champion is not worse than those before it"
    reason = said or fine
    return _condition(test.name, f"{found.state}, {found.games} games", limit, not wrong, reason)


def _evaluation_conditions(facts: GateFacts, wanted: str, found: EvaluationFacts) -> list[Condition]:
    expected_games = found.blocks * found.players
    return [
        _condition(
            "evaluation",
            found.id[:12],
            "of this model and config",
            found.candidate == facts.model and found.config == facts.config,
            "evidence counts for its own model and config only",
        ),
        _condition(
            "opponent",
            found.opponent[:12],
            wanted[:12],
            found.opponent == wanted,
            "a first champion must beat the random anchor, a later one the present champion",
        ),
        _condition(
            "policy",
            _brief(found.policy),
            _brief(facts.policy),
            found.policy == facts.policy,
            f"what decides is {facts.policy}",
        ),
        _condition(
            "registered test",
            "changed" if not found.id_matches else "unchanged" if found.fits_policy else "other bounds",
            "unchanged",
            found.id_matches and found.fits_policy,
            "the test was fixed before game 1",
        ),
        _condition(
            "verdict",
            f"{found.state}, {found.verdict}",
            "accepted, accept",
            found.state == "accepted" and found.verdict == "accept",
            "decided by the registered test",
        ),
        _condition(
            "games",
            found.games,
            f"{expected_games} and > 0",
            found.games == expected_games and found.games > 0,
            "no verdict without games",
        ),
        _condition(
            "blocks",
            found.complete_blocks,
            found.blocks,
            found.complete_blocks == found.blocks and found.blocks > 0,
            "every block whole and once",
        ),
        _condition(
            "replayed",
            f"{found.unverified} shards unverified",
            "0",
            found.unverified == 0,
            "every evaluated game was replayed through the rules",
        ),
    ]
