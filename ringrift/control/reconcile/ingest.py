"""Asks for the replay of every received shard, preferably by another agent than its producer."""

from __future__ import annotations

from functools import partial

from sqlmodel import Session, col, select

from ringrift.control.reconcile.base import converge
from ringrift.control.reconcile.context import Context
from ringrift.control.store import jobs, spotchecks
from ringrift.control.store.filing import judge
from ringrift.control.store.tables import Job, Shard
from ringrift.protocol.jobs import IngestSpec

Plan = tuple[Shard, Job | None]


async def step(context: Context) -> bool:
    """Queue missing ingest jobs, and choose the shards to be played again; refuse shards whose ingest was
    cancelled."""
    share = context.settings.agents.spot_check_share
    return await converge("ingest.queue", context.store, decide, partial(apply, share))


def _work(shard: Shard) -> str:
    return f"ingest:{shard.sha256}"


def decide(session: Session) -> list[Plan]:
    """Return received shards without an ingest job, and those whose ingest an operator cancelled.

    A shard whose ingest was given up keeps waiting: its job may be retried.
    """
    received = session.exec(
        select(Shard).where(Shard.state == "received").order_by(col(Shard.received_at)).limit(500)
    ).all()
    query = select(Job).where(col(Job.work).in_([_work(shard) for shard in received]))
    known = {job.work: job for job in session.exec(query).all()}
    plan: list[Plan] = []
    for shard in received:
        job = known.get(_work(shard))
        if job is None or job.state == "cancelled":
            plan.append((shard, job))
    return plan


def apply(share: float, session: Session, plan: list[Plan]) -> None:
    """Carry the plan out; `share` is that of the spot checks."""
    for shard, job in plan:
        if job is None:
            spec = IngestSpec(config=shard.config, shard=shard.sha256)
            jobs.queue_job(session, spec, _work(shard), avoid=shard.agent)
            spotchecks.consider(session, shard, share)
        else:
            judge(session, shard, "refused", f"its ingest {job.id} is {job.state}: {job.reason}")
