"""Work that crashes everywhere is set aside, hosts on which everything crashes are, too; retrying both."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlmodel import select

from ringrift.control.domain.poison import Tries, after_bad_end, host_fault, never_began, shunned_hosts
from ringrift.control.store import leasing
from ringrift.control.store.jobs import queue_job
from ringrift.control.store.tables import Assignment, Event, Host, Job, Setting, Throughput
from ringrift.protocol import agent as wire
from ringrift.protocol.jobs import PlayerSpec, SelfplaySpec
from tests.control.doubles import ScriptedAgent
from tests.control.world import CONFIG, World


@pytest.mark.parametrize(
    ("failures", "crashes", "state"),
    [
        (2, {}, "queued"),
        (3, {}, "failed"),
        (0, {"a": 2, "b": 1}, "quarantined"),
        (0, {"a": 1, "b": 1}, "queued"),
        (0, {"a": 3}, "queued"),
        (0, {"a": 9}, "queued"),
        (2, {"a": 3}, "queued"),
    ],
)
def test_three_crashes_on_two_hosts_quarantine_and_three_told_failures_fail(failures, crashes, state) -> None:
    assert after_bad_end(Tries(failures, crashes), 3) == state


def test_a_dispensable_job_waits_for_no_other_host() -> None:
    assert after_bad_end(Tries(0, {"a": 2}), 3, dispensable=True) == "queued"
    assert after_bad_end(Tries(0, {"a": 3}), 3, dispensable=True) == "failed"


def test_a_host_on_which_a_job_crashed_three_times_never_gets_it_again() -> None:
    assert shunned_hosts(Tries(0, {"a": 3, "b": 2}), 3) == {"a"}


def test_a_host_is_at_fault_for_jobs_that_crash_there_and_nowhere_else() -> None:
    here, everywhere = frozenset({"a"}), frozenset({"a", "b"})
    assert "2 different jobs" in host_fault({"1": here, "2": here, "3": everywhere}, "a", 2)
    assert host_fault({"1": here, "2": everywhere, "3": everywhere}, "a", 2) == ""


async def queue(world: World, name: str = "poison") -> str:
    spec = SelfplaySpec(config=CONFIG, player=PlayerSpec(kind="random"), shards=2, games_per_shard=4, seed=7)
    return (await world.write(lambda s: queue_job(s, spec, f"selfplay:{name}"))).id


async def crash(agent: ScriptedAgent, words: str = "Killed", *kinds: str) -> str | None:
    """Lease a job of these kinds and let it die; return its id, or None when there was none."""
    assignment = (await agent.lease(*kinds)).assignment
    if assignment is None:
        return None
    wish = wire.FinishRequest(
        assignment=assignment.assignment,
        epoch=assignment.epoch,
        outcome="failed",
        exit_code=-9,
        reason="signal 9",
        log_tail=words,
        crashed=True,
        credential=assignment.credential,
    )
    assert (await agent.post(wire.FINISH, wish.model_dump_json().encode())).json()["accepted"]
    return assignment.job


async def row(world: World, job: str) -> Job:
    return await world.read(lambda s: s.get(Job, job))


@pytest.fixture
def impatient(world: World) -> World:
    """A world in which no job waits for a better host."""
    world.context.settings = world.settings = type(world.settings)(
        **{
            **vars(world.settings),
            "agents": type(world.settings.agents)(
                **{**vars(world.settings.agents), "patience_seconds": 0.0, "host_crashes": 3}
            ),
        }
    )
    return world


async def test_poison_is_quarantined_with_its_last_words_and_a_retry_is_a_new_chain(impatient: World) -> None:
    world, alpha, beta = impatient, await impatient.agent("alpha"), await impatient.agent("beta")
    job = await queue(world)
    assert [await crash(alpha), await crash(alpha), await crash(beta, "line\nKilled")] == [job] * 3
    assert (await row(world, job)).state == "quarantined"
    shown = await world.get(f"/jobs/{job}")
    assert shown["log_tail"] == "line\nKilled"
    assert [(item["host"], item["crashed"], item["counts"]) for item in shown["tries"]] == [
        ("beta", True, True),
        ("alpha", True, True),
        ("alpha", True, True),
    ]
    why = await world.get(f"/why/{job}")
    assert "3 crashes (2 on alpha, 1 on beta)" in why["sentence"] and "jobs retry" in why["next_action"]
    assert "Killed" in why["facts"]
    assert (await crash(alpha)) is None
    await world.post(f"/jobs/{job}/retry", {"actor": "ann", "dry_run": True})
    assert (await row(world, job)).state == "quarantined", "a dry run changes nothing"
    await world.post(f"/jobs/{job}/retry", {"actor": "ann"})
    assert not any(item["counts"] for item in (await world.get(f"/jobs/{job}"))["tries"])
    assert await crash(alpha) == job and (await row(world, job)).state == "queued"
    await alpha.do_job((await alpha.lease()).assignment, world.work)
    assert (await row(world, job)).state == "succeeded"
    await world.post(f"/jobs/{job}/retry", {}, status=409)
    events = await world.read(lambda s: s.exec(select(Event).where(Event.action == "job.retried")).all())
    told = [(event.actor, event.subject, event.detail["attempts"]) for event in events]
    assert told == [("operator: ann", job, 3)]


async def test_a_job_that_crashes_on_one_host_only_waits_for_another_and_why_says_so(
    impatient: World,
) -> None:
    world, alpha = impatient, await impatient.agent("alpha")
    job = await queue(world)
    assert [await crash(alpha) for _ in range(4)] == [job, job, job, None]
    assert (await row(world, job)).state == "queued"
    host = (await world.get("/hosts"))[0]
    assert "must go to another host" in host["idle_reason"]
    why = await world.get(f"/why/{job}")
    assert "alpha: it must go to another host" in why["facts"]
    beta = await world.agent("beta")
    await beta.do_job((await beta.lease()).assignment, world.work)
    assert (await row(world, job)).state == "succeeded"


async def test_a_host_on_which_different_jobs_crash_is_quarantined_with_the_reason(impatient: World) -> None:
    world, alpha = impatient, await impatient.agent("alpha")
    await world.agent("beta")
    names = [await queue(world, f"job {number}") for number in range(3)]
    for number in range(3):
        await world.write(lambda s, n=number: s.execute(text("UPDATE job SET not_before = 1e12")))
        await world.write(
            lambda s, n=number: s.execute(text(f"UPDATE job SET not_before = 0 WHERE id = '{names[n]}'"))
        )
        assert await crash(alpha) == names[number]
    found = await world.read(lambda s: s.get(Host, "alpha"))
    assert found.state == "quarantined" and "3 different jobs crashed here and nowhere else" in found.reason
    assert (await alpha.beat()).stop


async def test_vanished_tries_count_as_crashes_and_those_of_a_removed_agent_do_not(world: World) -> None:
    alpha = await world.agent("alpha")
    job = await queue(world)
    await alpha.lease()
    await world.write(lambda s: s.execute(text("UPDATE assignment SET expires_at = 1")))
    await world.reconcile("leases")
    await alpha.lease()
    await world.write(lambda s: s.execute(text("UPDATE agent SET revoked_at = 1")))
    await world.write(
        lambda s: s.execute(text("UPDATE assignment SET expires_at = 1 WHERE state = 'running'"))
    )
    await world.reconcile("leases")
    tries = await world.read(lambda s: s.exec(select(Assignment).order_by(Assignment.epoch)).all())
    assert [(item.state, item.crashed) for item in tries] == [("expired", True), ("expired", False)]
    assert (await row(world, job)).state == "queued"


@pytest.mark.parametrize(
    ("named", "same_start", "heard", "lost"),
    [
        (False, True, 31.0, True),
        (False, False, 1.0, True),
        (False, True, 29.0, False),
        (False, True, -5.0, False),
        (True, True, 99.0, False),
        (True, False, 99.0, False),
    ],
)
def test_a_try_was_never_begun_when_its_agent_lives_on_without_it(named, same_start, heard, lost) -> None:
    assert never_began(named=named, same_start=same_start, heard=heard, beat_seconds=15.0) == lost


async def expire(world: World) -> None:
    """Let a minute and the lease of everything pass."""
    for change in ("UPDATE assignment SET began_at = began_at - 60", "UPDATE assignment SET expires_at = 1"):
        await world.write(lambda s, change=change: s.execute(text(f"{change} WHERE state = 'running'")))


async def test_a_lease_whose_answer_was_lost_brings_no_job_nearer_to_its_end(world: World) -> None:
    """Four times on two hosts: by agents that live on, and by one that is started anew."""
    alpha, beta = await world.agent("alpha"), await world.agent("beta")
    job = await queue(world)
    for agent in (alpha, beta, alpha):
        await agent.lease()
        await expire(world)
        await agent.beat()
        await world.reconcile("leases")
    await beta.lease()
    beta.incarnation = "second"
    await beta.beat()
    left = await row(world, job)
    assert (left.state, left.attempts, left.avoid) == ("queued", 0, None)
    assert left.reason == "the answer to its lease was lost: the agent never began it"
    tries = (await world.get(f"/jobs/{job}"))["tries"]
    assert [(item["state"], item["crashed"]) for item in tries] == [("expired", False)] * 4
    assert (await alpha.lease()).assignment is not None, "nobody avoids it"


async def test_a_lost_lease_of_an_agent_that_was_cut_off_counts_only_until_it_is_heard_again(
    impatient: World,
) -> None:
    world, agents = impatient, [await impatient.agent(name) for name in ("alpha", "beta", "gamma")]
    job = await queue(world)
    for agent in agents[:2]:
        await agent.lease()
        await world.write(lambda s: s.execute(text("UPDATE agent SET beat_at = beat_at - 600")))
        await expire(world)
        await world.reconcile("leases")
    why = await world.get(f"/why/{job}")
    assert [item["value"] for item in why["conditions"]][1] == "1 on alpha, 1 on beta"
    await agents[0].beat()
    why = await world.get(f"/why/{job}")
    assert [item["value"] for item in why["conditions"]][1] == "1 on beta"


async def test_what_an_agent_began_counts_although_it_comes_back_without_it(world: World) -> None:
    """Also when no heartbeat named it in time, but one after the restart of a host that it brought down."""
    alpha = await world.agent("alpha")
    for late in (False, True):
        job = await queue(world, f"late {late}")
        held = (await alpha.lease()).assignment
        named = wire.Progress(assignment=held.assignment, epoch=held.epoch)
        if not late:
            await alpha.beat(named)
        await world.write(lambda s: s.execute(text("UPDATE assignment SET expires_at = 1")))
        await world.reconcile("leases")
        alpha.incarnation = f"after {job}"
        await alpha.beat(*[named] * late)
        tries = (await world.get(f"/jobs/{job}"))["tries"]
        assert [(item["state"], item["crashed"]) for item in tries] == [("expired", True)]
        why = await world.get(f"/why/{job}")
        assert [item["value"] for item in why["conditions"]][1] == "1 on alpha"
        await world.post(f"/jobs/{job}/cancel", {"reason": "seen"})


async def test_a_controller_that_slept_longer_than_a_lease_expires_nobody(world: World) -> None:
    alpha = await world.agent("alpha")
    job = await queue(world)
    await alpha.lease()
    await world.reconcile("leases")
    asleep = "UPDATE assignment SET expires_at = expires_at - 5000, deadline_at = deadline_at - 5000"
    await world.write(lambda s: s.execute(text(asleep)))

    def sleep(session) -> None:
        mark = session.get(Setting, "leases.listened")
        mark.value = {"at": mark.value["at"] - 5000}
        session.add(mark)

    await world.write(sleep)
    await world.reconcile("leases")
    assert (await row(world, job)).state == "leased"
    await world.write(lambda s: s.execute(text(asleep)))
    await world.reconcile("leases")
    assert (await row(world, job)).state == "queued", "a controller that listens expires as ever"
    actions = await world.read(lambda s: [event.action for event in s.exec(select(Event)).all()])
    assert actions.count("leases.extended") == 1


async def test_a_lease_carries_a_secret_and_limits_and_a_finish_measures_the_host(world: World) -> None:
    alpha = await world.agent("alpha")
    await queue(world)
    assignment = (await alpha.lease()).assignment
    assert assignment.memory_limit == assignment.disk_limit == 8 << 30
    stored = await world.read(lambda s: s.get(Assignment, assignment.assignment))
    assert len(assignment.credential) >= 32 and assignment.credential not in stored.credential
    assert len(stored.credential) == 64
    await alpha.do_job(assignment, world.work)
    (measured,) = await world.read(lambda s: s.exec(select(Throughput)).all())
    took = await world.read(lambda s: s.get(Assignment, assignment.assignment))
    assert (measured.host, measured.kind, measured.config) == ("alpha", "selfplay", CONFIG)
    assert measured.per_hour == pytest.approx(8 * 3600 / (took.ended_at - took.began_at), rel=0.2)


async def test_hosts_without_room_say_what_a_job_needs_and_what_they_have(world: World) -> None:
    alpha = await world.agent("alpha")
    job = await queue(world)
    await world.write(lambda s: s.execute(text("UPDATE host SET ram_gb = 0.5")))
    nothing = await alpha.lease()
    assert nothing.assignment is None
    words = "it needs 0.6 GB of memory, 0.5 of 0.5 GB are free"
    assert nothing.reason == f"1 selfplay job waits: {words}"
    assert words in (await world.get("/why/alpha"))["sentence"]
    assert f"{words} (so on 1 of 1 live hosts)" in (await world.get(f"/why/{job}"))["sentence"]


async def test_a_measured_capacity_outweighs_a_declared_one() -> None:
    host = Host(
        name="a",
        state="ready",
        user="u",
        address="a",
        port=22,
        host_key="",
        fingerprint="",
        confirmed_by="",
        root="",
        ram_gb=64.0,
        vram_gb=24.0,
        gpu_count=8,
        added_at=0.0,
        changed_at=0.0,
    )
    measured = leasing.capacity_of(host, {"memory_total": 16e9, "gpu_memory_total": None})
    assert (measured.ram_gb, measured.vram_gb, measured.gpus) == (16.0, 24.0, 8)
    host.ram_gb = host.vram_gb = 0.0
    assert leasing.capacity_of(host, {}).ram_gb is None


async def test_a_cancelled_job_is_taken_from_its_agent(world: World) -> None:
    alpha = await world.agent("alpha")
    job = await queue(world)
    assignment = (await alpha.lease()).assignment
    shown = await world.post(f"/jobs/{job}/cancel", {"actor": "ann", "reason": "not needed"})
    assert (shown["job"]["state"], shown["tries"][0]["state"]) == ("cancelled", "cancelled")
    progress = wire.Progress(assignment=assignment.assignment, epoch=assignment.epoch)
    assert not (await alpha.beat(progress)).standing[0].alive
    await world.post(f"/jobs/{job}/cancel", {}, status=409)
    await world.get(f"/jobs/{job}")
    assert (await world.http.get("/v1/jobs/job_none")).status_code == 404
