"""Failures of the former fleet that no other test shows to be impossible (`docs/FAILURES.md` lists all)."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import func, text
from sqlmodel import col, select

from ringrift.control.settings import Settings
from ringrift.control.store.jobs import queue_job
from ringrift.control.store.tables import Agent, Alias, Dataset, DatasetShard, Game, Job, Model, Result
from ringrift.protocol import agent as wire
from ringrift.protocol.jobs import PlayerSpec, SelfplaySpec
from tests.control.doubles import RELEASE, ScriptedAgent
from tests.control.stage import with_candidates
from tests.control.world import CONFIG, World, small_settings


@pytest.fixture
def settings() -> Settings:
    return small_settings(training={"min_positions": 300, "max_fruitless": 2})


async def beat(agent: ScriptedAgent, telemetry: str) -> int:
    """Send a heartbeat with this JSON text as telemetry; return the HTTP status."""
    words = {"version": "0.1.0", "release": RELEASE, "incarnation": agent.incarnation}
    body = json.dumps(words)[:-1] + f', "telemetry": {telemetry}}}'
    return (await agent.post(wire.BEAT, body.encode())).status_code


async def test_replaying_that_falls_behind_stops_self_play(world: World) -> None:
    agent = await world.agent("alpha")
    await world.enable()
    played = 0
    for _ in range(20):
        await world.reconcile("selfplay", "ingest")
        assignment = (await agent.lease("selfplay")).assignment
        if assignment is None:
            break
        await agent.do_job(assignment, world.work)
        played += 1
    limit, queued = 4 * world.settings.training.min_positions, world.settings.selfplay.queued_per_config
    assert limit <= played * 320 <= limit + queued * 320, "a job has 320 positions, and some waited already"
    why = await world.get(f"/why/{CONFIG}")
    assert f"{2 * played} shards to be replayed" in why["next_action"]
    assert "no live agent takes ingest jobs" in why["sentence"]


async def test_telemetry_that_cannot_be_true_is_unknown_and_the_heartbeat_counts(world: World) -> None:
    agent = await world.agent("alpha")
    garbage = (
        '{"cpus": -3, "load": "fast", "cpu_percent": 4711.0, "memory_total": 100, "memory_used": 101,'
        ' "disk_total": null, "disk_used": 7, "gpu": ["x"], "gpu_percent": -1, "gpu_memory_used": 1e400}'
    )
    before = await world.read(lambda s: s.get(Agent, agent.id).beat_at)
    assert await beat(agent, garbage) == 200
    shown = (await world.get("/hosts/alpha"))["telemetry"]
    assert {name for name, value in shown.items() if value is not None} == {"memory_total", "disk_used"}
    assert await world.read(lambda s: s.get(Agent, agent.id).beat_at) > before
    assert await beat(agent, '{"memory_total": 100, "memory_used": 100, "gpu_percent": 100}') == 200
    shown = (await world.get("/hosts/alpha"))["telemetry"]
    assert (shown["memory_used"], shown["gpu_percent"], shown["disk_used"]) == (100, 100, None)


async def test_what_a_host_says_about_its_own_counts_changes_no_total(world: World) -> None:
    alpha, beta = await world.agent("alpha"), await world.agent("beta")
    for seed in (1, 2):
        spec = SelfplaySpec(
            config=CONFIG, player=PlayerSpec(kind="random"), shards=2, games_per_shard=4, seed=seed
        )
        await world.write(lambda s, spec=spec: queue_job(s, spec, f"selfplay:{spec.seed}"))
    for agent in (alpha, beta):
        assignment = (await agent.lease("selfplay")).assignment
        assert assignment is not None
        assert (await agent.do_unit(assignment, 0, world.work)).accepted
        boast = wire.Progress(assignment=assignment.assignment, epoch=1, done=1e6, total=1e6, unit="games")
        assert (await agent.beat(boast)).standing[0].alive
    receipts = (await world.get("/status"))["receipts"]
    assert (receipts["games_receipted"], receipts["games_stored"]) == (8, 8)
    assert len(await world.read(lambda s: s.exec(select(Result)).all())) == 2


async def test_the_descent_of_a_model_is_that_of_its_job_and_its_numbers_are_those_of_the_rows(
    world: World,
) -> None:
    agent = await world.agent("alpha")
    await world.enable()

    async def made() -> bool:
        return bool(await world.get("/models"))

    await world.run_until([agent], made)
    model = await world.read(lambda s: s.exec(select(Model)).one())
    spec = (await world.read(lambda s: s.get(Job, model.job))).spec
    assert (model.dataset, model.parent) == (spec["dataset"], spec["parent"])
    counted = select(func.count(), func.sum(Game.decisions)).join(
        DatasetShard, col(DatasetShard.shard) == col(Game.shard)
    )
    games, positions = await world.read(
        lambda s: s.exec(counted.where(DatasetShard.dataset == model.dataset)).one()
    )
    dataset = await world.read(lambda s: s.get(Dataset, model.dataset))
    assert (dataset.games, dataset.positions) == (games, positions) and games > 0


async def test_a_config_stops_after_some_runs_without_gain_until_it_is_enabled_anew(world: World) -> None:
    async def goes_on() -> bool:
        conditions = (await world.get(f"/why/{CONFIG}"))["conditions"]
        return {item["name"]: item["passed"] for item in conditions}["runs without gain"]

    await world.enable()
    first, _ = await with_candidates(world, "a", "b", blocks=1)
    await world.write(
        lambda s: s.execute(text("UPDATE model SET state = 'rejected' WHERE sha256 = :sha"), {"sha": first})
    )
    assert await goes_on(), "one of two"
    await world.write(lambda s: s.execute(text("UPDATE model SET state = 'rejected'")))
    assert not await goes_on()
    await world.post(f"/configs/{CONFIG}/enabled", {"enabled": False})
    await world.enable()
    assert await goes_on(), "a person let it begin anew"
    await world.write(lambda s: s.execute(text("UPDATE config SET changed_at = 1")))
    assert not await goes_on()
    champion = Alias(name="champion", config=CONFIG, model=first, generation=1, changed_at=1e12)
    await world.write(lambda s: s.add(champion))
    assert await goes_on(), "there was a gain"
