"""Models that leave for other controllers, and those that come from them: candidates like any other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from sqlmodel import Session, col, select

from ringrift.control.store.artifacts import note_artifact, require_artifact
from ringrift.control.store.clock import now
from ringrift.control.store.events import record
from ringrift.control.store.promotion import find_model
from ringrift.control.store.tables import Artifact, Evaluation, Model, Promotion
from ringrift.errors import Conflict, Refused
from ringrift.protocol.portable import CHECKPOINT_BYTES, ExportedModel

_TOLD = (
    "architecture", "positions", "train_loss", "holdout_loss", "parent_holdout_loss",
    "holdout_value_accuracy", "onnx_difference",
)  # fmt: skip
Outcome = Literal["imported", "restored", "unchanged"]


@dataclass(frozen=True)
class Leaving:
    """A model to export, the size of its checkpoint in bytes, and the time in seconds since 1970."""

    model: Model
    size: int
    generation: int
    """The newest that it was champion of; 0 for none."""
    evaluation: str | None
    time: float

    def training(self) -> dict[str, Any]:
        """Return what is told of its training (`protocol.portable.Training`)."""
        training = {name: getattr(self.model, name) for name in _TOLD}
        training["recipe"] = self.model.recipe or None
        come = self.model.origin or {"parent": self.model.parent, "dataset": self.model.dataset}
        return training | {"parent": come["parent"], "dataset": come["dataset"]}


def leaving(session: Session, prefix: str) -> Leaving:
    """Return a model, by its hash or the beginning of it, as it would be exported.

    Raises `NotFound` or `BadInput` when there is not exactly one, or its weights are gone, and `Refused` for
    one that nobody could check, or that is too large.
    """
    model = find_model(session, prefix)
    size = require_artifact(session, model.sha256).size
    if model.golden is None:
        raise Refused(
            f"model {model.sha256[:12]} of {model.config} carries no golden vectors",
            hint="a release of before trained it: train a model with this one",
        )
    if size > CHECKPOINT_BYTES:
        raise Refused(f"the checkpoint has {size} bytes, more than {CHECKPOINT_BYTES} that an import takes")
    query = select(Promotion).where(Promotion.model == model.sha256)
    promotion = session.exec(query.order_by(col(Promotion.generation).desc())).first()
    passed = select(Evaluation.id).where(Evaluation.candidate == model.sha256, Evaluation.state == "accepted")
    evaluation = session.exec(passed.order_by(col(Evaluation.decided_at).desc())).first()
    if promotion is not None:
        return Leaving(model, size, promotion.generation, promotion.evaluation, now(session))
    return Leaving(model, size, 0, evaluation, now(session))


def note_export(session: Session, model: str, signer: str, expires_at: float | None, actor: str) -> None:
    """Write that a model was signed for others."""
    record(session, actor, "model.exported", model, signer=signer, expires_at=expires_at)


def planned_import(session: Session, config: str, sha256: str) -> Outcome:
    """Return what the import of a model would do; `Conflict` where the bytes are known as something else."""
    known, stored = session.get(Model, sha256), session.get(Artifact, sha256)
    if known is None:
        return "imported"
    if known.config != config:
        raise Conflict(f"model {sha256[:12]} is of {known.config} here, not of {config}")
    return "unchanged" if stored is not None and stored.deleted_at is None else "restored"


def import_model(
    session: Session, config: str, told: ExportedModel, size: int, signer: str, actor: str
) -> Outcome:
    """Add a model as a candidate, with the row of its stored file and its audit row; once.

    A parent that is not known here is only told of in `origin`.
    """
    outcome = planned_import(session, config, told.sha256)
    if outcome == "unchanged":
        return outcome
    note_artifact(session, told.sha256, size, actor)
    if outcome == "imported":
        session.add(_candidate(session, config, told, signer))
    record(session, actor, f"model.{outcome}", told.sha256, config=config, signer=signer, size=size)
    return outcome


def _candidate(session: Session, config: str, told: ExportedModel, signer: str) -> Model:
    training = told.training
    parent = session.get(Model, training.parent) if training.parent else None
    return Model(
        sha256=told.sha256,
        config=config,
        state="candidate",
        parent=parent.sha256 if parent is not None and parent.config == config else None,
        architecture=training.architecture.model_dump(),
        recipe=training.recipe.model_dump() if training.recipe else {},
        positions=training.positions,
        train_loss=training.train_loss,
        holdout_loss=training.holdout_loss,
        parent_holdout_loss=training.parent_holdout_loss,
        holdout_value_accuracy=training.holdout_value_accuracy,
        onnx_difference=training.onnx_difference,
        golden=told.golden.model_dump(),
        origin={
            "signer": signer,
            "parent": training.parent,
            "dataset": training.dataset,
            "generation": told.generation,
            "evaluation": told.evaluation,
        },
        made_at=now(session),
    )
