"""What a model has shown of that which its promotion needs, test by test."""

from __future__ import annotations

from dataclasses import dataclass

from sqlmodel import Session, col, select

from ringrift.control.domain.evaluations import Wanted, covers, wanted_tests
from ringrift.control.domain.policy import SUPERIORITY, Policy
from ringrift.control.store.learning import CHAMPION
from ringrift.control.store.tables import Alias, Artifact, Evaluation, Model, Promotion


@dataclass(frozen=True)
class Evidence:
    """A wanted test and the newest evaluation that answers it; `current` tells that it is of this policy."""

    wanted: Wanted
    evaluation: Evaluation | None
    current: bool

    @property
    def accepted(self) -> bool:
        """Whether it was passed, by what its row says."""
        return self.current and self.evaluation is not None and self.evaluation.state == "accepted"

    @property
    def open(self) -> bool:
        """Whether it is still to be registered, or taken up again."""
        return not self.current or self.evaluation is None or self.evaluation.state == "superseded"


def evidence(session: Session, policy: Policy, model: Model) -> list[Evidence]:
    """Return the tests that a promotion of `model` needs now, in the order in which they are played."""
    query = select(Evaluation).where(Evaluation.candidate == model.sha256)
    known = session.exec(query.order_by(col(Evaluation.registered_at).desc())).all()
    return [_find(policy, wanted, known) for wanted in wanted_of(session, policy, model)]


def wanted_of(session: Session, policy: Policy, model: Model) -> list[Wanted]:
    """Return the tests that a promotion of `model` needs now."""
    alias = session.get(Alias, (CHAMPION, model.config))
    champion = alias.model if alias else None
    return wanted_tests(policy, model.sha256, champion, _former_champions(session, model, champion))


def next_test(found: list[Evidence]) -> Evidence | None:
    """Return the first test that was not passed; None when all were."""
    return next((item for item in found if not item.accepted), None)


def purpose_of(evaluation: Evaluation) -> str:
    """Return what an evaluation was registered for; those from before there was a choice say nothing."""
    return str(evaluation.registration.get("purpose", SUPERIORITY))


def is_under(evaluation: Evaluation, policy: Policy) -> bool:
    """Tell whether an evaluation was registered under this very policy."""
    return bool(evaluation.registration.get("policy") == policy.identity)


def _former_champions(session: Session, model: Model, champion: str | None) -> list[str]:
    """Return the other models that were champion of the config and whose weights are stored, newest first."""
    query = (
        select(Promotion.model)
        .join(Artifact, col(Artifact.sha256) == col(Promotion.model))
        .where(Promotion.config == model.config, col(Artifact.deleted_at).is_(None))
        .where(col(Promotion.model).not_in((model.sha256, champion or "")))
    )
    rows = session.exec(query.order_by(col(Promotion.generation).desc())).all()
    return list(dict.fromkeys(rows))


def _find(policy: Policy, wanted: Wanted, known: list[Evaluation]) -> Evidence:
    same = [item for item in known if item.opponent == wanted.opponent]
    mine = [item for item in same if purpose_of(item) == wanted.purpose]
    for item in mine:
        if is_under(item, policy):
            return Evidence(wanted, item, True)
    for item in same:
        meant = Wanted("", purpose_of(item), item.opponent)
        if item.state == "accepted" and is_under(item, policy) and covers(policy, meant, wanted):
            return Evidence(wanted, item, True)
    return Evidence(wanted, mine[0] if mine else None, False)
