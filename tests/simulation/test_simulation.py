"""The fleet under seeded trouble: promises hold, a seed repeats itself, and planted errors are found."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import pytest

from ringrift.control.store import beats, events, fleet, jobs
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


def _anybody_holds(session: Any, agent_id: str, assignment_id: str, epoch: int) -> Any:
    return session.get(beats.Assignment, assignment_id)


def _silence_is_death(session: Any, name: str, reason: str, *, blocked: bool = False) -> None:
    fleet.set_state(session, fleet.get_host(session, name), "quarantined", reason)


PLANTED: dict[str, tuple[str, Callable[[], Any]]] = {
    "a change without its audit row": ("P10", lambda: mock.patch.object(jobs, "record", _forgetful_record)),
    "a receipt before the commit": (
        "P1",
        lambda: mock.patch.object(SimStore, "write", _answered_before_the_commit),
    ),
    "leases that never end": (
        "P6",
        lambda: mock.patch.object(jobs, "overdue_assignments", lambda session: []),
    ),
    "silence taken for death": ("P8", lambda: mock.patch.object(fleet, "tunnel_lost", _silence_is_death)),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_error_is_found_and_named(name: str) -> None:
    promise, plant = PLANTED[name]
    with plant(), pytest.raises(Violation, match=promise):
        for seed in range(60):
            run_seed(seed)
