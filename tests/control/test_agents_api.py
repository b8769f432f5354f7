"""The agents' API: enrolment, signatures, leases and epochs, receipts, artifacts."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import select

from ringrift.control.api.beating import BeatWindow
from ringrift.control.settings import Settings
from ringrift.control.store import fleet
from ringrift.control.store.jobs import cancel_jobs, queue_job
from ringrift.control.store.tables import Assignment, EnrolmentToken, Game, Job, Result, Shard
from ringrift.protocol import agent as wire
from ringrift.protocol.jobs import PlayerSpec, SelfplaySpec
from tests.control.doubles import RELEASE, ScriptedAgent, sha, shard
from tests.control.world import CONFIG, World, small_settings


async def queue(world: World, shards: int = 2) -> str:
    """Queue one self-play job and return its id."""
    spec = SelfplaySpec(
        config=CONFIG, player=PlayerSpec(kind="random"), shards=shards, games_per_shard=4, seed=7
    )
    return (await world.write(lambda s: queue_job(s, spec, "selfplay:test"))).id


async def leased(agent: ScriptedAgent, *kinds: str) -> wire.Assignment:
    reply = await agent.lease(*kinds)
    assert reply.assignment is not None, reply.reason
    return reply.assignment


async def make_overdue(world: World, column: str = "expires_at") -> None:
    """Let every lease run out on the database's clock, and let the controller notice."""
    await world.write(lambda s: s.execute(text(f"UPDATE assignment SET {column} = 1")))
    await world.reconcile("leases")


async def job_state(world: World, job: str) -> str:
    return await world.read(lambda s: s.get(Job, job).state)


async def count(world: World, table: type) -> int:
    return len(await world.read(lambda s: s.exec(select(table)).all()))


# --- enrolment and signatures ----------------------------------------------------------------------


async def test_a_token_enrols_once_and_a_lost_reply_can_be_asked_for_again(world: World) -> None:
    agent = await world.agent("alpha")
    token = await world.write(lambda s: fleet.mint_token(s, "alpha", 900.0))
    newer = ScriptedAgent(world.agents_app, "alpha")
    assert (await newer.enrol(token)).status_code == 200
    first = newer.id
    assert (await newer.enrol(token)).json()["agent"] == first
    thief = ScriptedAgent(world.agents_app, "alpha")
    refused = await thief.enrol(token)
    assert refused.status_code == 401 and refused.json()["error"]["code"] == "access_refused"
    assert "used already" in refused.json()["error"]["message"]
    answer = await agent.post(wire.LEASE, b'{"kinds":[]}')
    assert answer.status_code == 401, "the former agent of the host is revoked"


async def test_wrong_foreign_and_expired_tokens_are_refused(world: World) -> None:
    await world.agent("alpha")
    await world.agent("beta")
    token = await world.write(lambda s: fleet.mint_token(s, "beta", 900.0))
    for host, shown, fault in (("alpha", "x" * 43, "not valid"), ("alpha", token, "not valid")):
        refused = await ScriptedAgent(world.agents_app, host).enrol(shown)
        assert refused.status_code == 401 and fault in refused.json()["error"]["message"]
    await world.write(lambda s: s.execute(text("UPDATE enrolment_token SET expires_at = made_at - 1")))
    expired = await ScriptedAgent(world.agents_app, "beta").enrol(token)
    assert expired.status_code == 401 and "expired" in expired.json()["error"]["message"]


async def test_tokens_are_stored_hashed_and_a_new_one_replaces_the_unused(world: World) -> None:
    await world.agent("alpha")
    old = await world.write(lambda s: fleet.mint_token(s, "alpha", 900.0))
    await world.write(lambda s: fleet.mint_token(s, "alpha", 900.0))
    stored = await world.read(lambda s: s.exec(select(EnrolmentToken.digest)).all())
    assert old not in stored and hashlib.sha256(old.encode()).hexdigest() not in stored
    assert (await ScriptedAgent(world.agents_app, "alpha").enrol(old)).status_code == 401


async def test_unsigned_forged_and_replaced_requests_are_refused(world: World) -> None:
    agent = await world.agent("alpha")
    body = b'{"kinds":["selfplay"]}'
    good = agent.signed(wire.signing_text("POST", wire.LEASE, body))
    tries: list[tuple[bytes, dict[str, str]]] = [
        (body, {}),
        (body, {**good, wire.AGENT_HEADER: "agent_unknown"}),
        (body, {**good, wire.SIGNATURE_HEADER: "AAAA"}),
        (body, {**good, wire.SIGNATURE_HEADER: "not base64!"}),
        (b'{"kinds":["train"]}', good),
        (body, agent.signed(wire.signing_text("POST", wire.BEAT, body))),
        (body, (await world.agent("beta")).signed(b"x") | {wire.AGENT_HEADER: agent.id}),
    ]
    for content, headers in tries:
        answer = await agent.http.post(wire.LEASE, content=content, headers=headers)
        assert answer.status_code == 401, headers
        assert answer.json()["error"]["code"] == "access_refused"
    assert (await agent.http.post(wire.LEASE, content=body, headers=good)).status_code == 200


async def test_a_malformed_request_names_its_field(world: World) -> None:
    agent = await world.agent("alpha")
    for body, field in ((b'{"kinds":[1]}', "kinds.0"), (b"{", "body"), (b'{"kinds":"train"}', "kinds")):
        answer = await agent.post(wire.LEASE, body)
        assert answer.status_code == 422
        assert answer.json()["error"]["code"] == "bad_input"
        assert answer.json()["error"]["message"].startswith(field)


# --- leases and epochs -----------------------------------------------------------------------------


async def test_a_job_is_leased_to_one_agent_and_says_what_it_is(world: World) -> None:
    job = await queue(world)
    alpha, beta = await world.agent("alpha"), await world.agent("beta")
    assignment = await leased(alpha)
    assert (assignment.job, assignment.epoch, assignment.done) == (job, 1, [])
    assert assignment.spec["seed"] == 7 and assignment.lease_seconds == 120
    nothing = await beta.lease()
    assert nothing.assignment is None and nothing.reason
    full = await alpha.lease()
    assert full.assignment is None and "slots are busy" in full.reason


async def test_an_expired_lease_gives_the_job_to_another_agent_under_a_new_epoch(world: World) -> None:
    await queue(world)
    alpha, beta = await world.agent("alpha"), await world.agent("beta")
    old = await leased(alpha)
    assert (await alpha.do_unit(old, 0, world.work)).accepted
    await make_overdue(world)
    new = await leased(beta)
    assert (new.job, new.epoch, new.done) == (old.job, 2, [0])
    late = await alpha.do_unit(old, 1, world.work)
    assert (late.accepted, late.alive) == (False, False)
    assert (await alpha.beat(wire.Progress(assignment=old.assignment, epoch=1))).standing[0].alive is False
    assert not (await alpha.finish(old)).accepted
    await beta.do_job(new, world.work)
    assert await job_state(world, old.job) == "succeeded"


async def test_a_heartbeat_extends_the_lease_and_carries_progress(world: World) -> None:
    await queue(world)
    alpha = await world.agent("alpha")
    assignment = await leased(alpha)
    await world.write(lambda s: s.execute(text("UPDATE assignment SET expires_at = 1")))
    progress = wire.Progress(
        assignment=assignment.assignment, epoch=1, done=3, total=8, unit="games", rate=0.5
    )
    reply = await alpha.beat(progress)
    assert reply.standing[0].alive and not reply.stop and reply.next_beat_seconds == 15
    await world.reconcile("leases")
    job = (await world.get("/jobs"))[0]
    assert job["state"] == "leased" and job["progress"] == pytest.approx(3 / 8)
    assert (job["unit"], job["rate"], job["host"]) == ("games", 0.5, "alpha")


async def test_a_fleet_that_would_beat_too_often_is_asked_for_longer_pauses(world: World) -> None:
    agents = replace(world.settings.agents, beat_seconds=1.0, beats_per_second=1.0)
    world.context.settings = replace(world.settings, agents=agents)
    alpha, *_ = [await world.agent(name) for name in ("alpha", "beta", "gamma")]
    told = wire.BeatRequest(version="0.1.0", release=RELEASE, incarnation="start", telemetry=wire.Telemetry())
    assert (await BeatWindow(world.context).take(alpha.id, told)).next_beat_seconds == 3.0


async def test_a_deadline_is_not_extended_by_heartbeats(world: World) -> None:
    job = await queue(world)
    alpha = await world.agent("alpha")
    assignment = await leased(alpha)
    await alpha.beat(wire.Progress(assignment=assignment.assignment, epoch=1))
    await make_overdue(world, "deadline_at")
    row = await world.read(lambda s: s.get(Assignment, assignment.assignment))
    assert (row.state, row.reason) == ("failed", "deadline passed")
    assert await job_state(world, job) == "queued"


async def test_a_restarted_agent_gives_up_at_once_what_it_does_not_know_any_more(world: World) -> None:
    await queue(world)
    alpha, beta = await world.agent("alpha"), await world.agent("beta")
    lost = await leased(alpha)
    alpha.incarnation = "second"
    await alpha.beat()
    assert (await leased(beta)).job == lost.job


async def test_a_restarted_agent_keeps_what_it_found_in_its_spool(world: World) -> None:
    await queue(world)
    alpha = await world.agent("alpha")
    kept = await leased(alpha)
    alpha.incarnation = "second"
    reply = await alpha.beat(wire.Progress(assignment=kept.assignment, epoch=kept.epoch))
    assert reply.standing[0].alive
    await alpha.do_job(kept, world.work)
    assert await job_state(world, kept.job) == "succeeded"


async def test_three_failures_that_say_why_fail_a_job(world: World) -> None:
    alpha = await world.agent("alpha")
    failing = await queue(world)
    for _ in range(3):
        assignment = await leased(alpha)
        assert (await alpha.finish(assignment, "failed", "out of memory")).accepted
    assert await job_state(world, failing) == "failed"
    why = await world.get(f"/why/{failing}")
    assert "out of memory" in why["sentence"] and not why["conditions"][0]["passed"]


async def test_a_success_without_all_results_is_a_failure(world: World) -> None:
    job = await queue(world)
    alpha = await world.agent("alpha")
    assignment = await leased(alpha)
    await alpha.do_unit(assignment, 0, world.work)
    assert (await alpha.finish(assignment)).accepted
    row = await world.read(lambda s: s.get(Job, job))
    assert (row.state, row.attempts) == ("queued", 1)
    assert "1 of 2 results are missing" in row.reason


async def test_a_job_whose_last_agent_vanished_after_all_receipts_is_done(world: World) -> None:
    job = await queue(world)
    alpha = await world.agent("alpha")
    assignment = await leased(alpha)
    for sequence in (0, 1):
        await alpha.do_unit(assignment, sequence, world.work)
    await make_overdue(world)
    assert await job_state(world, job) == "succeeded"


async def test_finishing_again_gives_the_same_answer(world: World) -> None:
    await queue(world)
    alpha = await world.agent("alpha")
    assignment = await leased(alpha)
    await alpha.do_job(assignment, world.work)
    assert (await alpha.finish(assignment)).accepted
    assert not (await alpha.finish(assignment, "failed")).accepted


@pytest.mark.parametrize("state", ["draining", "quarantined", "provisioning", "retired", "new"])
async def test_a_host_that_should_not_work_gets_no_lease_and_its_reason(world: World, state: str) -> None:
    await queue(world)
    alpha = await world.agent("alpha")
    await world.write(lambda s: s.execute(text(f"UPDATE host SET state = '{state}'")))
    nothing = await alpha.lease()
    assert nothing.assignment is None and "host is" in nothing.reason
    assert (await alpha.beat()).stop is (state in ("draining", "quarantined", "retired"))


async def test_cancelled_work_is_stopped_at_the_next_heartbeat(world: World) -> None:
    job = await queue(world)
    alpha = await world.agent("alpha")
    assignment = await leased(alpha)
    await world.write(lambda s: cancel_jobs(s, [s.get(Job, job)], "not wanted"))
    reply = await alpha.beat(wire.Progress(assignment=assignment.assignment, epoch=1))
    assert not reply.standing[0].alive


async def test_a_starting_controller_gives_every_running_lease_its_whole_time_again(world: World) -> None:
    await queue(world)
    alpha = await world.agent("alpha")
    assignment = await leased(alpha)
    await world.write(lambda s: s.execute(text("UPDATE assignment SET expires_at = 1")))
    await world.restart()
    await world.reconcile("leases")
    alpha.http = ScriptedAgent(world.agents_app, "alpha").http
    await alpha.do_job(assignment, world.work)
    assert await job_state(world, assignment.job) == "succeeded"


# --- credentials of assignments --------------------------------------------------------------------


async def test_results_and_ends_without_the_assignments_secret_are_refused(world: World) -> None:
    await queue(world)
    alpha = await world.agent("alpha")
    assignment = await leased(alpha)
    assert assignment.credential
    payload, contents = world.work.unit(assignment.spec, 0)
    await alpha.upload(contents[0])
    digests = [hashlib.sha256(contents[0]).hexdigest()]
    for secret in ("", "wrong"):
        stolen = assignment.model_copy(update={"credential": secret})
        assert (await alpha.report(stolen, 0, payload, digests)).status_code == 401
        end = wire.FinishRequest(
            assignment=stolen.assignment, epoch=1, outcome="failed", credential=stolen.credential
        )
        assert (await alpha.post(wire.FINISH, end.model_dump_json().encode())).status_code == 401
    assert await count(world, Result) == 0 and await job_state(world, assignment.job) == "leased"
    assert (await alpha.report(assignment, 0, payload, digests)).status_code == 200


async def test_files_are_given_and_taken_for_live_assignments_that_need_them_only(world: World) -> None:
    await queue(world)
    alpha, beta = await world.agent("alpha"), await world.agent("beta")
    assert (await beta.upload(b"anything")).status_code == 401, "beta holds no assignment"
    await alpha.do_job(await leased(alpha), world.work)
    await world.reconcile("ingest")
    ingest = await leased(beta, "ingest")
    wanted = ingest.spec["shard"]
    other = next(name for name in world.work.shards if name != wanted)
    assert (await beta.download(wanted)).status_code == 200
    assert (await beta.download(other)).status_code == 401, "its assignment does not name that file"
    assert (await alpha.download(wanted)).status_code == 401, "what alpha held has ended"
    alpha.shown = beta.shown
    assert (await alpha.download(wanted)).status_code == 401, "the assignment is another agent's"
    beta.shown = {wire.ASSIGNMENT_HEADER: f"{ingest.assignment}:wrong"}
    assert (await beta.download(wanted)).status_code == 401
    assert (await beta.upload(b"anything")).status_code == 401


# --- receipts --------------------------------------------------------------------------------------


async def test_a_repeated_result_is_acknowledged_and_counted_once(world: World) -> None:
    await queue(world)
    alpha = await world.agent("alpha")
    assignment = await leased(alpha)
    first = await alpha.do_unit(assignment, 0, world.work)
    again = await alpha.do_unit(assignment, 0, world.work)
    assert (first.accepted, first.duplicate) == (True, False)
    assert (again.accepted, again.duplicate, again.alive) == (True, True, True)
    assert await count(world, Game) == 4 and await count(world, Shard) == 1
    receipts = (await world.get("/status"))["receipts"]
    assert receipts["games_receipted"] == receipts["games_stored"] == receipts["games_awaiting_ingest"] == 4


async def test_a_lost_receipt_is_given_again_even_after_the_work_went_to_another(world: World) -> None:
    await queue(world)
    alpha, beta = await world.agent("alpha"), await world.agent("beta")
    old = await leased(alpha)
    await alpha.do_unit(old, 0, world.work)
    await make_overdue(world)
    await leased(beta)
    again = await alpha.do_unit(old, 0, world.work)
    assert (again.accepted, again.duplicate, again.alive) == (True, True, False)
    assert await count(world, Result) == 1


async def test_a_result_of_artifacts_that_are_not_stored_is_refused(world: World) -> None:
    await queue(world)
    alpha = await world.agent("alpha")
    assignment = await leased(alpha)
    payload, contents = world.work.unit(assignment.spec, 0)
    name = hashlib.sha256(contents[0]).hexdigest()
    refused = await alpha.report(assignment, 0, payload, [name])
    assert refused.status_code == 409 and "is not stored" in refused.json()["error"]["message"]
    assert await count(world, Result) == 0


async def test_an_impossible_result_is_refused_and_leaves_nothing(world: World) -> None:
    await queue(world)
    alpha = await world.agent("alpha")
    assignment = await leased(alpha)
    payload, contents = world.work.unit(assignment.spec, 0)
    await alpha.upload(contents[0])
    for change in ({"config": "square8_2p"}, {"shard": sha("x")}, {"games": []}, {"elo": 0.0}):
        wrong: dict[str, Any] = {**payload, **change}
        refused = await alpha.report(assignment, 0, wrong, [payload["shard"]])
        assert refused.status_code == 422 and refused.json()["error"]["code"] == "bad_input"
    assert await count(world, Result) == 0 and await count(world, Game) == 0


async def test_a_result_of_another_agents_or_an_unknown_assignment_is_not_taken(world: World) -> None:
    await queue(world)
    alpha, beta = await world.agent("alpha"), await world.agent("beta")
    assignment = await leased(alpha)
    payload, contents = world.work.unit(assignment.spec, 0)
    await beta.upload(contents[0])
    stolen = await beta.report(assignment, 0, payload, [payload["shard"]])
    assert stolen.status_code == 401
    unknown = assignment.model_copy(update={"assignment": "try_unknown"})
    reply = await beta.report(unknown, 0, payload, [payload["shard"]])
    assert reply.status_code == 200 and reply.json()["accepted"] is False and reply.json()["alive"] is False


async def test_games_that_two_jobs_produced_alike_count_once(world: World) -> None:
    alpha = await world.agent("alpha")
    await queue(world)
    await alpha.do_job(await leased(alpha), world.work)
    spec = SelfplaySpec(config=CONFIG, player=PlayerSpec(kind="random"), shards=2, games_per_shard=4, seed=7)
    await world.write(lambda s: queue_job(s, spec, "selfplay:same seed"))
    await alpha.do_job(await leased(alpha), world.work)
    receipts = (await world.get("/status"))["receipts"]
    assert receipts["games_receipted"] == receipts["games_stored"] == 8


async def test_every_accepted_result_has_its_audit_row_and_no_refused_one_has(world: World) -> None:
    await queue(world)
    alpha = await world.agent("alpha")
    assignment = await leased(alpha)
    await alpha.report(assignment, 0, {"kind": "selfplay"}, [])
    await alpha.do_unit(assignment, 0, world.work)
    await alpha.do_unit(assignment, 0, world.work)
    events = await world.get("/events?limit=1000")
    accepted = [event for event in events if event["action"] == "result.accepted"]
    assert len(accepted) == 1
    assert accepted[0]["actor"] == alpha.id and accepted[0]["detail"]["sequence"] == 0


# --- artifacts -------------------------------------------------------------------------------------


async def test_an_artifact_comes_back_whole_and_from_any_offset(world: World) -> None:
    alpha = await world.agent("alpha")
    content = shard("games " * 200_000)
    name = hashlib.sha256(content).hexdigest()
    await world.holds(alpha, name)
    receipt = await alpha.upload(content)
    assert receipt.json() == {"sha256": name, "size": len(content)}
    assert (await alpha.upload(content)).status_code == 200
    assert (await alpha.download(name)).content == content
    part = await alpha.download(name, range="bytes=1000000-")
    assert part.status_code == 206 and part.content == content[1000000:]


async def test_an_upload_with_the_wrong_hash_leaves_nothing(world: World) -> None:
    alpha = await world.agent("alpha")
    await world.holds(alpha, sha("other bytes"))
    refused = await alpha.upload(b"some bytes", name=sha("other bytes"))
    assert refused.status_code == 422 and refused.json()["error"]["code"] == "corrupt_data"
    stored = [path for path in (world.home / "artifacts").rglob("*") if path.is_file()]
    assert [path.parent.name for path in stored] == ["quarantine"]
    missing = await alpha.download(sha("other bytes"))
    assert missing.status_code == 404


@pytest.mark.parametrize("name", ["..%2F..%2Fetc%2Fpasswd", "ABC", "0" * 63, "g" * 64])
async def test_only_64_hex_digits_name_an_artifact(world: World, name: str) -> None:
    alpha = await world.agent("alpha")
    assert (await alpha.upload(b"x", name=name)).status_code in (404, 422)
    assert (await alpha.download(name)).status_code in (401, 404, 422)


async def test_an_upload_that_is_cut_off_leaves_nothing(world: World) -> None:
    alpha = await world.agent("alpha")
    name = hashlib.sha256(b"whole file").hexdigest()
    await world.holds(alpha, name)
    path = f"{wire.ARTIFACTS}/{name}"
    headers = alpha.signed(wire.streaming_signing_text("PUT", path, name))
    messages = [{"type": "http.request", "body": b"whole", "more_body": True}, {"type": "http.disconnect"}]
    answers: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: Any) -> None:
        answers.append(message)

    scope = {
        "type": "http",
        "method": "PUT",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(key.encode(), value.encode()) for key, value in headers.items()],
        "http_version": "1.1",
        "scheme": "http",
        "server": ("controller", 80),
        "root_path": "",
    }
    await world.agents_app(scope, receive, send)
    assert answers[0]["status"] == 422
    assert [item for item in (world.home / "artifacts").rglob("*") if item.is_file()] == []


async def test_uploads_need_a_signature(world: World) -> None:
    alpha = await world.agent("alpha")
    name = hashlib.sha256(b"x").hexdigest()
    answer = await alpha.http.put(f"{wire.ARTIFACTS}/{name}", content=b"x")
    assert answer.status_code == 401


class TestLimits:
    """Sizes that the controller refuses."""

    @pytest.fixture
    def settings(self) -> Settings:
        return small_settings(limits={"body_bytes": 2048, "upload_bytes": 4096})

    async def test_too_large_bodies_and_uploads_are_refused(self, world: World) -> None:
        alpha = await world.agent("alpha")
        answer = await alpha.post(wire.LEASE, b" " * 2049)
        assert answer.status_code == 422 and "larger than 2048 bytes" in answer.json()["error"]["message"]
        await world.holds(alpha, sha("anything"))
        answer = await alpha.upload(b"x" * 4097)
        assert answer.status_code == 422 and "larger than 4096" in answer.json()["error"]["message"]


async def test_an_old_agents_work_expires_when_its_host_is_removed(world: World) -> None:
    await queue(world)
    alpha, beta = await world.agent("alpha"), await world.agent("beta")
    await leased(alpha)
    await world.post("/hosts/alpha/remove", status=409)
    await make_overdue(world)
    assert (await world.post("/hosts/alpha/remove"))["state"] == "retired"
    assert (await alpha.post(wire.LEASE, b'{"kinds":[]}')).status_code == 401
    assert await leased(beta)


async def test_why_a_host_takes_nothing_is_shown_as_long_as_its_heartbeats_say_so(world: World) -> None:
    agent = await world.agent("alpha")
    await agent.lease("selfplay")
    by_lease = (await world.get("/hosts/alpha"))["idle_reason"]
    assert by_lease
    wish = wire.BeatRequest(
        version="0.1.0",
        release=RELEASE,
        incarnation=agent.incarnation,
        telemetry=wire.Telemetry(),
        idle="disk 97 % full",
    )
    assert (await agent.post(wire.BEAT, wish.model_dump_json().encode())).status_code == 200
    assert (await world.get("/hosts/alpha"))["idle_reason"] == "disk 97 % full"
    await agent.beat()
    assert (await world.get("/hosts/alpha"))["idle_reason"] == by_lease
