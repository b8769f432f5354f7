"""Where each config stands: fresh data, training, candidates, champion."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import case, func
from sqlmodel import Session, col, select

from ringrift.control.domain.trigger import TrainingFacts
from ringrift.control.store.clock import now
from ringrift.control.store.events import record
from ringrift.control.store.jobs import OPEN
from ringrift.control.store.tables import Alias, ConfigRow, Job, Model, Shard
from ringrift.game.config import ALL_CONFIGS, GameConfig

CHAMPION = "champion"


@dataclass(frozen=True)
class FreshData:
    """Sound self-play shards of a config that no data set has yet.

    `positions` are those of shards that are not too old, `age` is that of the newest shard in seconds, and
    `soft_target_share` is the share of decisions with a search target.
    """

    positions: int = 0
    age: float | None = None
    soft_target_share: float = 0.0


def enabled_configs(session: Session) -> list[str]:
    """Return the keys of the enabled configs, in the order of the config table."""
    rows = set(session.exec(select(ConfigRow.key).where(col(ConfigRow.enabled).is_(True))).all())
    return [config.key for config in ALL_CONFIGS if config.key in rows]


def enable_config(session: Session, key: str, enabled: bool, actor: str) -> bool:
    """Switch a config on or off; return whether that changed anything."""
    key = GameConfig.parse(key).key
    row = session.get(ConfigRow, key) or ConfigRow(key=key, enabled=False, changed_at=now(session))
    if row.enabled == enabled:
        return False
    row.enabled, row.actor, row.changed_at = enabled, actor, now(session)
    session.add(row)
    record(session, actor, "config.enabled" if enabled else "config.disabled", key)
    return True


def fresh_data(session: Session, max_age: float) -> dict[str, FreshData]:
    """Return the fresh training data of every config that has any; what is older than `max_age` seconds does
    not count, so that self-play goes on when nothing was trained in that time."""
    time = now(session)
    young = case((col(Shard.received_at) >= time - max_age, col(Shard.positions)), else_=0)
    rows = session.exec(
        select(
            Shard.config,
            func.sum(young),
            func.max(Shard.received_at),
            func.sum(young * col(Shard.soft_target_share)),
        )
        .where(col(Shard.in_dataset).is_(False), Shard.state == "sound", Shard.purpose == "selfplay")
        .group_by(col(Shard.config))
    ).all()
    return {
        config: FreshData(int(positions), time - newest, float(soft) / int(positions) if positions else 0.0)
        for config, positions, newest, soft in rows
    }


def unreplayed_positions(session: Session) -> dict[str, int]:
    """Return how many positions of self-play wait to be replayed, for every config that has any."""
    waiting = select(Shard.config, func.sum(Shard.positions)).where(
        Shard.state == "received", Shard.purpose == "selfplay"
    )
    rows = session.exec(waiting.group_by(col(Shard.config))).all()
    return {config: int(positions) for config, positions in rows}


def open_trainings(session: Session) -> dict[str, Job]:
    """Return the queued or leased training of each config that has one."""
    query = select(Job).where(Job.kind == "train", col(Job.state).in_(OPEN))
    return {job.config: job for job in session.exec(query).all()}


def candidates(session: Session) -> dict[str, Model]:
    """Return the newest candidate of each config that has one."""
    query = select(Model).where(Model.state == "candidate").order_by(col(Model.made_at))
    return {model.config: model for model in session.exec(query).all()}


def champions(session: Session) -> dict[str, Alias]:
    """Return the champion alias of each config that has one."""
    return {alias.config: alias for alias in session.exec(select(Alias).where(Alias.name == CHAMPION)).all()}


def fruitless_runs(session: Session) -> dict[str, int]:
    """Return how many candidates trained here were rejected since a config was enabled and last promoted."""
    since = func.coalesce(func.max(Alias.changed_at), 0.0)
    promoted = select(since).where(Alias.config == Model.config, Alias.name == CHAMPION).scalar_subquery()
    rows = session.exec(
        select(Model.config, func.count())
        .join(ConfigRow, col(ConfigRow.key) == col(Model.config))
        .where(Model.state == "rejected", Model.made_at > ConfigRow.changed_at)
        .where(col(Model.made_at) > promoted, col(Model.job).is_not(None))
        .group_by(col(Model.config))
    ).all()
    return {config: int(count) for config, count in rows}


def training_facts(session: Session, max_age: float) -> dict[str, TrainingFacts]:
    """Return what the training trigger looks at, for all twelve configs; see `fresh_data` for `max_age`."""
    enabled, fresh = set(enabled_configs(session)), fresh_data(session, max_age)
    training, waiting = open_trainings(session), candidates(session)
    fruitless = fruitless_runs(session)
    facts: dict[str, TrainingFacts] = {}
    for config in ALL_CONFIGS:
        data = fresh.get(config.key, FreshData())
        job, candidate = training.get(config.key), waiting.get(config.key)
        facts[config.key] = TrainingFacts(
            enabled=config.key in enabled,
            fresh_positions=data.positions,
            data_age=data.age,
            soft_target_share=data.soft_target_share,
            training=job.id if job else "",
            candidate=candidate.sha256[:12] if candidate else "",
            fruitless=fruitless.get(config.key, 0),
        )
    return facts
