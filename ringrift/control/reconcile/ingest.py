"""Asks for the replay of every received shard, preferably by another agent than its producer."""

from __future__ import annotations

from sqlmodel import Session, col, select

from ringrift.control.reconcile.base import converge
from ringrift.control.reconcile.context import Context
from ringrift.control.store import jobs
from ringrift.control.store.filing import judge
from ringrift.control.store.tables import Job, Shard
from ringrift.protocol.jobs import IngestSpec

Plan = tuple[Shard, Job | None]


async def step(context: Context) -> bool:
    """Queue missing ingest jobs; refuse shards whose ingest could not be done."""
    return await converge("ingest.queue", context.store, decide, apply)


def _work(shard: Shard) -> str:
    return f"ingest:{shard.sha256}"


def decide(session: Session) -> list[Plan]:
    """Return received shards without an ingest job, and those whose ingest ended without a result."""
    received = session.exec(
        select(Shard).where(Shard.state == "received").order_by(col(Shard.received_at)).limit(500)
    ).all()
    query = select(Job).where(col(Job.work).in_([_work(shard) for shard in received]))
    known = {job.work: job for job in session.exec(query).all()}
    plan: list[Plan] = []
    for shard in received:
        job = known.get(_work(shard))
        if job is None or job.state in ("failed", "quarantined", "cancelled"):
            plan.append((shard, job))
    return plan


def apply(session: Session, plan: list[Plan]) -> None:
    """Carry the plan out."""
    for shard, job in plan:
        if job is None:
            spec = IngestSpec(config=shard.config, shard=shard.sha256)
            jobs.queue_job(session, spec, _work(shard), avoid=shard.agent)
        else:
            judge(session, shard, "refused", f"its ingest {job.id} is {job.state}: {job.reason}")
