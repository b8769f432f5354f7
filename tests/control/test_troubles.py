"""Outages, interruptions and wrong reports: nothing stops for good, nothing is lost, nothing counts twice."""

from __future__ import annotations

import asyncio
import threading

import pytest
from sqlalchemy import text
from sqlmodel import Session, select

from ringrift.control import leadership
from ringrift.control.leadership import Leadership, watch
from ringrift.control.settings import Settings
from ringrift.control.store import fleet
from ringrift.control.store.store import Store
from ringrift.control.store.tables import ConfigRow, EvaluationBlock, Host
from ringrift.errors import EnvironmentProblem
from tests.control.doubles import ScriptedAgent
from tests.control.test_reconcilers import jobs, play, until_candidate
from tests.control.world import CONFIG, World, small_settings


async def test_an_agent_cut_off_for_long_is_not_restarted_when_its_tunnel_opens_again(world: World) -> None:
    await world.agent("alpha")
    await world.write(lambda s: s.execute(text("UPDATE agent SET beat_at = 1")))
    await world.write(lambda s: fleet.tunnel_opened(s, "alpha"))
    await world.reconcile("recovery")
    assert world.fleet.named("restart_agent") == [], "it had no chance to beat yet"
    await world.write(lambda s: s.execute(text("UPDATE host SET restarted_at = 1")))
    await world.reconcile("recovery")
    assert await world.read(lambda s: s.get(Host, "alpha").restarts) == 1


async def test_a_dead_agent_is_restarted_although_the_controller_is_killed_again_and_again(
    world: World,
) -> None:
    """Each controller listens for 25 s. One that was merely cut off beats meanwhile, and begins anew."""
    agent = await world.agent("alpha")

    async def life(seconds: int) -> int:
        await world.restart()
        await world.write(lambda s: fleet.tunnel_opened(s, "alpha"))
        for _ in range(seconds // 5):
            await world.write(lambda s: s.execute(text("UPDATE host SET restarted_at = restarted_at - 5")))
            await world.reconcile("recovery")
        return await world.read(lambda s: s.get(Host, "alpha").restarts)

    await world.write(lambda s: s.execute(text("UPDATE agent SET beat_at = 1")))
    assert [await life(15) for _ in range(6)] == [0] * 6, "nobody had a chance yet"
    assert [await life(25), await life(25)] == [0, 0]
    await agent.beat()
    await world.write(lambda s: s.execute(text("UPDATE agent SET beat_at = 1")))
    assert [await life(25), await life(25), await life(25)] == [0, 0, 1]
    assert len(world.fleet.named("restart_agent")) == 1


async def test_a_host_is_not_ready_before_its_agent_enrolled(world: World) -> None:
    """Found by the simulation: provisioning was cut between the change of the host and the hello."""
    await world.agent("alpha")

    def cut(session: Session) -> None:
        fleet.revoke_agents(session, "alpha", "test")
        fleet.set_state(session, fleet.get_host(session, "alpha"), "unreachable", "shows another host key")

    await world.write(cut)
    await world.write(lambda s: fleet.tunnel_opened(s, "alpha"))
    assert await world.read(lambda s: fleet.get_host(s, "alpha").state) == "new"
    assert "ringrift-ctl hosts provision alpha" in (await world.get("/why/alpha"))["next_action"]
    token = await world.write(lambda s: fleet.mint_token(s, "alpha", 900.0))
    assert (await ScriptedAgent(world.agents_app, "alpha").enrol(token)).status_code == 200
    assert await world.read(lambda s: fleet.get_host(s, "alpha").state) == "ready"


async def test_work_whose_deadline_passed_while_the_controller_was_away_is_still_delivered(
    world: World,
) -> None:
    agent = await world.agent("alpha")
    await world.enable()
    await world.reconcile("selfplay")
    assignment = (await agent.lease("selfplay")).assignment
    await world.write(lambda s: s.execute(text("UPDATE assignment SET expires_at = 1, deadline_at = 1")))
    await world.restart()
    await world.reconcile("leases")
    agent.http = ScriptedAgent(world.agents_app, "alpha").http
    await agent.do_job(assignment, world.work)
    assert [job.state for job in await jobs(world, "selfplay", "succeeded")] == ["succeeded"]


async def test_a_controller_that_could_not_take_over_at_first_leads_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = 0

    async def take_over(context, after) -> None:
        nonlocal tried
        tried += 1
        if tried == 1:
            raise EnvironmentProblem("database problem: disk full")

    monkeypatch.setattr(leadership, "take_over", take_over)
    monkeypatch.setattr(leadership, "_CHECK_SECONDS", 0.001)
    world.context.leading = False
    wake = asyncio.Event()
    world.context.wakers.append(wake)
    lead = Leadership(world.store)
    task = asyncio.create_task(watch(world.context, lead))
    async with asyncio.timeout(20):
        await wake.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await asyncio.to_thread(lead.release)
    assert world.context.leading and tried == 2


class TestSmallWindow:
    """A data set takes fewer positions than wait."""

    @pytest.fixture
    def settings(self) -> Settings:
        return small_settings(training={"window_positions": 1})

    async def test_a_failed_training_on_a_part_of_the_data_is_not_wanted_again_for_ever(
        self, world: World
    ) -> None:
        agent = await world.agent("alpha")
        await world.enable()
        await world.reconcile_pipeline()
        while not await jobs(world, "train"):
            await play(world, agent, "ingest", "selfplay")
            await world.reconcile_pipeline()
        for _ in range(3):
            await agent.finish((await agent.lease("train")).assignment, "failed", "loss is not a number")
        await world.reconcile("training")
        assert len(await jobs(world, "train")) == 1
        assert (await world.get(f"/configs/{CONFIG}"))["fresh_positions"] == 0


async def test_games_of_one_block_are_no_evidence_for_another(world: World) -> None:
    agent = await world.agent("alpha")
    await world.enable()
    await until_candidate(world, agent)
    await world.reconcile("evaluation tests", "evaluation blocks")
    assignment = (await agent.lease("evaluate")).assignment
    payload, _ = world.work.unit(assignment.spec, 0)
    await agent.do_unit(assignment, 0, world.work)
    answer = await agent.report(assignment, 1, {**payload, "block": 1}, [payload["shard"]])
    assert answer.status_code == 422 and "reported before" in answer.text
    blocks = await world.read(lambda s: s.exec(select(EvaluationBlock.block)).all())
    assert list(blocks) == [0]


@pytest.mark.parametrize("state", ["quarantined", "unreachable"])
async def test_a_host_whose_first_provisioning_failed_is_told_to_be_provisioned_again(
    world: World, state: str
) -> None:
    await world.agent("alpha")
    await world.write(
        lambda s: s.execute(text(f"UPDATE host SET state='{state}', reason='no python', release=NULL"))
    )
    why = await world.get("/why/alpha")
    assert "could not be provisioned: no python" in why["sentence"]
    assert "hosts provision alpha" in why["next_action"]


async def test_a_host_that_was_never_provisioned_can_be_resumed(world: World) -> None:
    await world.agent("alpha")
    await world.write(lambda s: s.execute(text("UPDATE host SET state='quarantined', release=NULL")))
    assert (await world.post("/hosts/alpha/resume"))["state"] == "new"


async def test_a_read_sees_one_moment_whatever_is_written_meanwhile(store: Store) -> None:
    reading, written = threading.Event(), threading.Event()

    def count(session) -> tuple[int, int]:
        first = len(session.exec(select(ConfigRow)).all())
        reading.set()
        assert written.wait(20)
        return first, len(session.exec(select(ConfigRow)).all())

    read = asyncio.create_task(store.read(count))
    assert await asyncio.to_thread(reading.wait, 20)
    await store.write("test", lambda s: s.add(ConfigRow(key="hex8_2p", changed_at=1.0)))
    written.set()
    assert await read == (0, 0)


async def test_a_value_that_the_database_cannot_hold_is_the_senders_fault_and_not_tried_again(
    world: World,
) -> None:
    agent = await world.agent("alpha")
    await world.enable()
    await world.reconcile("selfplay")
    assignment = (await agent.lease("selfplay")).assignment
    answer = await agent.report(assignment, 10**30, {}, [])
    assert answer.status_code == 422 and "cannot hold a given value" in answer.text
    assert (await agent.finish(assignment, "failed", "no")).accepted, "the writer goes on"
