"""Shards that another host plays again, and what happens to a host that is found out."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from sqlalchemy import text
from sqlmodel import col, select

from ringrift.control.domain.spotchecks import Repetition, is_chosen, judge_repetitions
from ringrift.control.store import datasets
from ringrift.control.store.jobs import queue_job
from ringrift.control.store.tables import (
    Agent,
    EvaluationBlock,
    Event,
    Host,
    Job,
    Result,
    Shard,
    SpotCheck,
)
from ringrift.protocol import agent as wire
from ringrift.protocol.jobs import PlayerSpec, SelfplaySpec
from tests.control.doubles import ScriptedAgent, sha, shard
from tests.control.test_poison import crash
from tests.control.world import CONFIG, World

A, B, C = (Repetition(name, same) for name, same in (("b", True), ("b", False), ("c", False)))


@pytest.mark.parametrize(
    ("repetitions", "peer", "overdue", "action", "guilty"),
    [
        ([], True, False, "ask", ""),
        ([], False, False, "wait", ""),
        ([], False, True, "unable", ""),
        ([Repetition("", None)], True, False, "wait", ""),
        ([Repetition("", None)], True, True, "unable", ""),
        ([Repetition("", None, "gone", dead=True)], True, False, "unable", ""),
        ([A], True, False, "same", ""),
        ([B], True, False, "ask", ""),
        ([B], False, False, "differs", "a"),
        ([B, Repetition("", None)], True, False, "wait", ""),
        ([B, Repetition("", None)], True, True, "differs", "a"),
        ([B, Repetition("", None, dead=True)], True, False, "differs", "a"),
        ([B, C], True, False, "differs", "a"),
        ([B, Repetition("c", True)], True, False, "same", "b"),
    ],
)
def test_two_of_three_hosts_decide(repetitions, peer, overdue, action, guilty) -> None:
    verdict = judge_repetitions("a", repetitions, peer=peer, overdue=overdue)
    assert (verdict.action, verdict.guilty) == (action, guilty)
    assert bool(verdict.reason) == (action in ("differs", "unable") or bool(guilty))


def test_one_percent_of_the_shards_is_chosen_by_a_hash_that_hosts_cannot_know() -> None:
    names = [sha("shard", number) for number in range(20_000)]
    chosen = {name for name in names if is_chosen(name, "salt", 0.01)}
    assert 140 < len(chosen) < 260
    assert chosen == {name for name in names if is_chosen(name, "salt", 0.01)}
    assert chosen != {name for name in names if is_chosen(name, "other", 0.01)}
    assert all(is_chosen(name, "salt", 1.0) and not is_chosen(name, "salt", 0.0) for name in names[:50])


def set_agents(world: World, **values: float) -> None:
    """Change settings of agents; who is faster by chance gets nothing before the others."""
    agents = replace(world.settings.agents, placement_seconds=0.0, **values)
    world.context.settings = world.settings = replace(world.settings, agents=agents)


async def with_agents(world: World, *names: str, numeric_class: str = "x86_64 cpu") -> list[ScriptedAgent]:
    set_agents(world, spot_check_share=1.0)
    made = [await world.agent(name) for name in names]
    await world.write(lambda s: s.execute(text(f"UPDATE agent SET numeric_class = '{numeric_class}'")))
    return made


async def play(world: World, agent: ScriptedAgent) -> list[str]:
    """Let an agent play one job; return its shards, which are then chosen for checks."""
    await world.enable()
    await world.reconcile("selfplay")
    assignment = (await agent.lease("selfplay")).assignment
    await agent.do_job(assignment, world.work)
    await world.reconcile("ingest", "spot checks")
    found = await world.read(lambda s: s.exec(select(Shard).where(Shard.job == assignment.job)).all())
    return sorted(shard.sha256 for shard in found)


async def repeat(world: World, agent: ScriptedAgent, *, same: bool, times: int = 1) -> int:
    """Let an agent take repetitions and say how they came out; return how many it got."""
    got = 0
    for _ in range(times):
        assignment = (await agent.lease("repeat")).assignment
        if assignment is None:
            break
        payload = {
            "kind": "repeat",
            "config": CONFIG,
            "shard": assignment.spec["shard"],
            "same": same,
            "reason": "" if same else "game 2: move 17 differs",
            "games": 4,
        }
        answer = await agent.report(assignment, 0, payload, [])
        assert answer.json()["accepted"], answer.text
        await agent.finish(assignment)
        got += 1
    await world.reconcile("spot checks")
    return got


async def checks(world: World) -> list[SpotCheck]:
    return await world.read(lambda s: list(s.exec(select(SpotCheck).order_by(col(SpotCheck.made_at))).all()))


async def state_of(world: World, name: str) -> tuple[str, str]:
    host = await world.read(lambda s: s.get(Host, name))
    return host.state, host.reason


async def shard_states(world: World) -> dict[str, str]:
    return await world.read(lambda s: {shard.sha256: shard.state for shard in s.exec(select(Shard)).all()})


async def test_a_shard_is_repeated_by_another_host_of_its_numeric_class_and_nobody_else(world: World) -> None:
    alpha, beta, gamma = await with_agents(world, "alpha", "beta", "gamma")
    await world.write(
        lambda s: s.execute(text("UPDATE agent SET numeric_class = 'arm' WHERE host = 'gamma'"))
    )
    await play(world, alpha)
    assert await repeat(world, alpha, same=True) == 0
    assert await repeat(world, gamma, same=True) == 0
    assert "needs a host of the numeric class x86_64 cpu" in (await gamma.lease("repeat")).reason
    assert await repeat(world, beta, same=True, times=9) == 2
    assert {(row.state, row.host, row.checker) for row in await checks(world)} == {("same", "alpha", "beta")}
    await world.reconcile("spot checks")
    assert (await state_of(world, "alpha"))[0] == "ready"


async def test_a_lying_producer_is_quarantined_and_its_shards_since_its_last_good_check_are_refused(
    world: World,
) -> None:
    alpha, beta, gamma = await with_agents(world, "alpha", "beta", "gamma")
    good = await play(world, alpha)
    assert await repeat(world, beta, same=True, times=2) == 2
    bad, honest = await play(world, alpha), await play(world, gamma)
    replayed = f"UPDATE shard SET state = 'sound' WHERE sha256 IN {(bad[0], good[0])}"
    await world.write(lambda s: s.execute(text(replayed)))
    frozen = (await world.write(lambda s: datasets.make_dataset(s, CONFIG, 10**9))).sha256
    leased = await alpha.lease("selfplay")
    running = leased.assignment
    assert running is not None, leased.reason
    await world.write(lambda s: s.execute(text("DELETE FROM spot_check WHERE host = 'gamma'")))
    others = f"UPDATE job SET state = 'cancelled' WHERE kind = 'repeat' AND subject IN {tuple(honest)}"
    await world.write(lambda s: s.execute(text(others)))
    while await repeat(world, beta, same=False) and (await state_of(world, "alpha"))[0] == "ready":
        await repeat(world, gamma, same=False)
    state, reason = await state_of(world, "alpha")
    assert state == "quarantined" and "spot check of shard" in reason
    assert "beta" in reason and "gamma played it otherwise (game 2: move 17 differs)" in reason.replace(
        "gamma and beta", "beta and gamma"
    )
    states = await shard_states(world)
    assert {states[name] for name in bad} == {"refused"}
    assert "refused" not in {states[name] for name in [*good, *honest]}
    (event,) = await world.read(
        lambda s: s.exec(select(Event).where(Event.action == "host.distrusted")).all()
    )
    assert (event.subject, sorted(event.detail["shards"]), event.detail["refused"]) == ("alpha", bad, 2)
    assert event.detail["datasets"] == [frozen]
    job = await world.read(lambda s: s.get(Job, running.job))
    assert (job.state, job.attempts) == ("queued", 0), "what it held goes to others, at no fault of the work"
    assert not (await alpha.do_unit(running, 0, world.work)).accepted
    later = (await world.write(lambda s: datasets.make_dataset(s, CONFIG, 10**9))).sha256
    assert await world.read(lambda s: datasets.shards_of(s, later)) == [good[0]]


async def evaluated(world: World, agents: list[ScriptedAgent]) -> wire.Assignment:
    """Bring a test to where its first blocks are handed out, and give them to the first agent."""
    set_agents(world)

    async def trained() -> bool:
        return bool(await world.get("/models"))

    await world.enable()
    await world.run_until(agents, trained)
    await world.write(lambda s: s.execute(text("UPDATE agent SET numeric_class = 'x86_64 cpu'")))
    await world.reconcile("evaluation tests", "evaluation blocks")
    return (await agents[0].lease("evaluate")).assignment


async def blocks(world: World) -> dict[int, str]:
    """Return who reported the blocks that count."""
    query = select(EvaluationBlock.block, Agent.host).join(Result, Result.id == EvaluationBlock.result)
    return dict(await world.read(lambda s: s.exec(query.join(Agent, Agent.id == Result.agent)).all()))


async def found_out(world: World, liar: ScriptedAgent, others: list[ScriptedAgent]) -> None:
    """Let a host deliver a shard that nobody else can play."""
    set_agents(world, spot_check_share=1.0)
    await world.write(lambda s: s.execute(text("DELETE FROM spot_check")))
    spec = SelfplaySpec(config=CONFIG, player=PlayerSpec(kind="random"), shards=1, games_per_shard=4, seed=7)
    await world.write(lambda s: queue_job(s, spec, "selfplay:lie"))
    await liar.do_job((await liar.lease("selfplay")).assignment, world.work)
    await world.reconcile("ingest", "spot checks")
    for _ in range(3):
        for other in others:
            await repeat(world, other, same=False)
    assert (await state_of(world, liar.host))[0] == "quarantined"


async def test_the_blocks_of_a_host_that_is_found_out_are_asked_for_again(world: World) -> None:
    agents = [await world.agent(name, slots=2) for name in ("alpha", "beta", "gamma")]
    alpha, beta, _ = agents
    held = await evaluated(world, agents)
    honest, _ = world.work.unit(held.spec, 0)
    content = shard("made up")
    lie = honest | {"shard": hashlib.sha256(content).hexdigest()}
    lie["games"] = [game | {"game_id": sha("made up", game["game_id"])} for game in honest["games"]]
    await alpha.upload(content)
    assert (await alpha.report(held, 0, lie, [lie["shard"]])).json()["accepted"]
    assert (await alpha.do_unit(held, 1, world.work)).accepted
    kept = (await beta.lease("evaluate")).assignment
    await beta.do_job(kept, world.work)
    assert await blocks(world) == {0: "alpha", 1: "alpha", 2: "beta", 3: "beta"}
    await found_out(world, alpha, agents[1:])
    assert await blocks(world) == {2: "beta", 3: "beta"}
    (event,) = await world.read(
        lambda s: s.exec(select(Event).where(Event.action == "host.distrusted")).all()
    )
    assert event.detail["blocks"] == {held.spec["evaluation"]: [0, 1]} and event.detail["decided"] == []
    rest = (await beta.lease("evaluate")).assignment
    assert (rest.job, rest.done) == (held.job, [0, 1]), "what has a receipt is not asked for in the same job"
    await beta.finish(rest)
    await world.reconcile("evaluation blocks")
    again = (await beta.lease("evaluate")).assignment
    assert [again.spec[name] for name in ("first_block", "blocks")] == [0, 2]
    other, _ = world.work.unit(again.spec, 1)
    flipped = [game | {"winner": 3 - game["winner"]} for game in other["games"]]
    refused = await beta.report(again, 1, other | {"games": flipped}, [other["shard"]])
    assert refused.status_code == 422 and "reported before" in refused.text
    await beta.do_job(again, world.work)
    assert await blocks(world) == dict.fromkeys(range(4), "beta")
    (view,) = await world.get("/evaluations")
    assert view["state"] == "running" and view["games"] == 8
    twice = await beta.report((await beta.lease("evaluate")).assignment, 4, {**other, "block": 4}, [])
    assert twice.status_code == 422, "a game is evidence once"


async def test_what_a_test_decided_with_a_liars_blocks_stays_and_is_named(world: World) -> None:
    agents = [await world.agent(name) for name in ("alpha", "beta", "gamma")]
    held = await evaluated(world, agents)
    await agents[0].do_job(held, world.work)
    identity = held.spec["evaluation"]
    await world.write(lambda s: s.execute(text("UPDATE evaluation SET state = 'accepted'")))
    await found_out(world, agents[0], agents[1:])
    assert await blocks(world) == {0: "alpha", 1: "alpha"}
    (event,) = await world.read(
        lambda s: s.exec(select(Event).where(Event.action == "host.distrusted")).all()
    )
    assert (event.detail["blocks"], event.detail["decided"]) == ({}, [identity])


async def test_a_lying_checker_is_found_by_the_third_host_and_the_shard_stands(world: World) -> None:
    alpha, beta, gamma = await with_agents(world, "alpha", "beta", "gamma")
    await play(world, alpha)
    assert await repeat(world, beta, same=False) == 1
    assert await repeat(world, gamma, same=True, times=2) == 2
    assert (await state_of(world, "beta"))[0] == "quarantined"
    assert (await state_of(world, "alpha"))[0] == (await state_of(world, "gamma"))[0] == "ready"
    assert {row.state for row in await checks(world)} == {"same"}
    assert "refused" not in set((await shard_states(world)).values())


async def test_where_no_third_host_can_decide_the_producer_answers_for_its_shard(world: World) -> None:
    alpha, beta = await with_agents(world, "alpha", "beta")
    await play(world, alpha)
    await repeat(world, beta, same=False)
    state, reason = await state_of(world, "alpha")
    assert state == "quarantined" and "no third host could decide" in reason


async def test_a_check_that_nobody_can_do_in_a_day_is_closed_as_unable(world: World) -> None:
    (alpha,) = await with_agents(world, "alpha")
    shards = await play(world, alpha)
    assert {row.state for row in await checks(world)} == {"waiting"}
    assert await repetitions(world) == [], "no job waits for nobody"
    await world.write(lambda s: s.execute(text("UPDATE spot_check SET made_at = 1")))
    await world.reconcile("spot checks")
    assert {row.state for row in await checks(world)} == {"unable"} and len(shards) == 2
    assert all("no other host" in row.reason for row in await checks(world))


async def test_a_check_that_waits_for_a_host_is_asked_for_when_one_comes(world: World) -> None:
    (alpha,) = await with_agents(world, "alpha")
    await play(world, alpha)
    beta = await world.agent("beta")
    await world.write(lambda s: s.execute(text("UPDATE agent SET numeric_class = 'x86_64 cpu'")))
    await world.reconcile("spot checks")
    assert await repetitions(world) == ["queued", "queued"]
    assert await repeat(world, beta, same=True, times=2) == 2
    assert {row.state for row in await checks(world)} == {"same"}


async def test_a_repetition_that_nobody_is_left_for_closes_its_check(world: World) -> None:
    alpha, _ = await with_agents(world, "alpha", "beta")
    await play(world, alpha)
    assert await repetitions(world) == ["queued", "queued"]
    await world.write(lambda s: s.execute(text("UPDATE host SET state = 'quarantined' WHERE name = 'beta'")))
    await world.reconcile("spot checks")
    assert {row.state for row in await checks(world)} == {"unable"}
    assert all("no other host could do it" in row.reason for row in await checks(world))
    assert await repetitions(world) == ["cancelled", "cancelled"]


async def repetitions(world: World) -> list[str]:
    return await world.read(lambda s: list(s.exec(select(Job.state).where(Job.kind == "repeat")).all()))


async def test_a_repetition_that_crashes_its_only_host_again_and_again_closes_its_check(world: World) -> None:
    alpha, beta = await with_agents(world, "alpha", "beta")
    set_agents(world, patience_seconds=0.0)
    await play(world, alpha)
    while (job := await crash(beta, "Killed", "repeat")) is not None:
        await world.write(lambda s, j=job: s.execute(text(f"UPDATE job SET not_before = 0 WHERE id = '{j}'")))
    await world.reconcile("spot checks")
    rows = await checks(world)
    assert {row.state for row in rows} == {"unable"} and all("given up" in row.reason for row in rows)
    assert await state_of(world, "alpha") == ("ready", "")


async def test_a_producer_without_a_numeric_class_cannot_be_checked_and_is_not_accused(world: World) -> None:
    alpha, beta = await with_agents(world, "alpha", "beta", numeric_class="")
    await play(world, alpha)
    assert await repeat(world, beta, same=False) == 0
    assert {(row.state, row.reason) for row in await checks(world)} == {
        ("unable", "its producer did not tell its numeric class")
    }
    assert (await state_of(world, "alpha"))[0] == "ready"
