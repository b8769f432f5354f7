"""The fleet under seeded trouble: promises hold, a seed repeats itself, and planted errors are found."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any
from unittest import mock

import pytest

from ringrift.control.store import debts, events, filing, fleet, jobs
from tests.simulation.checks import Violation
from tests.simulation.store import SimStore
from tests.simulation.world import World, run_seed

SEEDS = 120
GROUP = 10
STORIES = range(30, 50)
"""Seeds whose stories are read; they are played once, there."""


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def played(seed: int) -> World:
    """Return the world after a seed in which something happened and every promise was kept."""
    world = run_seed(seed)
    assert world.checks.events > 20, "nothing happened"
    return world


@pytest.mark.parametrize("first", [first for first in range(0, SEEDS, GROUP) if first not in STORIES])
def test_every_promise_is_kept_after_every_commit(first: int) -> None:
    for seed in range(first, first + GROUP):
        played(seed)


def test_a_seed_plays_the_same_every_time() -> None:
    first, second = run_seed(7), run_seed(7)
    assert first.log == second.log
    assert first.totals == second.totals
    assert first.checks.events == second.checks.events


def test_different_seeds_bring_every_kind_of_trouble() -> None:
    stories = "\n".join("\n".join(played(seed).log) for seed in STORIES)
    for words in ("is killed before", "is killed after", "is cut", "crashes", "has a twin", "for long"):
        assert words in stories


def _forgetful_record(session: Any, actor: str, action: str, *_: Any, **__: Any) -> None:
    if action != "job.leased":
        _record(session, actor, action, *_, **__)


_record = events.record


async def _answered_before_the_commit(self: SimStore, name: str, work: Callable[[Any], Any]) -> Any:
    if name == "agent.result":
        with mock.patch("sqlmodel.Session.commit", lambda session: session.rollback()):
            return await _write(self, name, work)
    return await _write(self, name, work)


_write = SimStore.write


def _two_at_once(session: Any, assignment: Any, *_: Any) -> None:
    jobs.set_job(session, jobs.get_job(session, assignment.job), "queued", "the former try still runs")


def _one_game_less(session: Any, agent: str, units: Sequence[Any], time: float) -> list[int]:
    """Store all games of a result but its first; what the result names stays as it is."""
    stored = []
    for unit in units:
        games = {"games": list(getattr(unit.payload, "games", ()))[1:]}
        payload = unit.payload.model_copy(update=games) if games["games"] else unit.payload
        stored.append(replace(unit, payload=payload))
    return _add_shards(session, agent, stored, time)


_add_shards = filing._add_shards


def _silence_is_death(session: Any, name: str, reason: str) -> None:
    fleet.set_state(session, fleet.get_host(session, name), "quarantined", reason)


PLANTED: dict[str, tuple[str, int, Callable[[], Any]]] = {
    "a receipt before the commit": (
        "P1",
        0,
        lambda: mock.patch.object(SimStore, "write", _answered_before_the_commit),
    ),
    "a game that is not counted": ("P2", 0, lambda: mock.patch.object(filing, "_add_shards", _one_game_less)),
    "two tries at once": ("P3", 0, lambda: mock.patch.object(jobs, "end_badly", _two_at_once)),
    "debts that nobody pays": ("P6", 2, lambda: mock.patch.object(debts, "payable", lambda *_: [])),
    "silence taken for death": ("P8", 15, lambda: mock.patch.object(fleet, "tunnel_lost", _silence_is_death)),
    "a change without its audit row": (
        "P10",
        0,
        lambda: mock.patch.object(jobs, "record", _forgetful_record),
    ),
}
"""The promise that each breaks, and the first seed to look in."""


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_error_is_found_and_named(name: str) -> None:
    promise, first, plant = PLANTED[name]
    shorter = mock.patch("tests.simulation.world.PEACE_SECONDS", 1200.0)
    with shorter, plant(), pytest.raises(Violation, match=f"^{promise}:"):
        for seed in range(first, first + 30):
            run_seed(seed)
