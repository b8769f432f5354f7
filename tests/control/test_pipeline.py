"""The whole way of the data, from self-play to a served champion, with every stage's rows."""

from __future__ import annotations

from tests.control.doubles import HOST_KEY, RELEASE, ScriptedAgent
from tests.control.world import CONFIG, World


async def provisioned(world: World, *names: str) -> list[ScriptedAgent]:
    """Add hosts and provision them through the operators' API, with agents that enrol and beat."""
    agents = {name: ScriptedAgent(world.agents_app, name) for name in names}

    async def started(host, token) -> None:
        agent = agents[host.name]
        answer = await agent.enrol(token)
        assert answer.status_code == 200

    world.fleet.after_provision = started
    for name in names:
        body = {
            "name": name,
            "user": "trainer",
            "address": "127.0.0.2",
            "host_key": HOST_KEY,
            "confirmed_by": "fingerprint",
        }
        await world.post("/hosts", body)
        operation = await world.post(f"/hosts/{name}/provision")
        await world.reconcile("operations")
        while (await world.get(f"/operations/{operation['id']}"))["state"] == "running":
            await world.reconcile("tunnels")
            if agents[name].id:
                await agents[name].beat(release=RELEASE)
    return list(agents.values())


async def champion(world: World) -> dict | None:
    return (await world.get(f"/configs/{CONFIG}"))["champion"]


async def proven(world: World) -> bool:
    return bool((await world.get(f"/promotions/{CONFIG}"))["allowed"])


async def test_games_become_a_champion_that_is_served(world: World) -> None:
    agents = await provisioned(world, "alpha", "beta")
    await world.enable()
    await world.run_until(agents, lambda: proven(world))

    why = await world.get(f"/why/{CONFIG}")
    assert "passed its tests" in why["sentence"]
    plan = await world.get(f"/promotions/{CONFIG}")
    assert plan["allowed"] and not plan["done"] and plan["champion"] is None
    assert all(condition["passed"] for condition in plan["conditions"])

    made = await world.post("/promotions", {"config": CONFIG, "reason": "first"})
    assert made["done"] and made["generation"] == 1
    assert (await champion(world))["model"] == made["model"]

    await world.post("/targets", {"name": "front", "host": "alpha", "port": 9000})
    deployment = await world.post("/deployments", {})
    await world.finish_deployments()
    deployment = await world.get(f"/deployments/{deployment['id']}")
    assert deployment["state"] == "succeeded"
    target = await world.get("/targets/front")
    assert target["state"] == "serving"
    assert target["models"] == [{"config": CONFIG, "desired": made["model"], "serving": made["model"]}]

    receipts = (await world.get("/status"))["receipts"]
    assert receipts["games_receipted"] == receipts["games_stored"] > 0
    assert await world.get("/audit/verify") == {
        "rows": (await world.get("/events?limit=1"))[-1]["id"],
        "sound": True,
        "first_bad": None,
    }


async def test_the_second_champion_beats_the_first_and_rollback_brings_the_first_back(world: World) -> None:
    agents = [await world.agent("alpha"), await world.agent("beta")]
    await world.enable()
    await world.run_until(agents, lambda: proven(world))
    first = (await world.post("/promotions", {"config": CONFIG}))["model"]

    await world.run_until(agents, lambda: proven(world))
    second = await world.post("/promotions", {"config": CONFIG, "expected_champion": first})
    assert second["generation"] == 2 and second["champion"] == first
    assert [item["opponent"] for item in second["evidence"]] == [first, second["model"], "random"]
    models = {model["model"]: model for model in await world.get(f"/models?config={CONFIG}")}
    assert models[first]["state"] == "retired" and models[second["model"]]["state"] == "champion"
    assert models[second["model"]]["parent"] == first

    plan = await world.post(f"/rollback/{CONFIG}?dry_run=true")
    assert plan["model"] == first and plan["allowed"] and not plan["done"]
    undone = await world.post(f"/rollback/{CONFIG}")
    assert undone["done"] and undone["generation"] == 3 and undone["model"] == first
    assert (await champion(world))["model"] == first


async def test_self_play_uses_the_champion_as_soon_as_there_is_one(world: World) -> None:
    agents = [await world.agent("alpha")]
    await world.enable()
    await world.run_until(agents, lambda: proven(world))
    model = (await world.post("/promotions", {"config": CONFIG}))["model"]
    await world.reconcile_pipeline()
    reply = await agents[0].lease("selfplay")
    assert reply.assignment is not None
    assert reply.assignment.spec["player"]["model"] == model


async def test_a_losing_candidate_is_rejected_and_is_never_promoted(world: World) -> None:
    world.work.candidate_wins = False
    agents = [await world.agent("alpha")]
    await world.enable()

    async def rejected() -> bool:
        return bool(await world.get("/evaluations?state=rejected"))

    await world.run_until(agents, rejected)
    model = (await world.get("/models"))[0]
    assert model["state"] == "rejected"
    refusal = await world.post("/promotions", {"config": CONFIG, "model": model["model"]}, status=409)
    assert refusal["error"]["code"] == "missing_evidence"
    assert "verdict" in refusal["error"]["message"]
    assert await champion(world) is None


async def test_another_pass_changes_nothing_when_nothing_happened(world: World) -> None:
    agents = [await world.agent("alpha")]
    await world.enable()
    await world.run_until(agents, lambda: proven(world))
    before = (await world.get("/events?limit=1"))[-1]["id"]
    assert await world.reconcile() <= 2
    assert (await world.get("/events?limit=1"))[-1]["id"] == before
