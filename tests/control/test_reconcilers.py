"""The pipeline's reconcilers, one by one, each also over a restart of the controller in the middle."""

from __future__ import annotations

import asyncio
import logging

import pytest
from sqlalchemy import text
from sqlmodel import col, select

from ringrift.control.leadership import Leadership, take_over
from ringrift.control.reconcile import evaluation as evaluation_reconciler
from ringrift.control.reconcile.base import Complaints, Reconciler, rest, run_forever
from ringrift.control.reconcile.table import RECONCILERS
from ringrift.control.settings import Settings
from ringrift.control.store.operations import Superseded, current_epoch
from ringrift.control.store.store import Store
from ringrift.control.store.tables import Dataset, DatasetShard, Evaluation, Job, Model, Shard
from tests.control.doubles import ScriptedAgent
from tests.control.stage import with_candidates
from tests.control.world import CONFIG, World, small_settings


async def jobs(world: World, kind: str, *states: str) -> list[Job]:
    def work(session) -> list[Job]:
        query = select(Job).where(Job.kind == kind).order_by(col(Job.created_at), col(Job.id))
        return [job for job in session.exec(query).all() if not states or job.state in states]

    return await world.read(work)


async def play(world: World, agent: ScriptedAgent, *kinds: str) -> bool:
    """Let an agent do one job; return whether there was one."""
    reply = await agent.lease(*kinds)
    if reply.assignment is None:
        return False
    await agent.do_job(reply.assignment, world.work)
    return True


async def until_candidate(world: World, agent: ScriptedAgent) -> Model:
    async def made() -> bool:
        return bool(await world.get("/models"))

    await world.run_until([agent], made)
    return await world.read(lambda s: s.exec(select(Model)).one())


async def reconnect(world: World, agent: ScriptedAgent) -> None:
    """Restart the controller and let the agent find it again."""
    await world.restart()
    agent.http = ScriptedAgent(world.agents_app, agent.host).http
    await agent.beat()


# --- self-play -------------------------------------------------------------------------------------


async def test_self_play_waits_for_enabled_configs_only_and_no_more_than_the_slots_need(world: World) -> None:
    await world.agent("alpha", slots=6)
    await world.reconcile("selfplay")
    assert await jobs(world, "selfplay") == []
    await world.enable()
    await world.enable("hex8_3p")
    await world.reconcile("selfplay")
    queued = await jobs(world, "selfplay", "queued")
    assert sorted(job.config for job in queued) == ["hex8_2p"] * 3 + ["hex8_3p"] * 3
    assert len({job.spec["seed"] for job in queued}) == 6
    assert all(job.spec["player"]["model"] is None for job in queued), "the heuristic teaches first"
    await reconnect_all(world)
    await world.reconcile("selfplay")
    assert len(await jobs(world, "selfplay", "queued")) == 6


async def reconnect_all(world: World) -> None:
    await world.restart()


async def test_disabling_a_config_cancels_what_waits_and_leaves_what_runs(world: World) -> None:
    agent = await world.agent("alpha", slots=2)
    await world.enable()
    await world.reconcile("selfplay")
    running = (await agent.lease()).assignment
    await world.post(f"/configs/{CONFIG}/enabled", {"enabled": False})
    await world.reconcile("selfplay")
    assert [job.id for job in await jobs(world, "selfplay", "leased")] == [running.job]
    assert await jobs(world, "selfplay", "queued") == []
    assert all("not enabled" in job.reason for job in await jobs(world, "selfplay", "cancelled"))


async def test_self_play_of_a_former_champion_is_cancelled(world: World) -> None:
    await with_candidates(world, "a")
    await world.enable()
    await world.reconcile("selfplay")
    model = (await world.post("/promotions", {"config": CONFIG}))["model"]
    await world.reconcile("selfplay")
    assert {job.spec["player"]["model"] for job in await jobs(world, "selfplay", "queued")} == {model}
    assert [job.reason for job in await jobs(world, "selfplay", "cancelled")] == [
        "another model is champion now"
    ]


async def test_self_play_pauses_when_there_is_plenty_of_fresh_data(world: World) -> None:
    agent = await world.agent("alpha")
    await world.enable()
    for _ in range(30):
        await world.reconcile("selfplay", "ingest")
        if not await play(world, agent, "ingest", "selfplay"):
            break
    why = await world.get(f"/configs/{CONFIG}")
    assert why["fresh_positions"] >= 4 * world.settings.training.min_positions
    assert await jobs(world, "selfplay", "queued", "leased") == []


# --- ingest ----------------------------------------------------------------------------------------


async def test_every_received_shard_gets_one_ingest_that_its_producer_should_not_do(world: World) -> None:
    agent = await world.agent("alpha")
    await world.enable()
    await world.reconcile("selfplay")
    await play(world, agent, "selfplay")
    await world.reconcile("ingest")
    await reconnect(world, agent)
    await world.reconcile("ingest")
    queued = await jobs(world, "ingest")
    shards = await world.read(lambda s: s.exec(select(Shard)).all())
    assert sorted(job.spec["shard"] for job in queued) == sorted(shard.sha256 for shard in shards)
    assert {job.avoid for job in queued} == {agent.id}


async def test_sound_shards_count_and_refused_ones_do_not(world: World) -> None:
    alpha, beta = await world.agent("alpha"), await world.agent("beta")
    await world.enable()
    await world.reconcile("selfplay")
    await play(world, alpha, "selfplay")
    bad = min(world.work.shards)
    world.work.unsound.add(bad)
    await world.reconcile("ingest")
    while await play(world, beta, "ingest"):
        pass
    rows = await world.read(lambda s: {x.sha256: (x.state, x.reason) for x in s.exec(select(Shard)).all()})
    assert rows[bad] == ("refused", "game 3: illegal move")
    assert sorted(state for state, _ in rows.values()) == ["refused", "sound"]
    receipts = (await world.get("/status"))["receipts"]
    assert (receipts["games_ingested"], receipts["games_refused"]) == (4, 4)
    config = await world.get(f"/configs/{CONFIG}")
    assert (config["games"], config["positions"], config["fresh_positions"]) == (4, 160, 160)


async def test_a_replay_that_contradicts_the_producer_refuses_the_shard(world: World) -> None:
    alpha, beta = await world.agent("alpha"), await world.agent("beta")
    await world.enable()
    await world.reconcile("selfplay")
    await play(world, alpha, "selfplay")
    name = min(world.work.shards)
    world.work.shards[name] = [{**game, "winner": 2} for game in world.work.shards[name]]
    await world.reconcile("ingest")
    while await play(world, beta, "ingest"):
        pass
    shard = await world.read(lambda s: s.get(Shard, name))
    assert shard.state == "refused" and "reported otherwise than its replay" in shard.reason


async def test_a_shard_whose_ingest_was_given_up_waits_for_a_retry_and_is_refused_when_cancelled(
    world: World,
) -> None:
    alpha = await world.agent("alpha")
    await world.enable()
    await world.reconcile("selfplay")
    await play(world, alpha, "selfplay")
    await world.reconcile("ingest")
    await world.write(
        lambda s: s.execute(text("UPDATE job SET state='quarantined', reason='boom' WHERE kind='ingest'"))
    )
    await world.reconcile("ingest")
    assert {shard.state for shard in await world.read(lambda s: s.exec(select(Shard)).all())} == {"received"}
    retried, cancelled = (job.id for job in await jobs(world, "ingest"))
    await world.post(f"/jobs/{retried}/retry", {"actor": "ann"})
    await world.post(f"/jobs/{cancelled}/cancel", {"actor": "ann", "reason": "poor games"})
    await play(world, alpha, "ingest")
    await world.reconcile("ingest")
    shards = await world.read(lambda s: s.exec(select(Shard).order_by(col(Shard.state))).all())
    assert [shard.state for shard in shards] == ["refused", "sound"]
    assert "cancelled: poor games" in shards[0].reason


# --- training --------------------------------------------------------------------------------------


async def test_a_training_has_a_frozen_data_set_and_only_resolved_hashes(world: World) -> None:
    agent = await world.agent("alpha")
    await world.enable()
    while not await jobs(world, "train"):
        await world.reconcile_pipeline()
        await play(world, agent, "ingest", "selfplay")
        await world.reconcile("training")
    (job,) = await jobs(world, "train")
    dataset = await world.read(lambda s: s.get(Dataset, job.spec["dataset"]))
    members = await world.read(
        lambda s: list(s.exec(select(DatasetShard.shard).order_by(col(DatasetShard.position))).all())
    )
    assert job.spec["shards"] == members == sorted(members)
    assert job.spec["parent"] is None, "from scratch is said explicitly"
    assert dataset.positions >= 300 and dataset.games * 40 == dataset.positions
    assert dataset.statistics["soft_target_share"] == pytest.approx(0.5)
    assert sum(dataset.statistics["wins_by_seat"].values()) == dataset.games
    config = await world.get(f"/configs/{CONFIG}")
    assert config["fresh_positions"] == 0 and config["training"] == f"{job.id} queued"
    await reconnect(world, agent)
    await world.reconcile_pipeline()
    assert len(await jobs(world, "train")) == 1


async def test_a_training_waits_for_each_condition_and_why_tells_which(world: World) -> None:
    agent = await world.agent("alpha")
    assert "not enabled" in (await world.get(f"/why/{CONFIG}"))["sentence"]
    await world.enable()
    why = await world.get(f"/why/{CONFIG}")
    assert why["sentence"].startswith("fresh positions is 0, and a training needs >= 300")
    assert {item["name"]: item["passed"] for item in why["conditions"]}["fresh positions"] is False
    while (await world.get(f"/configs/{CONFIG}"))["fresh_positions"] < 300:
        await world.reconcile("selfplay", "ingest")
        await play(world, agent, "ingest", "selfplay")
    await world.write(lambda s: s.execute(text("UPDATE shard SET received_at = received_at - 90000")))
    await world.reconcile("training")
    assert await jobs(world, "train") == []
    why = await world.get(f"/why/{CONFIG}")
    failed = {item["name"]: item["value"] for item in why["conditions"] if not item["passed"]}
    assert failed["data age"] == "25.0 h"


async def test_positions_that_grew_old_do_not_stop_self_play(world: World) -> None:
    agent = await world.agent("alpha")
    await world.enable()
    for _ in range(30):
        await world.reconcile("selfplay", "ingest")
        if not await play(world, agent, "ingest", "selfplay"):
            break
    assert await jobs(world, "selfplay", "queued") == []
    await world.write(lambda s: s.execute(text("UPDATE shard SET received_at = received_at - 90000")))
    await world.reconcile("selfplay")
    assert await jobs(world, "selfplay", "queued")
    assert (await world.get(f"/configs/{CONFIG}"))["fresh_positions"] == 0


async def test_a_failed_training_is_told_and_needs_new_data(world: World) -> None:
    agent = await world.agent("alpha")
    await world.enable()
    while not await jobs(world, "train"):
        await world.reconcile_pipeline()
        await play(world, agent, "ingest", "selfplay")
    for _ in range(3):
        assignment = (await agent.lease("train")).assignment
        await agent.finish(assignment, "failed", "loss is not a number")
    await world.reconcile_pipeline()
    assert len(await jobs(world, "train")) == 1
    assert any("loss is not a number" in fact for fact in (await world.get(f"/why/{CONFIG}"))["facts"])


# --- evaluation ------------------------------------------------------------------------------------


async def test_a_candidates_test_is_registered_before_its_first_game(world: World) -> None:
    agent = await world.agent("alpha")
    await world.enable()
    model = await until_candidate(world, agent)
    await world.reconcile("evaluation tests")
    (row,) = await world.read(lambda s: s.exec(select(Evaluation)).all())
    assert (row.candidate, row.opponent, row.state) == (model.sha256, "random", "running")
    assert row.registration["test"]["players"] == 2
    events = await world.get("/events?limit=1000")
    registered = [event["id"] for event in events if event["action"] == "evaluation.registered"]
    handed_out = [
        event["id"]
        for event in events
        if event["action"] == "job.queued" and event["detail"]["kind"] == "evaluate"
    ]
    assert len(registered) == 1 and all(registered[0] < number for number in handed_out)
    await reconnect(world, agent)
    await world.reconcile("evaluation tests", "evaluation blocks")
    assert len(await world.read(lambda s: s.exec(select(Evaluation)).all())) == 1
    specs = [job.spec for job in await jobs(world, "evaluate")]
    assert [(spec["first_block"], spec["blocks"]) for spec in specs] == [(0, 2), (2, 2)]
    assert {spec["evaluation"] for spec in specs} == {row.id}
    assert {spec["opponent"]["kind"] for spec in specs} == {"random"}


async def test_a_verdict_waits_until_every_counted_game_was_replayed(world: World) -> None:
    agent = await world.agent("alpha")
    await world.enable()
    await until_candidate(world, agent)
    await world.reconcile("evaluation tests", "evaluation blocks")
    for _ in range(40):
        if not await play(world, agent, "evaluate"):
            break
        await world.reconcile("evaluation blocks", "evaluation verdicts")
    (view,) = await world.get("/evaluations")
    assert view["state"] == "running" and view["llr"] >= view["upper"]
    assert "replayed" in (await world.get(f"/why/{CONFIG}"))["next_action"]
    await reconnect(world, agent)
    await world.reconcile("ingest")
    while await play(world, agent, "ingest"):
        pass
    await world.reconcile("evaluation verdicts")
    (view,) = await world.get("/evaluations")
    assert view["state"] == "accepted"
    assert view["score"] == 1.0 and view["games"] == 2 * view["blocks"]
    assert view["seats"] == {"1": [view["blocks"]] * 2, "2": [view["blocks"]] * 2}
    assert await jobs(world, "evaluate", "queued", "leased") == []


async def test_evaluation_games_are_counted_but_never_trained_on(world: World) -> None:
    agent = await world.agent("alpha")
    await world.enable()

    async def accepted() -> bool:
        return bool(await world.get("/evaluations?state=accepted"))

    await world.run_until([agent], accepted)
    purposes = await world.read(lambda s: {x.sha256: x.purpose for x in s.exec(select(Shard)).all()})
    used = await world.read(lambda s: s.exec(select(DatasetShard.shard)).all())
    assert {purposes[name] for name in used} == {"selfplay"}
    assert set(purposes.values()) == {"selfplay", "evaluation"}


async def test_a_refused_block_rejects_the_candidate_and_why_tells_the_reason(world: World) -> None:
    agent = await world.agent("alpha")
    await world.enable()
    await until_candidate(world, agent)
    await world.reconcile("evaluation tests", "evaluation blocks")
    await play(world, agent, "evaluate")
    blocks = await world.read(
        lambda s: [x.sha256 for x in s.exec(select(Shard).where(Shard.purpose == "evaluation")).all()]
    )
    world.work.unsound.update(blocks)
    await world.reconcile("ingest")
    while await play(world, agent, "ingest"):
        pass
    await world.reconcile("evaluation verdicts")
    (row,) = await world.read(lambda s: s.exec(select(Evaluation)).all())
    assert row.state == "rejected" and "a block's games were refused: game 3: illegal move" in row.reason
    assert (await world.get("/models"))[0]["state"] == "rejected"
    facts = (await world.get(f"/why/{CONFIG}"))["facts"]
    assert any("was rejected" in fact and "game 3: illegal move" in fact for fact in facts)


async def test_a_test_whose_job_was_given_up_waits_for_a_retry_and_why_says_so(world: World) -> None:
    agent = await world.agent("alpha")
    await world.enable()
    await until_candidate(world, agent)
    await world.reconcile("evaluation tests", "evaluation blocks")
    given_up = set()
    while (assignment := (await agent.lease("evaluate")).assignment) is not None:
        await agent.finish(assignment, "failed", "search hung")
        given_up.add(assignment.job)
    await world.reconcile("evaluation blocks", "evaluation verdicts")
    assert {job.id for job in await jobs(world, "evaluate")} == given_up, "no block is handed out anew"
    assert {job.state for job in await jobs(world, "evaluate")} == {"failed"}
    why = await world.get(f"/why/{CONFIG}")
    assert "search hung" in why["sentence"] and "jobs retry" in why["next_action"]
    for name in given_up:
        await world.post(f"/jobs/{name}/retry", {"actor": "ann"})

    async def accepted() -> bool:
        return bool(await world.get("/evaluations?state=accepted"))

    await world.run_until([agent], accepted)


async def test_a_new_champion_supersedes_running_tests_and_a_rollback_takes_them_up_again(
    world: World,
) -> None:
    first, waiting = await with_candidates(world, "a", "b", blocks=8)
    await world.write(
        lambda s: s.execute(text(f"UPDATE evaluation SET state='running' WHERE candidate='{waiting}'"))
    )
    await world.write(
        lambda s: s.execute(text("UPDATE shard SET state='received' WHERE purpose='evaluation'"))
    )
    await world.write(
        lambda s: s.execute(
            text(
                "UPDATE shard SET state='sound' WHERE sha256 IN (SELECT b.shard FROM evaluation_block b "
                f"JOIN evaluation e ON e.id = b.evaluation WHERE e.candidate='{first}')"
            )
        )
    )
    await world.post("/promotions", {"config": CONFIG, "model": first})
    await world.reconcile("evaluation verdicts", "evaluation tests")
    rows = await world.read(lambda s: s.exec(select(Evaluation).where(Evaluation.candidate == waiting)).all())
    assert {(row.opponent, row.state) for row in rows} == {
        ("random", "superseded"), (first, "running"), (waiting, "running"),
    }  # fmt: skip
    assert (await world.get(f"/models/{waiting}"))["state"] == "candidate"
    found = await world.read(lambda s: evaluation_reconciler.missing_tests(world.settings, s))
    assert found == []


# --- the loop itself -------------------------------------------------------------------------------


async def test_a_failing_reconciler_is_retried_and_does_not_end_the_controller(world: World, caplog) -> None:
    calls = 0
    worked = asyncio.Event()

    async def step(context) -> bool:
        nonlocal calls
        calls += 1
        if calls < 4:
            raise RuntimeError("the same fault")
        worked.set()
        return False

    caplog.set_level(logging.INFO)
    log = logging.getLogger("ringrift.test")
    task = asyncio.create_task(run_forever(Reconciler("fragile", step), world.context, log))
    async with asyncio.timeout(20):
        while not worked.is_set():
            world.context.wake()
            await asyncio.sleep(0.005)
    task.cancel()
    lines = [record.message for record in caplog.records if "fragile failed" in record.message]
    assert lines == [
        "reconciler fragile failed (1 times): RuntimeError: the same fault",
        "reconciler fragile failed (2 times): RuntimeError: the same fault",
    ]


def test_equal_failures_are_logged_at_growing_intervals(caplog) -> None:
    caplog.set_level(logging.INFO)
    complaints = Complaints(logging.getLogger("ringrift.test"), "one")
    for _ in range(100):
        complaints.add(ValueError("again"))
    complaints.add(ValueError("another"))
    complaints.clear()
    counts = [record.args[1] for record in caplog.records if record.levelname == "ERROR"]
    assert counts == [1, 2, 4, 8, 16, 32, 64, 1]
    assert "works again" in caplog.records[-1].message


def test_what_a_person_waits_for_rests_shortly_however_busy_the_machine_is() -> None:
    longest = {reconciler.name: reconciler.longest_rest for reconciler in RECONCILERS}
    assert rest(0.005, longest["drift"]) == rest(0.005, longest["batches"]) == 0.0
    assert rest(0.2, longest["drift"]) == 5.0
    assert rest(0.2, longest["batches"]) == rest(0.2, longest["operations"]) == 0.2


async def test_a_controller_that_does_not_lead_leaves_the_rows_alone(world: World) -> None:
    await world.enable()
    world.context.leading = False
    passes = 0

    async def step(context) -> bool:
        nonlocal passes
        passes += 1
        return False

    log = logging.getLogger("ringrift.test")
    task = asyncio.create_task(run_forever(Reconciler("idle", step), world.context, log))
    for _ in range(5):
        world.context.wake()
        await asyncio.sleep(0.005)
    task.cancel()
    assert passes == 0


async def test_one_controller_of_two_leads_and_the_other_follows_when_it_goes(world: World) -> None:
    other_store = Store(world.url)
    first, second = Leadership(world.store), Leadership(other_store)
    assert await asyncio.to_thread(first.hold)
    assert await asyncio.to_thread(first.hold), "holding again keeps it"
    expected = world.store.dialect == "sqlite"
    assert await asyncio.to_thread(second.hold) is expected, "SQLite's lead is the lock of the home"
    await asyncio.to_thread(first.release)
    assert await asyncio.to_thread(second.hold)
    await asyncio.to_thread(second.release)
    other_store.close()


async def test_taking_over_forgets_what_a_former_controller_held(world: World) -> None:
    await world.agent("alpha")
    await world.post("/hosts/alpha/provision")
    await world.write(
        lambda s: s.execute(text("UPDATE operation SET lock_token='old', lock_expires_at=1e12"))
    )
    await take_over(world.context)
    row = await world.read(lambda s: s.execute(text("SELECT lock_token FROM operation")).scalar_one())
    assert row is None


async def test_who_was_suspended_between_election_and_take_over_does_not_lead(world: World) -> None:
    seen = await world.read(current_epoch)
    await take_over(world.context)
    with pytest.raises(Superseded):
        await take_over(world.context, seen)
    assert await world.read(current_epoch) == world.context.epoch


class TestFairness:
    """A slow fleet of one agent still does everything."""

    @pytest.fixture
    def settings(self) -> Settings:
        return small_settings(evaluation={"jobs_ahead": 1, "blocks_per_job": 1})

    async def test_one_agent_alone_gets_a_candidate_accepted(self, world: World) -> None:
        agent = await world.agent("alpha")
        await world.enable()

        async def accepted() -> bool:
            return bool(await world.get("/evaluations?state=accepted"))

        await world.run_until([agent], accepted)
