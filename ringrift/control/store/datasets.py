"""Data sets: the immutable lists of shards that trainings use."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, update
from sqlmodel import Session, col, select

from ringrift.control.store.clock import now
from ringrift.control.store.events import CONTROLLER, record
from ringrift.control.store.tables import Artifact, Dataset, DatasetShard, Game, Shard
from ringrift.learning.dataset_id import dataset_sha, dataset_shards


def make_dataset(session: Session, config: str, window: int) -> Dataset:
    """Freeze the newest sound self-play shards, up to `window` positions, as a data set.

    The same shards always make the same data set; an existing one is returned as it is. Nothing stays fresh:
    what lies outside the window is older, and would start trainings on the same data again and again.
    """
    shards = _newest(session, config, window)
    _use_up(session, config)
    names = dataset_shards(shard.sha256 for shard in shards)
    sha256 = dataset_sha(config, names)
    existing = session.get(Dataset, sha256)
    if existing is not None:
        return existing
    dataset = Dataset(
        sha256=sha256,
        config=config,
        games=sum(shard.games for shard in shards),
        positions=sum(shard.positions for shard in shards),
        statistics=_statistics(session, shards),
        made_at=now(session),
    )
    session.add(dataset)
    session.flush()
    for position, name in enumerate(names):
        session.add(DatasetShard(dataset=sha256, position=position, shard=name))
    record(
        session,
        CONTROLLER,
        "dataset.made",
        sha256,
        config=config,
        shards=len(names),
        games=dataset.games,
        positions=dataset.positions,
    )
    return dataset


def shards_of(session: Session, dataset: str) -> list[str]:
    """Return the shards of a data set in their order."""
    query = select(DatasetShard.shard).where(DatasetShard.dataset == dataset)
    return list(session.exec(query.order_by(col(DatasetShard.position))).all())


def _newest(session: Session, config: str, window: int) -> list[Shard]:
    query = (
        select(Shard)
        .join(Artifact, col(Artifact.sha256) == col(Shard.sha256))
        .where(Shard.config == config, Shard.purpose == "selfplay", Shard.state == "sound")
        .where(col(Artifact.deleted_at).is_(None))
        .order_by(col(Shard.received_at).desc(), col(Shard.sha256))
    )
    chosen: list[Shard] = []
    positions = 0
    for shard in session.exec(query).all():
        if chosen and positions + shard.positions > window:
            break
        chosen.append(shard)
        positions += shard.positions
    return chosen


def _use_up(session: Session, config: str) -> None:
    session.execute(
        update(Shard)
        .where(col(Shard.config) == config, col(Shard.purpose) == "selfplay", col(Shard.state) == "sound")
        .where(col(Shard.in_dataset).is_(False))
        .values(in_dataset=True)
    )


def _statistics(session: Session, shards: list[Shard]) -> dict[str, Any]:
    """Return what is checked before training: balance of outcomes, lengths, share of search targets."""
    names = [shard.sha256 for shard in shards]
    wins: dict[str, int] = {}
    plies = games = 0
    for start in range(0, len(names), 500):
        rows = session.exec(
            select(Game.winner, func.count(), func.sum(Game.plies))
            .where(col(Game.shard).in_(names[start : start + 500]))
            .group_by(col(Game.winner))
        ).all()
        for winner, count, length in rows:
            wins[str(winner or "none")] = wins.get(str(winner or "none"), 0) + count
            plies, games = plies + int(length), games + count
    positions = sum(shard.positions for shard in shards)
    soft = sum(shard.soft_target_share * shard.positions for shard in shards)
    return {
        "wins_by_seat": dict(sorted(wins.items())),
        "mean_plies": plies / games if games else 0.0,
        "soft_target_share": soft / positions if positions else 0.0,
        "oldest": min(shard.received_at for shard in shards),
        "newest": max(shard.received_at for shard in shards),
    }
