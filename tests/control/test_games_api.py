"""Recorded games by id, and the files that hold them, for operators."""

from __future__ import annotations

import hashlib

from ringrift.control.store.tables import Game
from tests.control import stage
from tests.control.doubles import client, sha, shard
from tests.control.world import CONFIG, World


async def furnish(world: World) -> str:
    """Store a candidate with its games; return the id of the first one of its training data."""
    await stage.with_candidates(world, "one", blocks=1, tests=1)
    return sha(sha("data", "one"), 0)


async def test_a_game_is_found_by_the_beginning_of_its_id_with_the_shard_that_holds_it(world: World) -> None:
    game = await furnish(world)
    found = await world.get(f"/games/{game[:8]}")
    assert found == {
        "game_id": game, "shard": sha("data", "one"), "config": CONFIG, "purpose": "selfplay",
        "winner": 1, "plies": 60, "decisions": 40,
    }  # fmt: skip
    assert await world.get(f"/games/{game}") == found


async def test_games_are_listed_by_config_and_up_to_a_limit(world: World) -> None:
    game = await furnish(world)
    found = await world.get("/games")
    assert game in [each["game_id"] for each in found] and len(found) == 4
    assert found == await world.get(f"/games?config={CONFIG}")
    assert await world.get("/games?config=square19_4p") == []
    assert len(await world.get("/games?limit=3")) == 3
    assert (await world.http.get("/v1/games?limit=0")).status_code == 422


async def test_an_unknown_an_ambiguous_and_an_impossible_id_are_told_apart(world: World) -> None:
    game = await furnish(world)
    shard = sha("data", "one")
    facts = {"config": CONFIG, "purpose": "selfplay", "winner": 1, "plies": 1, "decisions": 1}
    twin = Game(game_id=game[:10] + "0" * 54, shard=shard, **facts)
    await world.write(lambda session: session.add(twin))
    for path, status, words in [
        ("/games/" + "0" * 12, 404, "no game '000000000000'"),
        (f"/games/{game[:8]}", 422, "is ambiguous"),
        ("/games/abc", 422, "is no game"),
        ("/games/ABCDEF0123", 422, "is no game"),
        (f"/games/{game}0", 422, "is no game"),
    ]:
        answer = await world.http.get(f"/v1{path}")
        assert answer.status_code == status, (path, answer.text)
        assert words in answer.json()["error"]["message"]


async def test_an_artifact_comes_byte_for_byte_and_only_with_the_token(world: World) -> None:
    content = shard("some games")
    digest = hashlib.sha256(content).hexdigest()
    alpha = await world.agent("alpha")
    await world.holds(alpha, digest)
    await alpha.upload(content)
    answer = await world.http.get(f"/v1/artifacts/{digest}")
    assert (answer.status_code, answer.content) == (200, content)
    assert (await client(world.operators_app).get(f"/v1/artifacts/{digest}")).status_code == 401
    assert (await client(world.operators_app).get(f"/v1/games/{digest}")).status_code == 401


async def test_what_is_no_artifact_is_refused(world: World) -> None:
    assert (await world.http.get(f"/v1/artifacts/{'0' * 64}")).status_code == 404
    for name in ("operator.token", "..%2f..%2foperator.token", "A" * 64):
        answer = await world.http.get(f"/v1/artifacts/{name}")
        assert answer.status_code in (422, 404) and "token" not in answer.json()["error"]["code"]
