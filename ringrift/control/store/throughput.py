"""Measured speed of hosts: a moving average of units per hour by kind of job and config."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import func
from sqlmodel import Session, col, select

from ringrift.control.domain.speed import worth_noting
from ringrift.control.store.clock import now
from ringrift.control.store.tables import Assignment, Job, Result, Throughput
from ringrift.protocol.agent import Rate

WEIGHT = 0.3
"""Of the newest measurement."""


def note(session: Session, host: str, job: Job, assignment: Assignment) -> None:
    """Take a finished try into the average; self-play counts games, the other kinds their units."""
    time = now(session)
    query = select(func.count()).select_from(Result).where(Result.assignment == assignment.id)
    units = session.exec(query).one() * int(job.spec.get("games_per_shard", 1))
    seconds = time - assignment.began_at
    if not units or seconds <= 0:
        return
    rate = units * 3600.0 / seconds
    row = session.get(Throughput, (host, job.kind, job.config))
    row = row or Throughput(host=host, kind=job.kind, config=job.config, per_hour=rate, at=time)
    row.per_hour, row.at = row.per_hour + WEIGHT * (rate - row.per_hour), time
    session.add(row)


def take_rates(session: Session, told: Mapping[str, Sequence[Rate]], time: float) -> None:
    """Take the moving averages that agents tell, by host; small changes are not written."""
    if not told:
        return
    query = select(Throughput).where(col(Throughput.host).in_(list(told)))
    known = {(row.host, row.kind, row.config): row for row in session.exec(query).all()}
    for host, rates in told.items():
        for rate in rates:
            row = known.get((host, rate.kind, rate.config))
            if row is not None and not worth_noting(row.per_hour, time - row.at, rate.per_hour):
                continue
            row = row or Throughput(host=host, kind=rate.kind, config=rate.config, per_hour=0.0)
            known[host, rate.kind, rate.config] = row
            row.per_hour, row.at = rate.per_hour, time
            session.add(row)
