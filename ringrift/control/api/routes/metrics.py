"""`GET /metrics` for Prometheus: rows and counters of the controller, read at most every few seconds."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Iterator

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import func
from sqlmodel import Session, col, select

import ringrift
from ringrift.control.domain.health import host_health
from ringrift.control.reconcile.context import Context
from ringrift.control.settings import Settings
from ringrift.control.store.alerts import open_alerts
from ringrift.control.store.clock import now
from ringrift.control.store.store import Store
from ringrift.control.store.tables import Agent, Backup, Host, Job, Result

KEPT_SECONDS = 5.0
"""Scrapes that come closer together get the same answer."""


def add_routes(router: APIRouter, context: Context) -> None:
    """Add `/metrics`."""
    scrape = Scrape(context)

    @router.get("/metrics")
    async def metrics() -> Response:
        return Response(await scrape.text(), media_type=CONTENT_TYPE_LATEST)


class Scrape:
    """The text of `/metrics`, made anew when it is older than `KEPT_SECONDS`."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._lock = asyncio.Lock()
        self._store: Store | None = None
        self._at = 0.0
        self._text = b""
        self._results = Results()

    async def text(self) -> bytes:
        """Return the metrics; one set of queries whoever asks how often."""
        async with self._lock:
            store = self._context.store
            fresh = self._store is store and time.monotonic() - self._at < KEPT_SECONDS
            if not fresh:
                if self._store is not store:
                    self._store, self._results = store, Results()
                self._text = await store.read(self._made)
                self._at = time.monotonic()
            return self._text

    def _made(self, session: Session) -> bytes:
        context = self._context
        self._results.read(session)
        registry = CollectorRegistry()
        families = (
            *_of_controller(context),
            *_of_hosts(session, context.settings),
            *_of_work(session, self._results),
            *_of_upkeep(session),
        )
        registry.register(_Made(families))
        return generate_latest(context.meters.registry) + generate_latest(registry)


class _Made(Collector):
    """Metrics that were read before."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = tuple(families)

    def collect(self) -> Iterator[Metric]:
        """Yield them."""
        yield from self._families


class Results:
    """Sums over all results, of which each is read once: rows of results never change and never go."""

    def __init__(self) -> None:
        self.last = self.count = self.games = 0

    def read(self, session: Session) -> None:
        """Add what came since."""
        sums = (func.count(), func.max(Result.id), func.sum(Result.games_named - Result.games_repeated))
        query = select(*sums).where(col(Result.id) > self.last)
        count, last, games = session.exec(query).one()
        if last is not None:
            self.count, self.last, self.games = self.count + count, last, self.games + int(games)


def _of_controller(context: Context) -> Iterator[Metric]:
    build = GaugeMetricFamily(
        "ringrift_build_info", "The controller's version.", labels=["version", "database"]
    )
    build.add_metric([ringrift.__version__, context.store.dialect], 1)
    yield build
    store = context.store
    yield GaugeMetricFamily(
        "ringrift_controller_leading", "1 where this controller reconciles.", value=int(context.leading)
    )
    yield CounterMetricFamily("ringrift_store_commits", "Transactions committed.", value=store.commits)
    yield CounterMetricFamily(
        "ringrift_store_writes", "Units of work in them: over commits, the group size.", value=store.units
    )
    yield GaugeMetricFamily(
        "ringrift_store_queue", "Units of work that wait for the writer.", value=store.waiting
    )


def _of_hosts(session: Session, settings: Settings) -> Iterator[Metric]:
    time_now, agents = now(session), settings.agents
    query = select(Host.state, Host.hourly_cost, Agent.beat_at).join(
        Agent, (col(Agent.host) == col(Host.name)) & col(Agent.revoked_at).is_(None), isouter=True
    )
    tally: Counter[tuple[str, str]] = Counter()
    cost = 0.0
    for state, price, beat_at in session.exec(query.where(Host.state != "retired")).all():
        age = None if beat_at is None else time_now - beat_at
        health = host_health(age, agents.stale_seconds, agents.down_seconds)
        tally[state, health] += 1
        cost += (price or 0.0) if health in ("up", "stale") else 0.0
    hosts = GaugeMetricFamily("ringrift_hosts", "Hosts that are not retired.", labels=["state", "health"])
    for labels, number in sorted(tally.items()):
        hosts.add_metric(labels, number)
    yield hosts
    yield GaugeMetricFamily(
        "ringrift_cost_dollars_per_hour", "Hourly cost of the hosts that are up.", value=cost
    )


def _of_work(session: Session, results: Results) -> Iterator[Metric]:
    jobs = GaugeMetricFamily("ringrift_jobs", "Jobs.", labels=["state", "kind"])
    by_state = select(Job.state, Job.kind, func.count()).group_by(col(Job.state), col(Job.kind))
    for state, kind, number in session.exec(by_state).all():
        jobs.add_metric([state, kind], number)
    yield jobs
    oldest = GaugeMetricFamily(
        "ringrift_queue_age_seconds", "Age of the oldest waiting job of a kind.", labels=["kind"]
    )
    time_now = now(session)
    waiting = select(Job.kind, func.min(Job.changed_at)).where(Job.state == "queued").group_by(col(Job.kind))
    for kind, at in session.exec(waiting).all():
        oldest.add_metric([kind], max(0.0, time_now - at))
    yield oldest
    yield CounterMetricFamily("ringrift_results", "Units of work with a receipt.", value=results.count)
    yield CounterMetricFamily("ringrift_games", "Distinct games with a receipt.", value=results.games)


def _of_upkeep(session: Session) -> Iterator[Metric]:
    alerts = GaugeMetricFamily("ringrift_alerts_open", "Open alerts.", labels=["kind", "severity"])
    tally = Counter((alert.kind, alert.severity) for alert in open_alerts(session))
    for labels, number in sorted(tally.items()):
        alerts.add_metric(labels, number)
    yield alerts
    made = session.exec(select(func.max(Backup.made_at)).where(Backup.state == "verified")).one()
    if made is not None:
        age = max(0.0, now(session) - made)
        yield GaugeMetricFamily("ringrift_backup_age_seconds", "Age of the last verified backup.", value=age)
