"""A candidate that beats the champion must also be no worse than former champions and pinned anchors."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import text
from sqlmodel import col, select

from ringrift.control.reconcile.evaluation import missing_tests
from ringrift.control.settings import Settings
from ringrift.control.store import promotion
from ringrift.control.store.tables import Evaluation, Event, Model, Promotion
from tests.control.stage import play_out, with_candidates
from tests.control.world import CONFIG, POLICY, World, small_policy, small_settings


async def champions(world: World, *names: str) -> list[str]:
    """Make these models champion, one after the other; return their hashes, the newest first."""
    models: list[str] = []
    for name in names:
        models[:0] = await with_candidates(world, name, champion=models[0] if models else None)
        await world.post("/promotions", {"config": CONFIG, "model": models[0]})
    return models


async def shown_by(world: World, model: str) -> list[tuple[str, str, str]]:
    """Return (purpose, opponent, state) of a model's tests, the oldest first."""
    query = select(Evaluation).where(Evaluation.candidate == model).order_by(col(Evaluation.registered_at))
    rows = await world.read(lambda s: s.exec(query).all())
    return [(row.registration["purpose"], row.opponent, row.state) for row in rows]


async def failed(world: World, model: str) -> dict[str, str]:
    """Return the failed conditions of a promotion with their reasons."""
    plan = await world.get(f"/promotions/{CONFIG}?model={model}")
    assert plan["allowed"] == all(item["passed"] for item in plan["conditions"])
    return {item["name"]: item["reason"] for item in plan["conditions"] if not item["passed"]}


async def test_after_the_champion_the_mirror_the_anchor_and_three_former_champions_are_played_in_this_order(
    world: World,
) -> None:
    await world.enable()
    fourth, *former = await champions(world, "a", "b", "c", "d")
    (model,) = await with_candidates(world, "e", champion=fourth, tests=1)
    missing = ["mirror", "anchor random", "former champion 1", "former champion 2", "former champion 3"]
    assert list(await failed(world, model)) == missing
    played = [("mirror", model), *(("non-inferiority", opponent) for opponent in ("random", *former))]
    for number, (purpose, opponent) in enumerate(played, 1):
        await world.reconcile("evaluation tests")
        assert (await shown_by(world, model))[number:] == [(purpose, opponent, "running")]
        why = await world.get(f"/why/{CONFIG}")
        assert f"test {number + 1} of 6" in why["sentence"]
        assert list(await failed(world, model)) == missing[number - 1 :]
        await world.restart()
        await play_out(world)
        await world.reconcile("evaluation verdicts")
    assert await failed(world, model) == {}
    made = await world.post("/promotions", {"config": CONFIG})
    assert [item["opponent"] for item in made["evidence"]] == [fourth, model, "random", *former]
    assert {item["policy"] for item in made["evidence"]} == {POLICY.label}


async def test_a_candidate_that_is_worse_than_a_former_champion_is_rejected_with_the_reason(
    world: World,
) -> None:
    second, first = await champions(world, "a", "b")
    (model,) = await with_candidates(world, "c", champion=second, tests=2)
    await world.reconcile("evaluation tests")
    await play_out(world, wins=False)
    await world.reconcile("evaluation verdicts", "evaluation tests")
    assert (await shown_by(world, model))[2:] == [("non-inferiority", "random", "rejected")]
    assert (await world.get(f"/models/{model}"))["state"] == "rejected"
    assert {"model state", "anchor random", "former champion 1"} == set(await failed(world, model))
    assert first not in {opponent for _, opponent, _ in await shown_by(world, model)}, "the rest is spared"
    assert any("was rejected: LLR" in fact for fact in (await world.get(f"/why/{CONFIG}"))["facts"])
    await world.reconcile("aliases")
    assert (await world.get(f"/models/{model}"))["aliases"] == []


async def test_a_candidate_whose_games_against_itself_are_uneven_is_rejected_with_the_reason(
    world: World,
) -> None:
    (model,) = await with_candidates(world, "a", tests=1)
    await world.reconcile("evaluation tests")
    await play_out(world, wins=False)
    await world.reconcile("evaluation verdicts")
    assert (await shown_by(world, model))[1:] == [("mirror", model, "rejected")]
    assert "verdict is rejected, reject, must be" in (await failed(world, model))["mirror"]


DAMAGES = {
    "UPDATE evaluation SET state = 'running' WHERE id = '{test}'": "verdict is running, accept, must be",
    "UPDATE evaluation SET candidate = '{first}' WHERE id = '{test}'": "it begins when the tests before",
    "UPDATE shard SET state = 'received' WHERE sha256 IN ({shards})": "replayed is 4 shards unverified",
    "DELETE FROM evaluation_block WHERE block = 0 AND evaluation = '{test}'": "verdict is accepted, continue",
    "DELETE FROM evaluation_block WHERE evaluation = '{test}'": "games is 0, must be 0 and > 0",
    "UPDATE evaluation_block SET wins = 0 WHERE evaluation = '{test}'": "verdict is accepted, reject",
    "UPDATE evaluation_block SET games = 1 WHERE evaluation = '{test}'": "games is 4, must be 8",
}


class UndoneError(Exception):
    """Takes a transaction back."""


async def test_a_test_without_all_that_it_rests_on_closes_the_gate_by_itself(world: World) -> None:
    second, first = await champions(world, "a", "b")
    (model,) = await with_candidates(world, "c", champion=second)
    assert await failed(world, model) == {}
    query = select(Evaluation.id).where(Evaluation.candidate == model, Evaluation.opponent == first)
    test = await world.read(lambda s: s.exec(query).one())
    shards = f"SELECT shard FROM evaluation_block WHERE evaluation = '{test}'"
    for damage, reason in DAMAGES.items():
        found = []

        def harmed(session, damage=damage, found=found) -> None:
            session.execute(text(damage.format(test=test, first=first, shards=shards)))
            found += promotion.plan_promotion(session, POLICY, CONFIG, model).conditions
            raise UndoneError

        with pytest.raises(UndoneError):
            await world.write(harmed)
        wrong = {item.name: item.reason for item in found if not item.passed}
        assert list(wrong) == ["former champion 1"], damage
        assert reason in wrong["former champion 1"], damage
    await world.write(
        lambda s: s.execute(text(f"UPDATE evaluation SET state = 'rejected' WHERE id = '{test}'"))
    )
    refused = await world.http.post("/v1/promotions", json={"config": CONFIG, "model": model})
    assert refused.status_code == 409 and "former champion 1 is" in refused.json()["error"]["message"]
    wish = {"config": CONFIG, "model": model, "override": True, "reason": "site is down"}
    assert (await world.post("/promotions", wish))["done"], "evidence is what a promoter may do without"


async def test_a_champion_whose_weights_are_gone_is_not_played_against(world: World) -> None:
    third, second, first = await champions(world, "a", "b", "c")
    await world.write(
        lambda s: s.execute(text(f"UPDATE artifact SET deleted_at = 1.0 WHERE sha256 = '{second}'"))
    )
    (model,) = await with_candidates(world, "d", champion=third)
    assert [opponent for _, opponent, _ in await shown_by(world, model)] == [third, model, "random", first]
    assert await failed(world, model) == {}


async def test_passing_the_test_against_a_champion_shows_that_it_is_not_worse_than_it(world: World) -> None:
    second, first = await champions(world, "a", "b")
    (model,) = await with_candidates(world, "c", champion=second)
    await world.post(f"/rollback/{CONFIG}")
    assert list(await failed(world, model)) == ["evaluation"], "now it must beat the first"
    await world.reconcile("evaluation tests")
    assert (await shown_by(world, model))[-1] == ("superiority", first, "running")
    assert [name for name in await failed(world, model) if name.startswith("former")] == []


async def test_of_fifty_promotions_of_two_proven_candidates_one_wins(world: World) -> None:
    second, _ = await champions(world, "a", "b")
    models = await with_candidates(world, "c", "d", champion=second)
    wishes = [{"config": CONFIG, "model": models[number % 2]} for number in range(50)]
    answers = await asyncio.gather(*(world.http.post("/v1/promotions", json=wish) for wish in wishes))
    (won,) = [answer.json() for answer in answers if answer.status_code == 200]
    assert won["generation"] == 3 and won["model"] in models
    lost = [answer for answer in answers if answer.status_code == 409]
    assert len(lost) == 49
    told = [answer.json()["error"]["message"] for answer in lost]
    assert sum(f"champion of {CONFIG} is {won['model'][:12]}" in message for message in told) == 24
    assert sum(f"must be against {won['model'][:12]}" in message for message in told) == 25


async def test_tests_of_a_promoted_candidate_are_not_played_on(world: World) -> None:
    second, _ = await champions(world, "a", "b")
    (model,) = await with_candidates(world, "c", champion=second, tests=1)
    await world.reconcile("evaluation tests")
    await world.post(
        "/promotions", {"config": CONFIG, "model": model, "override": True, "reason": "site is down"}
    )
    await world.reconcile("evaluation verdicts")
    assert (await shown_by(world, model))[-1] == ("mirror", model, "superseded")


async def test_decisions_and_registrations_keep_the_policy(world: World) -> None:
    (model,) = await champions(world, "a")
    event = await world.read(
        lambda s: s.exec(select(Event).where(Event.action == "champion.promote")).one().detail
    )
    (row,) = await world.read(lambda s: s.exec(select(Promotion)).all())
    registered = await world.read(lambda s: s.exec(select(Evaluation.registration)).all())
    assert event["policy"] == POLICY.identity
    assert [item["policy"] for item in registered] == [POLICY.identity] * 2
    assert POLICY.sha256 in {item["name"]: item for item in row.conditions}["policy"]["reason"]
    await with_candidates(world, "b", champion=model, blocks=2)
    await world.http.post("/v1/promotions", json={"config": CONFIG})
    refused = await world.read(
        lambda s: s.exec(select(Event).where(Event.action == "promotion.refused")).one().detail
    )
    assert refused["policy"] == POLICY.identity


class TestAnotherPolicy:
    """What was shown under one policy is nothing under another, and is shown anew."""

    @pytest.fixture
    def settings(self) -> Settings:
        return replace(small_settings(), gate=small_policy("# another\n"))

    async def test_a_candidate_is_tested_anew(self, world: World) -> None:
        await with_candidates(world, "a")
        (model,) = await with_candidates(world, "b", blocks=2, tests=1)
        found = await failed(world, model)
        assert set(found) == {"policy", "verdict", "mirror"}
        await world.reconcile("evaluation verdicts", "evaluation tests")
        rows = await shown_by(world, model)
        assert [state for _, _, state in rows] == ["superseded", "running"]
        registered = await world.read(
            lambda s: s.exec(select(Evaluation.registration).where(Evaluation.state == "running")).all()
        )
        assert [item["policy"] for item in registered] == [world.settings.gate.identity]

    async def test_what_runs_is_taken_up_again_when_the_old_policy_is_back(self, world: World) -> None:
        (model,) = await with_candidates(world, "a", blocks=2, tests=1)
        await world.reconcile("evaluation verdicts", "evaluation tests")
        world.context.settings = small_settings()
        await world.reconcile("evaluation verdicts", "evaluation tests")
        assert [state for _, _, state in await shown_by(world, model)] == ["running", "superseded"]

    async def test_a_test_from_before_there_were_policies_counts_no_more(self, world: World) -> None:
        (model,) = await with_candidates(world, "a", tests=1)

        def old(session) -> None:
            row = session.exec(select(Evaluation)).one()
            row.registration = {
                name: value for name, value in row.registration.items() if name not in ("policy", "purpose")
            }
            session.add(row)

        await world.write(old)
        assert "policy" in await failed(world, model)
        wanted = await world.read(lambda s: missing_tests(world.settings, s))
        assert [item.purpose for item in wanted] == ["superiority"]
        assert (await world.read(lambda s: s.get(Model, model))).state == "candidate"
