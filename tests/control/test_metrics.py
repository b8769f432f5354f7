"""`/metrics`: what Prometheus reads, who may read it, and how often the store is asked for it."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlmodel import Session

from ringrift.control.api.routes import metrics
from ringrift.control.domain.alert_memory import Memory
from ringrift.control.domain.alerts import Finding
from ringrift.control.reconcile.base import Reconciler, run_forever
from ringrift.control.reconcile.context import Context
from ringrift.control.store import alerts
from ringrift.control.store.clock import now
from ringrift.control.store.tables import Backup, Host
from tests.control.doubles import client
from tests.control.world import World

HOSTILE = 'train"\\\n# EVIL 1'


def samples(text: str) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Return name -> labels -> value, as Prometheus's own parser reads them."""
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation, family.name
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return found


@pytest.fixture(autouse=True)
def always_fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(metrics, "KEPT_SECONDS", 0.0)
    yield


async def test_prometheus_reads_every_metric_with_its_value(world: World) -> None:
    agent = await world.agent("a")
    await world.agent("b")
    await world.enable()
    await world.reconcile("selfplay")
    await agent.do_job((await agent.lease()).assignment, world.work)

    def more(session: Session) -> None:
        time = now(session)
        session.get(Host, "a").hourly_cost = 2.5
        session.add(Backup(id="b1", place="/x", state="verified", made_at=time - 100.0))
        found = Finding(HOSTILE, "x", "critical", "v", "l", "r")
        alerts.apply(session, [found], Memory())

    await world.write(more)
    answer = await world.http.get("/metrics")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/plain; version=")
    found = samples(answer.text)
    assert found["ringrift_hosts"] == {(("health", "up"), ("state", "ready")): 2.0}
    assert found["ringrift_jobs"][("kind", "selfplay"), ("state", "succeeded")] == 1.0
    assert found["ringrift_queue_age_seconds"][(("kind", "selfplay"),)] >= 0.0
    assert (found["ringrift_results_total"][()], found["ringrift_games_total"][()]) == (2.0, 8.0)
    assert found["ringrift_cost_dollars_per_hour"][()] == 2.5
    assert 100.0 <= found["ringrift_backup_age_seconds"][()] < 200.0
    assert found["ringrift_alerts_open"] == {(("kind", HOSTILE), ("severity", "critical")): 1.0}
    assert found["ringrift_beat_seconds_count"][()] >= 2.0
    assert found["ringrift_store_writes_total"][()] >= found["ringrift_store_commits_total"][()] > 0.0
    assert found["ringrift_store_queue"][()] == 0.0
    assert found["ringrift_controller_leading"][()] == 1.0
    assert "process_resident_memory_bytes" in found
    assert "EVIL" not in found


async def test_results_are_summed_once_and_added_up_later(world: World) -> None:
    agent = await world.agent("a")
    await world.enable()
    for _ in range(2):
        await world.reconcile("selfplay")
        await agent.do_job((await agent.lease("selfplay")).assignment, world.work)
        text = (await world.http.get("/metrics")).text
    assert samples(text)["ringrift_results_total"][()] == 4.0


async def test_scrapes_that_come_close_together_ask_the_store_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "KEPT_SECONDS", 60.0)
    scrape = metrics.Scrape(world.context)
    first = await scrape.text()
    await world.agent("late")
    assert await scrape.text() == first


async def test_a_viewers_token_reads_metrics_and_nobody_without_one_does(world: World) -> None:
    made = await world.post("/tokens", {"role": "viewer", "seconds": 3600.0})
    for header, expected in ((f"Bearer {made['token']}", 200), ("Bearer wrong", 401), ("", 401)):
        answer = await client(world.operators_app, authorization=header).get("/metrics")
        assert answer.status_code == expected


class Enough(BaseException):
    """Ends a loop that has no end."""


async def test_passes_and_failures_of_reconcilers_are_counted(world: World) -> None:
    outcomes = iter([None, ValueError("x"), Enough()])

    async def step(context: Context) -> bool:
        outcome = next(outcomes)
        if outcome is not None:
            raise outcome
        return True

    with pytest.raises(Enough):
        await run_forever(Reconciler("tested", step), world.context, logging.getLogger("test"))
    found = samples((await world.http.get("/metrics")).text)
    assert found["ringrift_reconciler_pass_seconds_count"][(("reconciler", "tested"),)] == 1.0
    assert found["ringrift_reconciler_failures_total"][(("reconciler", "tested"),)] == 1.0
