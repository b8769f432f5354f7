"""The agents' API: all routes x all states of a caller, on the long way and on the short way of a request."""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from sqlmodel import Session

from ringrift.control.api.protocol import agent_protocol
from ringrift.control.app import _serving
from ringrift.control.store import fleet
from ringrift.control.store.tables import EnrolmentToken
from ringrift.protocol import agent as wire
from ringrift.protocol.sessions import SESSION, SESSION_HEADER, header
from tests.control.doubles import ScriptedAgent, sha, shard
from tests.control.world import World
from tests.security.test_matrix import is_refusal, routes, rows

FILE = "f" * 64
OPEN = {("POST", wire.ENROL)}
"""Without a signature on purpose: its token is asked for instead."""

SIGNED = {
    ("POST", SESSION),
    *(("POST", path) for path in (wire.BEAT, wire.LEASE, wire.RESULTS, f"{wire.RESULTS}/batch", wire.FINISH)),
    ("GET", f"{wire.ARTIFACTS}/{{sha256}}"),
    ("PUT", f"{wire.ARTIFACTS}/{{sha256}}"),
    ("GET", f"{wire.ARTIFACTS}/{{sha256}}/partial"),
    ("GET", f"{wire.ARTIFACTS}/{{sha256}}/url"),
    ("POST", f"{wire.ARTIFACTS}/{{sha256}}/claim"),
}
BODIES: dict[str, dict[str, Any]] = {
    SESSION: {"challenge": "1.00", "incarnation": "x"},
    wire.BEAT: {"version": "1", "release": "r", "incarnation": "x", "telemetry": {}},
    wire.LEASE: {"kinds": ["selfplay"]},
    wire.RESULTS: {"assignment": "a", "epoch": 1, "sequence": 0, "payload": {}},
    f"{wire.RESULTS}/batch": {"results": []},
    wire.FINISH: {"assignment": "a", "epoch": 1, "outcome": "failed"},
}


def request(method: str, path: str) -> tuple[str, str, bytes, str]:
    """Return method, path with query, body, and the hash that is signed of a sound request of a route."""
    body = json.dumps(BODIES[path]).encode() if path in BODIES else b""
    where = path.replace("{sha256}", FILE) + ("?method=get" if path.endswith("/url") else "")
    return method, where, body, FILE if method == "PUT" else hashlib.sha256(body).hexdigest()


@asynccontextmanager
async def served(world: World, folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    """The agents' API on a real socket, with the short way in front."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(folder / "s"))
        listener.listen(8)
        transport = httpx.AsyncHTTPTransport(uds=str(folder / "s"))
        async with (
            _serving(world.agents_app, listener, agent_protocol(world.context)),
            httpx.AsyncClient(transport=transport, base_url="http://c") as http,
        ):
            yield http


def test_every_route_of_the_agents_api_is_written_down_and_the_short_way_has_no_other(world: World) -> None:
    assert routes(world.agents_app) == SIGNED | OPEN, "write the route down: who may ask it?"
    short = {("POST", path.decode()) for path in agent_protocol(world.context).paths}
    assert short <= SIGNED, "enrolment goes the long way"


def signatures(
    agent: ScriptedAgent, other: ScriptedAgent, gone: ScriptedAgent, text: bytes
) -> dict[str, Any]:
    """Return the headers of callers who sign, wrongly, by what is wrong."""
    good, theirs = agent.signed(text), other.signed(text)
    name, sign = wire.AGENT_HEADER, wire.SIGNATURE_HEADER
    return {
        "nothing": {},
        "no signature": {name: agent.id},
        "no name": {sign: good[sign]},
        "malformed": {**good, sign: "%%%"},
        "cut": {**good, sign: good[sign][:-4]},
        "wrong": {**good, sign: agent.signed(text + b"x")[sign]},
        "of another agent": {**good, sign: theirs[sign]},
        "unknown agent": {**good, name: "agent_000000000000"},
        "no agent at all": {**good, name: "' OR 1=1 --"},
        "revoked": gone.signed(text),
    }


def sessions(
    world: World, agent: ScriptedAgent, method: str, path: str, signed: str
) -> dict[str, str | bytes]:
    """Return session headers that open nothing, by what is wrong."""
    known = world.context.sessions
    mine = known.open(agent.id, known.challenge(agent.id), agent.incarnation)
    key = bytes.fromhex(mine.key)
    sound = header(mine.session, key, 1, method, path, signed)
    known.agent_of(sound, method, path, signed)
    return {
        "used counter": sound,
        "wrong hash": header(mine.session, b"k" * 32, 2, method, path, signed),
        "of another path": header(mine.session, key, 3, method, f"{path}x", signed),
        "of another method": header(mine.session, key, 4, "HEAD", path, signed),
        "of another body": header(mine.session, key, 5, method, path, sha("another")),
        "unknown session": header("0" * 24, key, 6, method, path, signed),
        "malformed": "nonsense",
        "empty": "",
        "negative counter": f"{mine.session}.-1.00",
        "huge counter": f"{mine.session}.{'9' * 300}.00",
        "raised counter": f"{mine.session}.\u00b2.00".encode("latin-1"),
    }


async def hello_with_a_good_challenge(world: World, http: httpx.AsyncClient, name: str) -> str:
    """Return the answer to a hello whose challenge is this agent's and whose signature is not."""
    body = json.dumps({"challenge": world.context.sessions.challenge(name), "incarnation": "x"}).encode()
    headers = {wire.AGENT_HEADER: name, wire.SIGNATURE_HEADER: "A" * 86 + "=="}
    answer = await http.post(SESSION, content=body, headers=headers)
    assert is_refusal(answer, 401), (name, answer.text)
    return answer.text


async def test_no_stranger_gets_in_anywhere_and_nothing_changes(world: World, tmp_path: Path) -> None:
    agent, other, gone = [await world.agent(name) for name in ("alpha", "beta", "gamma")]
    await world.write(lambda s: fleet.revoke_agents(s, "gamma", "test"))
    before, alike, greeted = await world.read(rows), set(), set()
    async with served(world, tmp_path) as http:
        for method, path, body, signed in sorted(request(*route) for route in SIGNED):
            told = greeted if path == SESSION else alike
            text = wire.streaming_signing_text(method, path, signed)
            for what, headers in signatures(agent, other, gone, text).items():
                answer = await http.request(method, path, content=body, headers=headers)
                assert is_refusal(answer, 401), (method, path, what, answer.text)
                told.add(answer.text)
            if path == SESSION:
                continue
            for what, shown in sessions(world, agent, method, path, signed).items():
                named = {SESSION_HEADER: shown, wire.AGENT_HEADER: agent.id}
                answer = await http.request(method, path, content=body, headers=named)
                assert is_refusal(answer, 401), (method, path, what, answer.text)
        alike |= {
            await hello_with_a_good_challenge(world, http, name) for name in (agent.id, gone.id, "nobody")
        }
    assert len(alike) == len(greeted) == 1, "which agents there are is not told"
    assert await world.read(rows) == before


async def test_a_session_ends_with_the_access_of_its_agent(world: World, tmp_path: Path) -> None:
    agent, known = await world.agent("alpha"), world.context.sessions
    session = known.open(agent.id, known.challenge(agent.id), agent.incarnation)
    await world.write(lambda s: fleet.revoke_agents(s, "alpha", "test"))
    before = await world.read(rows)
    async with served(world, tmp_path) as http:
        for counter, route in enumerate(sorted(SIGNED - {("POST", SESSION)}), 1):
            method, path, body, signed = request(*route)
            shown = header(session.session, bytes.fromhex(session.key), counter, method, path, signed)
            answer = await http.request(method, path, content=body, headers={SESSION_HEADER: shown})
            assert is_refusal(answer, 401), (
                method,
                path,
                answer.text,
            )
    assert await world.read(rows) == before


async def test_an_enrolment_token_is_good_for_one_agent_of_one_host_in_time(world: World) -> None:
    agent = await world.agent("alpha")
    await world.agent("beta")

    def expired(session: Session) -> str:
        token = fleet.mint_token(session, "beta", 900.0)
        row = session.get(EnrolmentToken, hashlib.sha256(token.encode()).hexdigest())
        assert row is not None
        row.expires_at = 1.0
        return token

    late = await world.write(expired)
    fresh = await world.write(lambda s: fleet.mint_token(s, "alpha", 900.0))
    before, told = await world.read(rows), set()
    for host, token in (
        ("beta", late),
        ("beta", fresh),
        ("nobody", fresh),
        ("alpha", "w" * 43),
        ("beta", "x" * 43),
    ):
        answer = await ScriptedAgent(world.agents_app, host).enrol(token)
        assert is_refusal(answer, 401), (host, answer.text)
        told.add(answer.json()["error"]["message"])
    assert told == {"enrolment token is not valid", "enrolment token has expired"}
    assert await world.read(rows) == before
    first = ScriptedAgent(world.agents_app, "alpha")
    assert (await first.enrol(fresh)).status_code == 200
    assert is_refusal(await ScriptedAgent(world.agents_app, "alpha").enrol(fresh), 401), "it was used up"
    assert is_refusal(await agent.post(wire.LEASE, b'{"kinds": []}'), 401), "its host has a new agent"
    for body in (b"", b"[]", b"{", b"\xff", json.dumps({"token": "x" * 5000}).encode()):
        assert is_refusal(await first.http.post(wire.ENROL, content=body), 422)


async def test_work_of_others_and_superseded_work_is_out_of_reach(world: World) -> None:
    alpha, beta = await world.agent("alpha", slots=2), await world.agent("beta")
    await world.enable()
    await world.reconcile("selfplay")
    mine, theirs = (await alpha.lease()).assignment, (await beta.lease()).assignment
    assert mine and theirs and mine.credential and theirs.credential
    before, content = await world.read(rows), shard("words")
    wrong = (
        {}, {wire.ASSIGNMENT_HEADER: "nonsense"},
        {wire.ASSIGNMENT_HEADER: f"{mine.assignment}:{theirs.credential}"},
        {wire.ASSIGNMENT_HEADER: f"{theirs.assignment}:{theirs.credential}"},
        {wire.ASSIGNMENT_HEADER: f"{mine.assignment}:"},
    )  # fmt: skip
    for shown in wrong:
        alpha.shown = shown
        assert is_refusal(await alpha.upload(content), 401), shown
        assert is_refusal(await alpha.download(FILE), 401), shown
    for assignment in (theirs, mine.model_copy(update={"credential": theirs.credential})):
        answer = await alpha.report(assignment, 0, {}, [])
        assert is_refusal(answer, 401, 404, 422) or not answer.json()["accepted"], answer.text
    assert await world.read(rows) == before
    await world.write(lambda s: fleet.revoke_agents(s, "beta", "its host was given up"))
    await world.reconcile("leases")
    before = await world.read(rows)
    beta.works_for(theirs)
    assert is_refusal(await beta.upload(content), 401)
    alpha.works_for(theirs)
    assert is_refusal(await alpha.upload(content), 401)
    assert not (await alpha.finish(theirs)).accepted
    assert await world.read(rows) == before
