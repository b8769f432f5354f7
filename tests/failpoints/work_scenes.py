"""Work: from the wish to train to a champion, with what goes wrong on the way."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable

import httpx
from sqlalchemy import text

from ringrift.errors import Unreachable
from ringrift.protocol import agent as wire
from ringrift.protocol.jobs import parse_spec, sequences
from ringrift.protocol.sessions import RESULTS_BATCH, ResultBatch
from tests.control.doubles import RELEASE, shard
from tests.control.stage import play_out, with_candidates
from tests.control.test_transfers import put, received
from tests.control.world import CONFIG
from tests.failpoints.hosts_scenes import add, ready
from tests.failpoints.killing import Scene
from tests.failpoints.stage import Stage


async def two_hosts(stage: Stage) -> None:
    for name in ("alpha", "beta"):
        await add(stage, name)
        await ready(stage, name)


async def enable(stage: Stage) -> None:
    await stage.world.post(f"/configs/{CONFIG}/enabled", {"enabled": True})


def reconciled(*names: str) -> Callable[[Stage], Awaitable[None]]:
    """Return an act in which these reconcilers pass until they are at rest."""

    async def passes(stage: Stage) -> None:
        await stage.world.reconcile(*names)

    passes.__name__ = f"{' and '.join(names)} pass"
    return passes


async def take(stage: Stage, name: str, *kinds: str) -> None:
    """Let an agent hold a job of its own; what was lost on the way to it is given to it again in time."""
    machine = stage.fleet.machine(name)

    async def held() -> bool:
        if machine.held is None:
            machine.held = (await stage.agent(name).lease(*kinds)).assignment
        if machine.held is None:
            # The time of a lease passes while the controller listens, and the agent beats without it.
            over = f"began_at = began_at - 60, expires_at = {stage.clock() - 0.001}"
            stage.sql(f"UPDATE assignment SET {over} WHERE agent = '{machine.agent}'")
            await stage.beat(name)
        return machine.held is not None

    await stage.until(held, "leases")


async def do_units(stage: Stage, name: str) -> None:
    """Upload and report what is missing of the held job, one by one."""
    held, agent = stage.fleet.machine(name).held, stage.agent(name)
    assert held is not None
    for sequence in sequences(parse_spec(held.spec)):
        if (held.job, sequence) not in stage.outside.receipts:
            reply = await agent.do_unit(held, sequence, stage.outside.work)
            await stage.told(held, sequence, reply.accepted)


async def finish(stage: Stage, name: str) -> None:
    machine = stage.fleet.machine(name)
    if machine.held is not None:
        await stage.agent(name).finish(machine.held)
        machine.held = None


async def work_off(stage: Stage, *kinds: str) -> None:
    """Let both agents do every job of these kinds."""
    for _ in range(40):
        for name in ("alpha", "beta"):
            agent = stage.agent(name)
            while (assignment := (await agent.lease(*kinds)).assignment) is not None:
                await agent.do_job(assignment, stage.outside.work)
        if not stage.query(f"SELECT 1 FROM job WHERE state = 'queued' AND kind = '{kinds[0]}'"):
            return


games = Scene("games are played, replayed and learned from", settings={"agents": {"patience_seconds": 0.0}})
games.given(two_hosts)
games.act(enable)
games.act(reconciled("selfplay"))


@games.act
async def a_job_is_taken(stage: Stage) -> None:
    await take(stage, "alpha", "selfplay")


def unit(stage: Stage, sequence: int) -> tuple[dict, bytes]:
    held = stage.fleet.machine("alpha").held
    assert held is not None
    payload, contents = stage.outside.work.unit(held.spec, sequence)
    return payload, contents[0]


async def answered(answer: httpx.Response) -> None:
    assert answer.status_code == 200, answer.text


@games.act
async def a_shard_is_uploaded_in_chunks(stage: Stage) -> None:
    payload, content = unit(stage, 0)
    agent, name = stage.agent("alpha"), payload["shard"]
    agent.works_for(stage.fleet.machine("alpha").held)
    have = await received(agent, name)
    await answered(await put(agent, name, have, content[have:], last=True))


@games.act
async def a_result_is_reported(stage: Stage) -> None:
    held, (payload, _) = stage.fleet.machine("alpha").held, unit(stage, 0)
    answer = await stage.agent("alpha").report(held, 0, payload, [payload["shard"]])
    await stage.told(held, 0, answer.json()["accepted"])


@games.act
async def many_results_are_reported_at_once(stage: Stage) -> None:
    held, (payload, content) = stage.fleet.machine("alpha").held, unit(stage, 1)
    agent = stage.agent("alpha")
    agent.works_for(held)
    await answered(await agent.upload(content))
    one = wire.ResultRequest(
        assignment=held.assignment,
        epoch=held.epoch,
        sequence=1,
        payload=payload,
        artifacts=[payload["shard"]],
        credential=held.credential,
    )
    answer = await agent.post(RESULTS_BATCH, ResultBatch(results=[one]).model_dump_json().encode())
    await stage.told(held, 1, answer.json()["answers"][0]["reply"]["accepted"])


@games.act
async def a_damaged_file_arrives(stage: Stage) -> None:
    agent = stage.agent("alpha")
    agent.works_for(stage.fleet.machine("alpha").held)
    answer = await agent.upload(b"rubbish", hashlib.sha256(shard("whole")).hexdigest())
    assert answer.status_code == 422, answer.text


@games.act
async def the_job_is_finished(stage: Stage) -> None:
    await finish(stage, "alpha")


games.act(reconciled("ingest"))


@games.given
async def they_are_replayed(stage: Stage) -> None:
    await work_off(stage, "ingest")


games.act(reconciled("training"))


@games.given
async def a_model_is_trained(stage: Stage) -> None:
    await work_off(stage, "train")


games.act(reconciled("evaluation tests"))
games.act(reconciled("aliases"))
games.act(reconciled("evaluation blocks"))


@games.given
async def it_plays(stage: Stage) -> None:
    for _ in range(20):
        await stage.world.reconcile("evaluation blocks", "ingest")
        await work_off(stage, "evaluate")
        await work_off(stage, "ingest")


games.act(reconciled("evaluation verdicts"))


@games.given
async def it_plays_itself(stage: Stage) -> None:
    await stage.world.reconcile("evaluation tests")
    await it_plays(stage)
    await stage.world.reconcile("evaluation verdicts")


@games.act
async def it_is_promoted(stage: Stage) -> None:
    if (await stage.world.get(f"/configs/{CONFIG}"))["champion"] is None:
        await stage.world.post("/promotions", {"config": CONFIG})


lost = Scene("work is lost, checked and given up", settings={"agents": {"spot_check_share": 1.0}})
lost.given(two_hosts)


@lost.given
async def a_job_is_held(stage: Stage) -> None:
    await enable(stage)
    await stage.world.reconcile("selfplay")
    await take(stage, "alpha", "selfplay")


@lost.given
async def its_lease_passes(stage: Stage) -> None:
    stage.fleet.machine("alpha").held = None
    stage.sql("UPDATE agent SET beat_at = 1.0 WHERE host = 'alpha'")


@lost.act
async def its_lease_is_taken_back(stage: Stage) -> None:
    stage.sql("UPDATE assignment SET expires_at = 1.0 WHERE state = 'running'")
    await stage.world.reconcile("leases")


def job(stage: Stage, state: str) -> str:
    return str(stage.query(f"SELECT id FROM job WHERE state = '{state}' ORDER BY id")[0][0])


@lost.act
async def a_job_is_cancelled(stage: Stage) -> None:
    if not stage.query("SELECT 1 FROM job WHERE state = 'cancelled'"):
        await stage.world.post(f"/jobs/{job(stage, 'queued')}/cancel", {"reason": "no"})


@lost.given
async def a_job_is_given_up(stage: Stage) -> None:
    stage.sql("UPDATE job SET state = 'failed' WHERE state = 'cancelled'")


@lost.act
async def it_is_tried_again(stage: Stage) -> None:
    if stage.query("SELECT 1 FROM job WHERE state = 'failed'"):
        await stage.world.post(f"/jobs/{job(stage, 'failed')}/retry", {})


@lost.act
async def a_share_is_fixed(stage: Stage) -> None:
    await stage.world.post("/shares", {"scope": "kind:train", "share": 0.2})


@lost.given
async def games_are_played(stage: Stage) -> None:
    await stage.world.write(lambda s: s.execute(text("UPDATE agent SET numeric_class = 'x86_64 cpu'")))
    await stage.beat("alpha")
    await take(stage, "alpha", "selfplay")
    await do_units(stage, "alpha")
    await finish(stage, "alpha")
    await stage.world.write(lambda s: s.execute(text("UPDATE agent SET numeric_class = 'x86_64 cpu'")))
    await stage.world.reconcile("ingest")


lost.act(reconciled("spot checks"))

proving = Scene("who beat the champion must be no worse than others")


@proving.given
async def a_champion_is_beaten(stage: Stage) -> None:
    await candidate(stage, "one")
    await stage.world.post("/promotions", {"config": CONFIG})
    await candidate(stage, "two", tests=2)


proving.act(reconciled("evaluation tests"))


@proving.given
async def the_next_test_is_played(stage: Stage) -> None:
    await play_out(stage.world)


proving.act(reconciled("evaluation verdicts", "evaluation tests", "aliases"))


@proving.act
async def it_has_shown_everything(stage: Stage) -> None:
    if generation(stage) == 1:
        await stage.world.post("/promotions", {"config": CONFIG})


champions = Scene("champions are promoted, served and taken back")


async def candidate(stage: Stage, name: str, tests: int | None = None) -> None:
    champion = (await stage.world.get(f"/configs/{CONFIG}"))["champion"]
    await with_candidates(stage.world, name, champion=champion and champion["model"], tests=tests)


@champions.given
async def one_is_promoted(stage: Stage) -> None:
    await candidate(stage, "one")
    await stage.world.post("/promotions", {"config": CONFIG})


@champions.given
async def another_is_better(stage: Stage) -> None:
    await candidate(stage, "two")


def generation(stage: Stage) -> int:
    return int(stage.query("SELECT generation FROM alias WHERE name = 'champion'")[0][0])


@champions.act
async def another_is_promoted(stage: Stage) -> None:
    if generation(stage) == 1:
        await stage.world.post("/promotions", {"config": CONFIG})


@champions.act
async def it_is_rolled_back(stage: Stage) -> None:
    if generation(stage) == 2:
        await stage.world.post(f"/rollback/{CONFIG}")


@champions.act
async def a_target_is_named(stage: Stage) -> None:
    await stage.world.http.post("/v1/targets", json={"name": "front", "host": "stage", "port": 9000})


@champions.given
async def the_files_are_there(stage: Stage) -> None:
    for (name,) in stage.query("SELECT sha256 FROM model"):
        path = stage.home / "artifacts" / name[:2] / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")


@champions.act
async def it_is_deployed(stage: Stage) -> None:
    if not stage.query("SELECT 1 FROM operation WHERE kind = 'deploy'"):
        await stage.world.post("/deployments", {})

    await rolled_out(stage)


async def rolled_out(stage: Stage) -> None:
    async def done() -> bool:
        going = "('running', 'halting', 'cancelling')"
        return not stage.query(f"SELECT 1 FROM deployment WHERE state IN {going}")

    await stage.until(done, "rollouts", "operations", "targets")


@champions.given
async def a_third_is_under_test(stage: Stage) -> None:
    await candidate(stage, "three", tests=1)
    await the_files_are_there(stage)
    await stage.world.reconcile("aliases")


@champions.act
async def it_waits_on_the_target(stage: Stage) -> None:
    async def done() -> bool:
        return bool(stage.query("SELECT 1 FROM operation WHERE kind = 'stage' AND state = 'succeeded'"))

    await stage.until(done, "staging", "operations")
    assert stage.fleet.waiting["front"]


@champions.act
async def another_deployment_is_taken_back(stage: Stage) -> None:
    if len(stage.query("SELECT 1 FROM deployment")) < 2:
        stage.fleet.release = "0123456789ab"
        await stage.world.post("/deployments", {"software": True})
    ((identity, state),) = stage.query("SELECT id, state FROM deployment ORDER BY generation DESC LIMIT 1")
    if state == "running":
        await stage.world.reconcile("rollouts")
        await stage.world.post(f"/deployments/{identity}/cancel")
    await rolled_out(stage)
    assert stage.query("SELECT DISTINCT release FROM target") == [(RELEASE,)]


@champions.act
async def it_is_asked(stage: Stage) -> None:
    stage.sql("UPDATE target SET checked_at = 1.0")
    await stage.world.reconcile("targets")
    await stage.flights("target:")


@champions.act
async def it_does_not_answer(stage: Stage) -> None:
    stage.sql("UPDATE target SET checked_at = 1.0")
    stage.fleet.fail("observe", Unreachable("nothing answers"))
    await stage.world.reconcile("targets")
    await stage.flights("target:")


SCENES = [games, lost, proving, champions]
