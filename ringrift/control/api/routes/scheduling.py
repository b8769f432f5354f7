"""Jobs one by one, and shares."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from fastapi import APIRouter
from sqlmodel import Session

from ringrift.control.api.access import By
from ringrift.control.api.views.scheduling import job_detail, shares_view
from ringrift.control.reconcile.context import Context
from ringrift.control.store import jobs, shares
from ringrift.protocol.scheduling import JobChange, JobDetail, ShareSet, SharesView

T = TypeVar("T")


def add_routes(router: APIRouter, context: Context) -> None:
    """Add the routes of jobs and shares."""
    _jobs(router, context)
    _shares(router, context)


class _Rehearsed(Exception):
    """Carries the outcome of a dry run out of its unit of work, which is undone by it."""

    def __init__(self, outcome: Any) -> None:
        self.outcome = outcome


def _rehearsed(work: Callable[[Session], T], dry_run: bool) -> Callable[[Session], T]:
    """Return `work`, or for a dry run what does it and then undoes it: the same answers and refusals."""

    def rehearsal(session: Session) -> T:
        raise _Rehearsed(work(session))

    return rehearsal if dry_run else work


async def _outcome(writing: Awaitable[T]) -> T:
    """Return what a unit of work, done or rehearsed, came to."""
    try:
        return await writing
    except _Rehearsed as done:
        outcome: T = done.outcome
        return outcome


def _jobs(router: APIRouter, context: Context) -> None:

    @router.get("/jobs/{identity}")
    async def show(identity: str) -> JobDetail:
        return await context.store.read(lambda s: job_detail(s, jobs.get_job(s, identity)))

    @router.post("/jobs/{identity}/retry")
    async def retry(identity: str, wish: JobChange, by: By) -> JobDetail:
        def work(session: Session) -> JobDetail:
            return job_detail(session, jobs.retry_job(session, identity, by.actor(wish.actor)))

        detail = await _outcome(context.store.write("job.retry", _rehearsed(work, wish.dry_run)))
        context.wake()
        return detail

    @router.post("/jobs/{identity}/cancel")
    async def cancel(identity: str, wish: JobChange, by: By) -> JobDetail:
        def work(session: Session) -> JobDetail:
            return job_detail(session, jobs.cancel_job(session, identity, wish.reason, by.actor(wish.actor)))

        detail = await _outcome(context.store.write("job.cancel", _rehearsed(work, wish.dry_run)))
        context.wake()
        return detail


def _shares(router: APIRouter, context: Context) -> None:

    @router.get("/shares")
    async def show() -> SharesView:
        return await context.store.read(lambda s: shares_view(s, context.settings))

    @router.post("/shares")
    async def change(wish: ShareSet, by: By) -> SharesView:
        def work(session: Session) -> SharesView:
            if wish.share is None:
                shares.reset_share(session, wish.scope, by.actor(wish.actor))
            else:
                reserve = context.settings.selfplay.reserve
                shares.set_share(session, wish.scope, wish.share, by.actor(wish.actor), reserve)
            session.flush()
            return shares_view(session, context.settings)

        return await _outcome(context.store.write("share.set", _rehearsed(work, wish.dry_run)))
