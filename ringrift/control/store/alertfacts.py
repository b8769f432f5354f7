"""What the rules of alerts look at, read from the rows of one snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import func
from sqlalchemy import select as columns
from sqlmodel import Session, col, select

from ringrift.control.domain.alert_facts import ConfigFacts, Facts, HostFacts, QueueFacts, TargetFacts
from ringrift.control.domain.alert_memory import ACTIONS, Memory, Told, error_facts, remember
from ringrift.control.domain.health import host_health
from ringrift.control.settings import Settings
from ringrift.control.store import production
from ringrift.control.store.clock import now
from ringrift.control.store.learning import champions, enabled_configs
from ringrift.control.store.shares import unserved
from ringrift.control.store.tables import (
    Agent,
    Alert,
    Assignment,
    Backup,
    ConfigRow,
    Evaluation,
    EvaluationBlock,
    Event,
    Host,
    Job,
    Promotion,
    Result,
    Shard,
    Target,
    Throughput,
)

_WORKING = ("ready", "draining", "unreachable")
_SLACK = 300.0
"""A pause between two leases up to this long does not end a row of fruitless ones."""
_EVENTS = 100_000
"""Most audit rows that one round looks through; after more, the newest."""


class _HostRow(NamedTuple):
    """What a round looks at of one provisioned host and its agent; of telemetry, as numbers."""

    name: str
    state: str
    hourly_cost: float | None
    id: str
    beat_at: float | None
    enrolled_at: float
    gpu_percent: float | None
    disk_used: float | None
    disk_total: float | None
    memory_used: float | None
    memory_total: float | None


# Columns, not objects, and numbers, not documents: of ten thousand hosts these would cost most of a round.
_HOSTS = (
    columns(Host.name, Host.state, Host.hourly_cost, Agent.id)
    .add_columns(col(Agent.beat_at), col(Agent.enrolled_at))
    .add_columns(*(col(Agent.telemetry)[name].as_float() for name in _HostRow._fields[6:]))
    .join(Agent, col(Agent.host) == col(Host.name))
    .where(col(Agent.revoked_at).is_(None), col(Host.state).in_(_WORKING), col(Host.release).is_not(None))
)


def load(session: Session, memory: Memory, settings: Settings, disk: float | None) -> tuple[Facts, Memory]:
    """Return the facts of a round and the memory for the next; `disk` is the share of the controller's."""
    time = now(session)
    rows = [_HostRow(*row) for row in session.execute(_HOSTS).all()]
    queues = _queues(session, time)
    idle = [row.name for row in rows if queues and _idles(row, time, settings)]
    told, event = _told(session, memory.event)
    memory = remember(memory, time, settings.alerts.every_seconds, idle, told, event)
    fruitless = _fruitless(session, time, settings.alerts.no_output_minutes * 60)
    facts = Facts(
        watching=time - memory.since,
        open=frozenset(session.exec(select(Alert.signature).where(col(Alert.cleared_at).is_(None))).all()),
        hosts=tuple(_host(row, time, settings, memory, fruitless) for row in rows),
        configs=_configs(session, time, memory),
        evaluations=_evaluations(session, time),
        queues=queues,
        targets=_targets(session, time - settings.alerts.undeployed_minutes * 60),
        errors=error_facts(memory),
        controller_disk=disk,
        unsaved=_unsaved(session, time),
    )
    return facts, memory


def _is_live(row: _HostRow, time: float, settings: Settings) -> bool:
    age = None if row.beat_at is None else time - row.beat_at
    return host_health(age, settings.agents.stale_seconds, settings.agents.down_seconds) in ("up", "stale")


def _idles(row: _HostRow, time: float, settings: Settings) -> bool:
    low = row.gpu_percent is not None and row.gpu_percent < settings.alerts.gpu_share * 100
    return low and row.state == "ready" and _is_live(row, time, settings)


def _host(
    row: _HostRow,
    time: float,
    settings: Settings,
    memory: Memory,
    fruitless: Mapping[str, float],
) -> HostFacts:
    since = memory.idle.get(row.name)
    return HostFacts(
        name=row.name,
        silent=time - (row.beat_at or row.enrolled_at),
        live=_is_live(row, time, settings),
        cost=row.hourly_cost or 0.0,
        disk=_share(row.disk_used, row.disk_total),
        memory=_share(row.memory_used, row.memory_total),
        fruitless=fruitless.get(row.id),
        gpu_idle=None if since is None else time - since,
    )


def _share(used: float | None, total: float | None) -> float | None:
    return used / total if used is not None and total else None


def _fruitless(session: Session, time: float, window: float) -> dict[str, float]:
    """Return for agents that held leases all through the window without a result: since when, in seconds.

    Training is left out: its one result comes last. Tries that went well are known by their host's measured
    rate, so that results are looked for on few hosts only.
    """
    since = time - window
    ended = col(Assignment.ended_at)
    first = func.min(Assignment.began_at)
    query = (
        select(Assignment.agent, first)
        .join(Job, col(Job.id) == col(Assignment.job))
        .where(ended.is_(None) | (ended > since - _SLACK), Job.kind != "train")
        .group_by(col(Assignment.agent))
        .having(first <= since)
    )
    began = dict(session.exec(query).all())
    if not began:
        return {}
    holding = set(session.exec(select(Assignment.agent).where(Assignment.state == "running")).all())
    well = select(Agent.id).join(Throughput, col(Throughput.host) == col(Agent.host))
    fruitful = set(session.exec(well.where(Throughput.at > since)).all())
    found = {}
    for agent in (began.keys() & holding) - fruitful:
        last = session.exec(select(func.max(Result.received_at)).where(Result.agent == agent)).one()
        if last is None or last <= since:
            found[agent] = time - max(began[agent], last or 0.0)
    return found


def _queues(session: Session, time: float) -> tuple[QueueFacts, ...]:
    query = select(Job.kind, func.count(), func.min(Job.changed_at)).where(
        Job.state == "queued", Job.not_before <= time
    )
    rows = session.exec(query.group_by(col(Job.kind))).all()
    last: dict[str, float] = {}
    for (kind, _), age in unserved(session).items():
        last[kind] = min(age, last.get(kind, age))
    return tuple(
        QueueFacts(kind, count, time - oldest, last.get(kind, time - oldest)) for kind, count, oldest in rows
    )


def _configs(session: Session, time: float, memory: Memory) -> tuple[ConfigFacts, ...]:
    enabled = {key: session.get(ConfigRow, key) for key in enabled_configs(session)}
    query = select(Job.config, func.max(Job.created_at)).where(Job.kind == "train")
    trained = dict(session.exec(query.group_by(col(Job.config))).all())
    standing = champions(session)
    found = []
    for key, row in enabled.items():
        since = row.changed_at if row else time
        alias = standing.get(key)
        elo, best = _elos(session, key, alias.generation) if alias else (None, None)
        found.append(
            ConfigFacts(
                key=key,
                untrained=time - max(since, trained.get(key, 0.0)),
                data_age=time - max(since, _newest_sound(session, key) or 0.0),
                elo=elo,
                best_elo=best,
                rejected=alias is not None and _lost(session, alias.model),
                refusals=tuple(sorted(memory.refusals.get(key, {}).items())),
            )
        )
    return tuple(found)


def _newest_sound(session: Session, key: str) -> float | None:
    query = select(func.max(Shard.received_at)).where(
        Shard.config == key, Shard.purpose == "selfplay", Shard.state == "sound"
    )
    return session.exec(query).one()


def _elos(session: Session, key: str, generation: int) -> tuple[float | None, float | None]:
    """Return the Elo of a config's champion, and that of its best one before."""
    rows = session.exec(select(Promotion.generation, Promotion.elo).where(Promotion.config == key)).all()
    known = {number: elo for number, elo in rows if elo is not None}
    before = [elo for number, elo in known.items() if number < generation]
    return known.get(generation), max(before, default=None)


def _lost(session: Session, model: str) -> bool:
    query = select(Evaluation.id).where(Evaluation.candidate == model, Evaluation.state == "rejected")
    return session.exec(query).first() is not None


def _evaluations(session: Session, time: float) -> tuple[tuple[str, float], ...]:
    last = (
        select(Evaluation, func.max(Result.received_at))
        .join(EvaluationBlock, col(EvaluationBlock.evaluation) == col(Evaluation.id), isouter=True)
        .join(Result, col(Result.id) == col(EvaluationBlock.result), isouter=True)
        .where(Evaluation.state == "running")
        .group_by(col(Evaluation.id))
    )
    rows = session.exec(last).all()
    return tuple((f"{row.config} {row.id[:12]}", time - (at or row.registered_at)) for row, at in rows)


def _targets(session: Session, promoted_before: float) -> tuple[TargetFacts, ...]:
    aliases = champions(session)
    settled = {key: alias.model for key, alias in aliases.items() if alias.changed_at <= promoted_before}
    found = []
    for target in session.exec(select(Target).where(Target.state != "new")).all():
        serving = production.serving_now(session, target.name)
        meant = target.configs or list(serving)
        behind = [key for key in meant if key in settled and serving.get(key) != settled[key]]
        found.append(
            TargetFacts(target.name, target.state, next(iter(target.issues), ""), tuple(sorted(behind)))
        )
    return tuple(found)


def _unsaved(session: Session, time: float) -> float | None:
    """Return the age of the newest verified backup, else of the first audit row: what there is to save."""
    good = session.exec(select(func.max(Backup.made_at)).where(Backup.state == "verified")).one()
    first = select(Event.at).order_by(col(Event.id)).limit(1)
    since = good if good is not None else session.exec(first).first()
    return None if since is None else time - since


def _told(session: Session, after: int | None) -> tuple[list[Told], int]:
    """Return the audit rows of interest after `after`, and the newest row's id; at first only the latter."""
    newest = session.exec(select(func.max(Event.id))).one() or 0
    if after is None:
        return [], newest
    query = select(Event).where(Event.id > max(after, newest - _EVENTS), Event.id <= newest)
    rows = session.exec(query.where(col(Event.action).in_(ACTIONS)).order_by(col(Event.id))).all()
    return [Told(row.at, row.action, row.subject, row.detail) for row in rows], newest
