"""A promotion reaches real targets, and a broken candidate does not: one stand, one controller, two services.

`python -m benchmarks.rollout --broken` brings every kind of broken candidate to six.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.load.broken import tried
from tests.load.drifting import mended, shown
from tests.load.history import wrong
from tests.load.stand import Stand, standing
from tests.load.swaps import Changes, shooting, shots, told

pytestmark = [pytest.mark.timeout(600), pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stand(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stand]:
    """Two targets that serve a champion."""
    async with standing(tmp_path_factory.mktemp("stand"), 2) as made:
        await made.promote(await made.model(0))
        view = await made.deploy()
        assert view["state"] == "succeeded", view["reason"]
        yield made


def details(view: dict[str, Any], step: str) -> set[str]:
    return {
        found["detail"]
        for operation in view["operations"]
        for found in operation["steps"]
        if found["name"] == step
    }


async def test_a_challenger_that_waits_is_served_everywhere_without_being_proven_again(stand: Stand) -> None:
    model = await stand.model(1)
    await stand.staged(model)
    await stand.promote(model)
    view = await stand.deploy()
    assert view["state"] == "succeeded", view["reason"]
    assert details(view, "verify") == {"check canonical_hex8_2p.pth"}
    assert {served and served.model for served in (await stand.serving()).values()} == {model}


async def test_under_requests_promotions_and_rollbacks_lose_none_and_each_answer_is_the_champions(
    stand: Stand, tmp_path: Path
) -> None:
    (champion,) = {served.model for served in (await stand.serving()).values() if served}
    challenger = await stand.model(2)
    await stand.staged(challenger)
    changes = Changes(stand, champion, challenger)
    async with shooting(stand, tmp_path / "shots", 20.0):
        for _ in range(4):
            await changes.swap()
    found, orders = shots(tmp_path / "shots"), await stand.store.read(lambda s: told(s, stand))
    assert {shot.model for shot in found} == {"-", champion, challenger}
    assert [shot for shot in found if shot.status != 200 or shot.tries > 1] == []
    assert wrong(found, orders) == []


@pytest.mark.parametrize(
    ("name", "says", "touched"),
    [
        ("bad bytes", "it was not sent", ()),
        ("older generation", "generation 0 is older than", ("t1",)),
    ],
)
async def test_a_broken_candidate_halts_at_the_first_target_and_all_is_as_before(
    stand: Stand, name: str, says: str, touched: tuple[str, ...]
) -> None:
    outcome = await tried(stand, name)
    assert outcome.state == "failed" and says in outcome.reason
    assert outcome.targets == {"t1": "rolled_back", "t2": "skipped"}
    assert outcome.touched == touched


async def test_an_edited_file_is_shown_and_mended_by_the_next_deployment(stand: Stand) -> None:
    kept = await stand.serving()
    _, view = await shown(stand, "t1", "an edited file")
    assert any("the manifest says" in issue for issue in view["issues"])
    await mended(stand)
    assert await stand.serving() == kept
