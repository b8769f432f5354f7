"""Sessions of agents: one hello, each request once, and the short way of a request over a real socket."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agents.connection import Connection
from agents.controller import Controller
from agents.identity import Identity
from ringrift.control.api.protocol import agent_protocol
from ringrift.control.app import _serving
from ringrift.control.sessions import Sessions
from ringrift.errors import AccessRefused, Replaced, SessionUnknown
from ringrift.protocol import agent as wire
from ringrift.protocol.sessions import SESSION_HEADER, WINDOW, SessionReply, header
from tests.control.doubles import ScriptedAgent
from tests.control.world import World

BODY = b"{}"
SHA = hashlib.sha256(BODY).hexdigest()


def opened(sessions: Sessions, agent: str = "a", start: str = "first") -> SessionReply:
    return sessions.open(agent, sessions.challenge(agent), start)


def sent(reply: SessionReply, counter: int, path: str = wire.BEAT, body: bytes = BODY) -> str:
    return header(reply.session, bytes.fromhex(reply.key), counter, "POST", path, body)


def test_a_request_is_good_for_once_and_only_as_it_was_sent() -> None:
    sessions = Sessions()
    mine, other = opened(sessions), opened(sessions, "b")
    shown = sent(mine, 1)
    assert sessions.agent_of(shown, "POST", wire.BEAT, SHA) == "a"
    with pytest.raises(AccessRefused, match="sent before"):
        sessions.agent_of(shown, "POST", wire.BEAT, SHA)
    forged = (
        (sent(mine, 2), wire.LEASE, SHA),
        (sent(mine, 2), wire.BEAT, hashlib.sha256(b"[]").hexdigest()),
        (sent(mine, 2).replace(mine.session, other.session), wire.BEAT, SHA),
        (sent(mine, 2).replace(".2.", ".3."), wire.BEAT, SHA),
        (f"{mine.session}.-1.00", wire.BEAT, SHA),
        (f"{mine.session}.{'9' * 400}.00", wire.BEAT, SHA),
        (mine.session, wire.BEAT, SHA),
    )
    for text, path, sha256 in forged:
        with pytest.raises(AccessRefused):
            sessions.agent_of(text, "POST", path, sha256)
    assert sessions.agent_of(sent(mine, 2), "POST", wire.BEAT, SHA) == "a", "what was forged used nothing up"


def test_requests_may_overtake_each_other_within_the_window_and_each_counts_once() -> None:
    sessions, counters = Sessions(), list(range(1, 3 * WINDOW))
    reply = opened(sessions)
    rng, seen, top = random.Random(7), set[int](), 0
    counters.sort(key=lambda counter: counter + rng.uniform(0, 1.5 * WINDOW))
    late = 0
    for counter in [*counters, *counters[::5]]:
        fresh = counter not in seen and top - counter < WINDOW
        late += counter not in seen and not fresh
        try:
            sessions.agent_of(sent(reply, counter), "POST", wire.BEAT, SHA)
            assert fresh, counter
            seen.add(counter)
        except AccessRefused:
            assert not fresh, counter
        top = max(top, counter) if fresh else top
    assert late, "some came too late for the window"


def test_a_recorded_hello_opens_nothing() -> None:
    sessions = Sessions()
    challenge = sessions.challenge("a")
    sessions.open("a", challenge, "first")
    stale = (challenge, "", "1.00", sessions.challenge("b"), Sessions().challenge("a"))
    for again in stale:
        with pytest.raises(SessionUnknown) as caught:
            sessions.open("a", again, "first")
        assert caught.value.challenge
    assert sessions.open("a", caught.value.challenge, "first")


def test_of_two_agents_with_one_key_the_older_is_refused_for_good() -> None:
    sessions = Sessions()
    older = opened(sessions, start="older")
    newer = opened(sessions, start="newer")
    with pytest.raises(SessionUnknown):
        sessions.agent_of(sent(older, 1), "POST", wire.BEAT, SHA)
    with pytest.raises(Replaced):
        opened(sessions, start="older")
    assert sessions.agent_of(sent(newer, 1), "POST", wire.BEAT, SHA) == "a"
    assert len(sessions) == 1


@asynccontextmanager
async def listening(world: World, folder: Path) -> AsyncIterator[Path]:
    """The agents' API on a real socket; `controller.json` of an agent that reaches it."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(folder / "s"))
    listener.listen(8)
    address = folder / "controller.json"
    address.write_text(json.dumps({"uds": str(folder / "s")}))
    async with _serving(world.agents_app, listener, agent_protocol(world.context)):
        yield address


def beat_body(agent: ScriptedAgent) -> bytes:
    request = wire.BeatRequest(
        version="1", release="r", incarnation=agent.incarnation, telemetry=wire.Telemetry()
    )
    return request.model_dump_json().encode()


async def test_an_agent_says_hello_once_and_again_after_a_restart(world: World, tmp_path: Path) -> None:
    scripted = await world.agent("alpha")
    async with listening(world, tmp_path) as address:
        agent = Controller(Connection(address), Identity(scripted.id, scripted.key))
        beat = wire.BeatRequest.model_validate_json(beat_body(scripted))
        for _ in range(3):
            assert (await asyncio.to_thread(agent.beat, beat)).next_beat_seconds == 15
        assert len(world.context.sessions) == 1
        world.context.sessions = Sessions()
        assert not (await asyncio.to_thread(agent.beat, beat)).stop
        replies = await asyncio.gather(*(asyncio.to_thread(agent.beat, beat) for _ in range(8)))
        assert len(replies) == 8, "threads of one agent share its session"
        agent.connection.close()


async def test_the_short_way_answers_as_the_long_way_does(world: World, tmp_path: Path) -> None:
    scripted = await world.agent("alpha")
    body = beat_body(scripted)
    reply = opened(world.context.sessions, scripted.id, scripted.incarnation)
    counters = iter(range(1, 100))

    def request(path: str = wire.BEAT, content: bytes = body, more: str = "") -> bytes:
        shown = header(reply.session, bytes.fromhex(reply.key), next(counters), "POST", path, content)
        head = f"POST {path} HTTP/1.1\r\nHost: c\r\n{SESSION_HEADER}: {shown}\r\n{more}"
        return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content

    async with listening(world, tmp_path):
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))

        async def answer() -> tuple[int, dict[str, object]]:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
            return int(head[9:12]), json.loads(await reader.readexactly(length))

        async def ask(*parts: bytes) -> tuple[int, dict[str, object]]:
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0)
            return await answer()

        whole = request()
        status, said = await ask(whole)
        assert (status, said["stop"]) == (200, False)
        assert (await ask(whole))[0] == 401, "sent before"
        assert await ask(request(more="Upgrade: x\r\n")) == (200, said), "the long way gives the same answer"
        again = request()
        assert await ask(*(again[i : i + 7] for i in range(0, len(again), 7))) == (200, said)
        writer.write(request() + request() + request(wire.LEASE, b'{"kinds":[]}'))
        assert [(await answer())[0] for _ in range(3)] == [200, 200, 200]
        assert (await ask(request(content=b"{}")))[0] == 422
        assert (await ask(b"GET /agent/v1/beat HTTP/1.1\r\nHost: c\r\n\r\n"))[0] == 405
        assert (await ask(request()))[0] == 200, "the connection goes on"
        writer.close()
