"""The names that follow from the rows: each config's `challenger` and `previous` champion.

`champion` is moved by compare-and-set and by nothing else (see `promotion`). The other two say what its rows
say, so that they are right after a kill, and in a database that is older than they are.
"""

from __future__ import annotations

from sqlmodel import Session, col, select

from ringrift.control.domain.policy import ANCHOR, SUPERIORITY
from ringrift.control.store.clock import now
from ringrift.control.store.events import CONTROLLER, record
from ringrift.control.store.evidence import purpose_of
from ringrift.control.store.learning import CHAMPION
from ringrift.control.store.tables import Alias, Evaluation, Model, Promotion

CHALLENGER = "challenger"
"""The newest candidate whose test against the present champion runs or was accepted."""
PREVIOUS = "previous"
"""The model that was champion before the present one; `rollback` brings it back."""

Place = tuple[str, str]
"""(name, config)."""
Meaning = tuple[str, int] | None
"""(model, generation): the one that `previous` stood as, or that the challenger would be. None: no model."""


def changes(session: Session) -> list[tuple[Place, Meaning]]:
    """Return every derived alias that does not say what the rows say, with what they say."""
    meant: dict[Place, tuple[str, int]] = {**_challengers(session), **_previous(session)}
    query = select(Alias).where(col(Alias.name).in_((CHALLENGER, PREVIOUS)))
    said = {(row.name, row.config): (row.model, row.generation) for row in session.exec(query).all()}
    places = sorted(meant.keys() | said.keys())
    return [(place, meant.get(place)) for place in places if meant.get(place) != said.get(place)]


def move(session: Session, plan: list[tuple[Place, Meaning]], actor: str = CONTROLLER) -> None:
    """Make the aliases say what was found."""
    for (name, config), meaning in plan:
        row = session.get(Alias, (name, config))
        if meaning is None:
            session.delete(row)
        else:
            row = row or Alias(name=name, config=config, model="", generation=0, changed_at=0.0)
            (row.model, row.generation), row.changed_at = meaning, now(session)
            session.add(row)
        model = meaning[0] if meaning else None
        record(session, actor, "alias.moved", f"{name} of {config}", model=model)


def _challengers(session: Session) -> dict[Place, tuple[str, int]]:
    standing = {row.config: row for row in session.exec(select(Alias).where(Alias.name == CHAMPION)).all()}
    query = (
        select(Model.config, Model.sha256, Evaluation)
        .join(Evaluation, col(Evaluation.candidate) == col(Model.sha256))
        .where(Model.state == "candidate", col(Evaluation.state).in_(("running", "accepted")))
    )
    found: dict[Place, tuple[str, int]] = {}
    for config, model, evaluation in session.exec(query.order_by(col(Model.made_at))).all():
        champion, meant = standing.get(config), purpose_of(evaluation)
        if (meant, evaluation.opponent) == (SUPERIORITY, champion.model if champion else ANCHOR):
            found[CHALLENGER, config] = (model, champion.generation + 1 if champion else 1)
    return found


def _previous(session: Session) -> dict[Place, tuple[str, int]]:
    query = (
        select(Promotion)
        .join(Alias, col(Alias.config) == col(Promotion.config))
        .where(Alias.name == CHAMPION, Alias.generation == Promotion.generation)
    )
    rows = session.exec(query).all()
    return {(PREVIOUS, row.config): (row.previous, row.generation - 1) for row in rows if row.previous}
