"""Promotion: evidence, races, compare-and-set, rollback, and the audit row in the same transaction."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from sqlalchemy import text
from sqlmodel import col, select

from ringrift.control.store.store import Store
from ringrift.control.store.tables import Alias, Event, Model, Promotion
from ringrift.control.store.tokens import make_token
from ringrift.errors import Conflict
from tests.control.stage import with_candidates
from tests.control.world import CONFIG, POLICY, World


async def promote(world: World, model: str | None = None, **more: object):
    return await world.http.post("/v1/promotions", json={"config": CONFIG, "model": model, **more})


async def test_of_fifty_promotions_at_once_one_wins_and_the_others_learn_who(world: World) -> None:
    (model,) = await with_candidates(world, "a")
    answers = await asyncio.gather(*(promote(world, model, actor=f"op-{n}") for n in range(50)))
    won = [answer for answer in answers if answer.status_code == 200]
    lost = [answer for answer in answers if answer.status_code != 200]
    assert len(won) == 1 and won[0].json()["generation"] == 1
    for answer in lost:
        assert answer.status_code == 409 and answer.json()["error"]["code"] == "conflict"
        assert model[:12] in answer.json()["error"]["message"]
    rows = await world.read(lambda s: s.exec(select(Promotion)).all())
    assert len(rows) == 1
    assert rows[0].actor in lost[0].json()["error"]["message"]


async def test_of_fifty_promotions_of_two_models_one_model_wins_and_the_chain_is_one(world: World) -> None:
    models = await with_candidates(world, "a", "b")
    answers = await asyncio.gather(*(promote(world, models[n % 2]) for n in range(50)))
    assert [answer.status_code for answer in answers].count(200) == 1
    alias = await world.read(lambda s: s.exec(select(Alias)).one())
    states = await world.read(lambda s: {m.sha256: m.state for m in s.exec(select(Model)).all()})
    assert alias.generation == 1 and states[alias.model] == "champion"
    assert sorted(states.values()) == ["candidate", "champion"]


async def test_two_controllers_on_one_database_make_one_champion(world: World) -> None:
    from ringrift.control.api.routes.learning import promote_now
    from ringrift.protocol.operator import PromoteRequest

    (model,) = await with_candidates(world, "a")
    other = Store(world.url)
    wish = PromoteRequest(config=CONFIG, model=model)
    outcomes = await asyncio.gather(
        *(
            store.write("test", lambda s: promote_now(s, POLICY, wish))
            for store in (world.store, other)
            for _ in range(10)
        ),
        return_exceptions=True,
    )
    other.close()
    assert sum(not isinstance(outcome, BaseException) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 19


async def test_a_promotion_and_its_audit_row_stand_or_fall_together(world: World) -> None:
    (model,) = await with_candidates(world, "a")
    assert (await promote(world, model, actor="ann", reason="good")).status_code == 200
    event = await world.read(lambda s: s.exec(select(Event).order_by(col(Event.id).desc())).first())
    assert (event.action, event.subject, event.actor) == ("champion.promote", CONFIG, "operator: ann")
    assert event.detail["model"] == model and event.detail["reason"] == "good"
    evaluation = (await world.get("/evaluations"))[-1]
    assert event.detail["evaluation"] == evaluation["id"]
    assert (await world.get("/audit/verify"))["sound"]


async def test_a_promotion_without_evidence_is_refused_and_remembered(world: World) -> None:
    (model,) = await with_candidates(world, "a", blocks=2)
    refused = await promote(world, model)
    assert refused.status_code == 409 and refused.json()["error"]["code"] == "missing_evidence"
    assert "verdict is running, continue, must be accepted, accept" in refused.json()["error"]["message"]
    event = (await world.get("/events?limit=1"))[0]
    assert event["action"] == "promotion.refused"
    assert any(not condition["passed"] for condition in event["detail"]["conditions"])
    assert (await world.get(f"/configs/{CONFIG}"))["champion"] is None


async def test_a_promotion_without_any_candidate_says_what_is_missing(world: World) -> None:
    plan = (await promote(world, dry_run=True)).json()
    assert plan["model"] is None and not plan["allowed"]
    refused = await promote(world)
    assert refused.status_code == 409 and "model is none" in refused.json()["error"]["message"]


@pytest.mark.parametrize(
    ("damage", "condition"),
    [
        ("UPDATE shard SET state = 'received' WHERE purpose = 'evaluation'", "replayed"),
        ("UPDATE evaluation SET state = 'rejected'", "verdict"),
        ("UPDATE evaluation_block SET wins = 0", "verdict"),
        ("UPDATE model SET state = 'rejected'", "model state"),
        ("UPDATE dataset SET config = 'hex8_3p'", "data set"),
        ("DELETE FROM evaluation_block WHERE block = 0", "verdict"),
    ],
)
async def test_rows_that_do_not_bear_the_verdict_close_the_gate(
    world: World, damage: str, condition: str
) -> None:
    (model,) = await with_candidates(world, "a")
    assert (await promote(world, model, dry_run=True)).json()["allowed"]
    await world.write(lambda session: session.execute(text(damage)))
    plan = (await promote(world, model, dry_run=True)).json()
    assert condition in [item["name"] for item in plan["conditions"] if not item["passed"]]
    assert (await promote(world, model)).status_code == 409


async def test_a_test_that_was_changed_after_its_registration_is_no_evidence(world: World) -> None:
    (model,) = await with_candidates(world, "a")

    def loosen(session) -> None:
        from ringrift.control.store.tables import Evaluation

        row = session.exec(select(Evaluation).where(Evaluation.opponent == "random")).one()
        row.registration = {**row.registration, "test": {**row.registration["test"], "alpha": 0.4}}
        session.add(row)

    await world.write(loosen)
    plan = (await promote(world, model, dry_run=True)).json()
    assert [item["name"] for item in plan["conditions"] if not item["passed"]] == ["registered test"]


async def test_a_dry_run_changes_nothing(world: World) -> None:
    (model,) = await with_candidates(world, "a")
    before = await world.get("/events?limit=1")
    plan = (await promote(world, dry_run=True)).json()
    assert plan["allowed"] and not plan["done"] and plan["model"] == model
    assert plan["command"] == f"ringrift-ctl promote {CONFIG} {model[:12]}"
    assert await world.get("/events?limit=1") == [
        {**before[0], "age": pytest.approx(before[0]["age"], abs=60)}
    ]


async def test_the_expected_champion_is_compared(world: World) -> None:
    (model,) = await with_candidates(world, "a")
    wrong = await promote(world, model, expected_champion="0" * 64)
    assert wrong.status_code == 409 and "is nobody" in wrong.json()["error"]["message"]
    assert (await promote(world, model)).status_code == 200


async def test_evidence_against_a_former_champion_does_not_count(world: World) -> None:
    first, second = await with_candidates(world, "a", "b")
    assert (await promote(world, first)).status_code == 200
    refused = await promote(world, second)
    assert refused.status_code == 409
    assert "evaluation is none, must be against" in refused.json()["error"]["message"]


async def test_a_champion_is_followed_and_brought_back_again_and_again(world: World) -> None:
    (first,) = await with_candidates(world, "a")
    await promote(world, first)
    only = await world.post(f"/rollback/{CONFIG}", status=409)
    assert "no earlier champion" in only["error"]["message"]
    (second,) = await with_candidates(world, "b", champion=first)
    assert (await promote(world, second)).status_code == 200
    for expected, generation in ((first, 3), (second, 4)):
        assert (await world.post(f"/rollback/{CONFIG}?dry_run=true"))["done"] is False
        undone = await world.post(f"/rollback/{CONFIG}")
        assert (undone["model"], undone["generation"]) == (expected, generation)
    rows = await world.read(lambda s: s.exec(select(Promotion).order_by(col(Promotion.generation))).all())
    assert [row.generation for row in rows] == [1, 2, 3, 4]
    for earlier, later in itertools.pairwise(rows):
        assert later.previous == earlier.model, "the champions form one chain"


async def test_elo_adds_up_along_the_chain_of_champions(world: World) -> None:
    (first,) = await with_candidates(world, "a")
    await promote(world, first)
    one = (await world.get(f"/configs/{CONFIG}"))["elo"]
    (second,) = await with_candidates(world, "b", champion=first)
    await promote(world, second)
    two = (await world.get(f"/configs/{CONFIG}"))["elo"]
    assert two == pytest.approx(2 * one) and one > 0


async def test_models_are_found_by_the_beginning_of_their_hash(world: World) -> None:
    (model,) = await with_candidates(world, "a")
    assert (await world.get(f"/models/{model[:10]}"))["model"] == model
    assert (await promote(world, model[:10])).status_code == 200


class TestOverride:
    """A person may promote without evidence, never a model that does not fit; it is told for ever."""

    async def test_it_needs_a_model_and_a_reason(self, world: World) -> None:
        (model,) = await with_candidates(world, "a", blocks=2)
        for given in ({}, {"reason": " "}, {"reason": "site is down", "model": None}):
            answer = await promote(world, **{"model": model, "override": True, **given})
            assert answer.status_code == 422, answer.text
            assert "an override needs a model and a reason" in answer.json()["error"]["message"]

    async def test_it_is_stored_and_audited_as_what_it_is(self, world: World) -> None:
        (model,) = await with_candidates(world, "a", blocks=2)
        made = await promote(world, model, override=True, reason="site is down", actor="ann")
        assert made.status_code == 200 and made.json()["done"], made.text
        event = (await world.get("/events?limit=1"))[0]
        assert (event["action"], event["detail"]["reason"]) == ("champion.override", "site is down")
        row = await world.read(lambda s: s.exec(select(Promotion)).one())
        assert row.kind == "override" and any(not item["passed"] for item in row.conditions)

    async def test_a_promotion_with_evidence_is_none_whoever_asks_for_one(self, world: World) -> None:
        (model,) = await with_candidates(world, "a")
        await promote(world, model, override=True, reason="sure")
        assert (await world.read(lambda s: s.exec(select(Promotion)).one())).kind == "promote"

    async def test_what_a_model_is_cannot_be_overridden(self, world: World) -> None:
        (model,) = await with_candidates(world, "a")
        await world.write(lambda s: s.execute(text("UPDATE dataset SET config = 'hex8_3p'")))
        refused = await promote(world, model, override=True, reason="sure")
        assert refused.status_code == 409 and "data set is hex8_3p" in refused.json()["error"]["message"]

    async def test_an_operator_may_not(self, world: World) -> None:
        (model,) = await with_candidates(world, "a", blocks=2)
        _, secret = await world.write(lambda s: make_token(s, None, "operator", 600.0, "test"))
        wish = {"config": CONFIG, "model": model, "override": True, "reason": "site is down"}
        answer = await world.http.post(
            "/v1/promotions", json=wish, headers={"authorization": f"Bearer {secret}"}
        )
        assert answer.status_code == 403 and answer.json()["error"]["code"] == "forbidden"
        assert (await world.get(f"/configs/{CONFIG}"))["champion"] is None
