"""What the rows say of references: the graph on which retention decides."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from sqlmodel import Session, col, select

from ringrift.control.domain.retention import Graph, Judgement, Stored, judge
from ringrift.control.settings import Settings
from ringrift.control.store import backups
from ringrift.control.store.artifacts import mark_deleted
from ringrift.control.store.clock import now
from ringrift.control.store.events import record
from ringrift.control.store.tables import (
    Artifact,
    DatasetShard,
    Evaluation,
    EvaluationBlock,
    Job,
    Model,
    Operation,
    Promotion,
    ServingRow,
    Setting,
    Shard,
    SpotCheck,
)

_LAST = "retention.last"
_HASH = re.compile(r"[0-9a-f]{64}")
_CLOSED_JOBS = ("succeeded", "cancelled")
"""Others may be handed out, now or again."""
_DEPLOYMENTS = 2
"""Of each target, the newest deployments whose models stay: what it serves, and what it served before."""


def judgements(session: Session, settings: Settings) -> list[Judgement]:
    """Judge every artifact that is stored; nothing while a backup copies what it named."""
    if backups.running_backups(session):
        return []
    time = now(session)
    query = select(Artifact.sha256, Artifact.size, Artifact.stored_at)
    rows = session.exec(query.where(col(Artifact.deleted_at).is_(None)))
    artifacts = [Stored(sha256, size, time - stored_at) for sha256, size, stored_at in rows]
    return judge(artifacts, reference_graph(session, settings), settings.retention.min_age_hours * 3600)


def is_due(session: Session, every: float) -> bool:
    """Tell whether the last pass is `every` seconds old, or one was asked for."""
    row = session.get(Setting, _LAST)
    return row is None or now(session) - row.value["at"] >= every


def note_pass(session: Session) -> None:
    """Write that a pass was made."""
    row = session.get(Setting, _LAST) or Setting(key=_LAST, value={})
    row.value = {"at": now(session)}
    session.add(row)


def order_pass(session: Session, actor: str) -> None:
    """Let the next pass be made at once."""
    row = session.get(Setting, _LAST)
    if row is not None:
        session.delete(row)
    record(session, actor, "retention.ordered", "artifacts")


def remove(session: Session, plan: Iterable[Judgement]) -> None:
    """Mark what goes; the files follow after the commit."""
    for item in plan:
        mark_deleted(session, item.artifact.sha256, item.why)


def reference_graph(session: Session, settings: Settings) -> Graph:
    """Return everything that is kept for itself, and what needs what."""
    roots: dict[str, str] = {}
    for name, why in (
        *_champions(session, settings.retention.predecessors),
        *_candidates(session),
        *_evaluations(session),
        *_jobs(session),
        *_shards(session, settings.training.window_positions),
        *_served(session),
    ):
        roots.setdefault(name, why)
    needs: dict[str, list[str]] = {}
    for model, dataset in session.exec(select(Model.sha256, Model.dataset)):
        if dataset is not None:
            needs.setdefault(model, []).append(dataset)
    for dataset, shard in session.exec(select(DatasetShard.dataset, DatasetShard.shard)):
        needs.setdefault(dataset, []).append(shard)
    return Graph(roots, needs)


def _champions(session: Session, predecessors: int) -> Iterator[tuple[str, str]]:
    """Yield each config's champion and the last models that were champion before it."""
    query = select(Promotion).order_by(col(Promotion.config), col(Promotion.generation).desc())
    seen: dict[str, list[str]] = {}
    for row in session.exec(query):
        models = seen.setdefault(row.config, [])
        if row.model not in models and len(models) <= predecessors:
            models.append(row.model)
            yield row.model, f"{'predecessor of the ' if len(models) > 1 else ''}champion of {row.config}"


def _candidates(session: Session) -> Iterator[tuple[str, str]]:
    for model in session.exec(select(Model).where(col(Model.state).in_(("candidate", "champion")))):
        yield model.sha256, f"{model.state} of {model.config}"


def _evaluations(session: Session) -> Iterator[tuple[str, str]]:
    """Yield players and games of tests that run, or may be taken up again."""
    query = select(Evaluation).where(col(Evaluation.state).in_(("running", "superseded")))
    names: dict[str, str] = {}
    for row in session.exec(query):
        names[row.id] = f"evaluation {row.id[:12]} is {row.state}"
        yield row.candidate, names[row.id]
        yield row.opponent, names[row.id]
    blocks = select(EvaluationBlock.evaluation, EvaluationBlock.shard)
    for evaluation, shard in session.exec(blocks.where(col(EvaluationBlock.evaluation).in_(names))):
        yield shard, names[evaluation]


def _jobs(session: Session) -> Iterator[tuple[str, str]]:
    """Yield whatever the orders of unfinished jobs name."""
    for job in session.exec(select(Job).where(col(Job.state).not_in(_CLOSED_JOBS))):
        for name in _hashes([job.spec, job.subject]):
            yield name, f"{job.kind} job {job.id} is {job.state}"


def _shards(session: Session, window: int) -> Iterator[tuple[str, str]]:
    """Yield shards that wait for anything, and the newest sound ones, which the next data set takes."""
    taken: dict[str, int] = {}
    for shard in session.exec(select(Shard.sha256).where(Shard.state == "received")):
        yield shard, "waits for its replay"
    query = select(Shard.sha256, Shard.config, Shard.positions, Shard.in_dataset)
    query = query.where(Shard.state == "sound", Shard.purpose == "selfplay")
    for shard, config, positions, used in session.exec(query.order_by(col(Shard.received_at).desc())):
        before = taken.get(config, 0)
        taken[config] = before + positions
        if not used or before <= window:
            yield shard, f"in the window of the next data set of {config}"
    for shard in session.exec(select(SpotCheck.shard).where(SpotCheck.state == "waiting")):
        yield shard, "waits for its spot check"


def _served(session: Session) -> Iterator[tuple[str, str]]:
    """Yield models of running and of the newest deployments, and those that targets say they serve."""
    query = select(Operation).where(Operation.kind == "deploy").order_by(col(Operation.began_at).desc())
    done: dict[str, int] = {}
    for row in session.exec(query):
        recent = row.state == "running" or done.get(row.subject, 0) < _DEPLOYMENTS
        if row.state == "succeeded":
            done[row.subject] = done.get(row.subject, 0) + 1
        for name in _hashes(row.order) if recent else ():
            yield name, f"deployed to {row.subject}"
    serving: set[tuple[str, str]] = set()
    for seen in session.exec(select(ServingRow).order_by(col(ServingRow.id).desc())):
        if (seen.target, seen.config) not in serving:
            serving.add((seen.target, seen.config))
            if seen.model:
                yield seen.model, f"served by {seen.target}"


def _hashes(value: Any) -> Iterator[str]:
    """Yield every SHA-256 in a document, whatever it is called there."""
    if isinstance(value, str):
        yield from _HASH.findall(value)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _hashes(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _hashes(item)
