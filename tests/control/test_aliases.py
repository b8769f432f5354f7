"""`champion`, `challenger` and `previous` of each config always say what the rows say; lineage."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlmodel import col, select

from ringrift.cli.models import model_name
from ringrift.control.store.tables import Alias, Event
from ringrift.errors import RingRiftError
from tests.control.stage import with_candidates
from tests.control.world import CONFIG, World


async def names(world: World) -> dict[str, tuple[str, int]]:
    rows = await world.read(lambda s: s.exec(select(Alias).where(Alias.config == CONFIG)).all())
    return {row.name: (row.model, row.generation) for row in rows}


async def promote(world: World, model: str) -> None:
    await world.post("/promotions", {"config": CONFIG, "model": model})


async def test_the_challenger_is_the_newest_candidate_under_test_until_it_is_champion(world: World) -> None:
    _, newer = await with_candidates(world, "a", "b", blocks=2)
    await world.reconcile("aliases")
    assert await names(world) == {"challenger": (newer, 1)}
    assert (await world.get(f"/models/{newer}"))["aliases"] == ["challenger"]
    (accepted,) = await with_candidates(world, "c")
    await world.reconcile("aliases")
    assert (await names(world))["challenger"] == (accepted, 1)
    await promote(world, accepted)
    assert await names(world) == {"champion": (accepted, 1)}, "the others were tested against the anchor"
    await world.reconcile("aliases")
    assert await names(world) == {"champion": (accepted, 1)}


async def test_an_alias_names_its_model_where_a_hash_would(world: World) -> None:
    await with_candidates(world, "a")
    await world.reconcile("aliases")
    (challenger,) = [model for model, _ in (await names(world)).values()]
    assert (await world.get(f"/models/{CONFIG}@challenger"))["model"] == challenger
    plan = await world.get(f"/promotions/{CONFIG}?model={CONFIG}@challenger")
    assert (plan["model"], plan["allowed"]) == (challenger, True)
    for wrong in (f"{CONFIG}@champion", "hex8_3p@challenger", "@", f"{CONFIG}@"):
        assert (await world.http.get(f"/v1/models/{wrong}")).status_code == 404, wrong
    other = await world.http.get(f"/v1/promotions/hex8_3p?model={CONFIG}@challenger")
    assert other.status_code == 404 and "hex8_3p has no model" in other.json()["error"]["message"]


def test_the_command_line_takes_an_alias_alone_only_where_the_config_is_named() -> None:
    assert model_name("hex8_2p@previous") == "hex8_2p@previous"
    assert model_name("challenger", "hex8_2p") == "hex8_2p@challenger"
    assert model_name("hex8_3p@champion", "hex8_2p") == "hex8_3p@champion", "the controller refuses it"
    for wrong in ("challenger", "@champion", "hex8_2p@", "hex8_2p@latest", "abc@abcdef12"):
        with pytest.raises(RingRiftError):
            model_name(wrong)


@pytest.mark.parametrize(
    "end",
    [
        "UPDATE evaluation SET state = 'superseded'",
        "UPDATE evaluation SET state = 'rejected'",
        "UPDATE model SET state = 'rejected'",
    ],
)
async def test_a_candidate_that_lost_is_challenger_no_more(world: World, end: str) -> None:
    await with_candidates(world, "a", blocks=2)
    await world.reconcile("aliases")
    await world.write(lambda s: s.execute(text(end)))
    await world.reconcile("aliases")
    assert await names(world) == {}
    events = await world.read(lambda s: s.exec(select(Event).order_by(col(Event.id).desc()).limit(1)).one())
    assert (events.action, events.subject) == ("alias.moved", f"challenger of {CONFIG}")


async def test_previous_moves_with_every_promotion_and_rollback(world: World) -> None:
    (first,) = await with_candidates(world, "a")
    await promote(world, first)
    (second,) = await with_candidates(world, "b", champion=first)
    await world.reconcile("aliases")
    assert await names(world) == {"champion": (first, 1), "challenger": (second, 2)}
    await promote(world, second)
    assert await names(world) == {"champion": (second, 2), "previous": (first, 1)}
    await world.post(f"/rollback/{CONFIG}")
    assert await names(world) == {"champion": (first, 3), "previous": (second, 2)}


async def test_a_database_without_these_names_gets_them(world: World) -> None:
    (first,) = await with_candidates(world, "a")
    await promote(world, first)
    (second,) = await with_candidates(world, "b", champion=first)
    await promote(world, second)
    before = await names(world)
    await world.write(lambda s: s.execute(text("DELETE FROM alias WHERE name <> 'champion'")))
    await world.restart()
    await world.reconcile("aliases")
    assert await names(world) == before


async def test_a_model_shows_its_parents_with_their_generations(world: World) -> None:
    (first,) = await with_candidates(world, "a")
    await promote(world, first)
    (second,) = await with_candidates(world, "b", champion=first)
    await promote(world, second)
    (third,) = await with_candidates(world, "c", champion=second)
    found = (await world.get(f"/models/{third}"))["lineage"]
    assert [(item["model"], item["state"], item["generation"]) for item in found] == [
        (second, "champion", 2),
        (first, "retired", 1),
    ]
