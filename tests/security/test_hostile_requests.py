"""Requests as an attacker on a host would send them, byte by byte, to the agents' API on a real socket."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from fastapi import Response

from ringrift.protocol import agent as wire
from ringrift.protocol.sessions import SESSION_HEADER, header
from tests.control.doubles import ScriptedAgent
from tests.control.world import World
from tests.security.test_agents_matrix import served
from tests.security.test_matrix import rows

LAST = b"GET /last HTTP/1.1\r\nhost: c\r\nconnection: close\r\n\r\n"
BEAT = json.dumps({"version": "1", "release": "r", "incarnation": "x", "telemetry": {}}).encode()


class Attacker:
    """Speaks raw bytes, with the session of one agent."""

    def __init__(self, world: World, agent: ScriptedAgent, path: Path) -> None:
        self.agent, self.path, self.counter = agent, path, 0
        known = world.context.sessions
        self.session = known.open(agent.id, known.challenge(agent.id), agent.incarnation)

    def shown(self, path: str, body: bytes, method: str = "POST") -> str:
        """Return a good session header."""
        self.counter += 1
        key = bytes.fromhex(self.session.key)
        return header(self.session.session, key, self.counter, method, path, body)

    def beat(self, *more: str, length: str | None = None, body: bytes = BEAT) -> bytes:
        """Return a request that is good but for headers that are added."""
        size = [f"content-length: {len(body) if length is None else length}"] if length != "" else []
        lines = [f"{SESSION_HEADER}: {self.shown(wire.BEAT, body)}", *size, *more]
        return "\r\n".join([f"POST {wire.BEAT} HTTP/1.1", "host: c", *lines, "", ""]).encode("latin-1") + body

    async def send(self, *parts: bytes) -> list[int]:
        """Send bytes and a last request on a connection of their own; return the statuses but the last's."""
        reader, writer = await asyncio.open_unix_connection(str(self.path))
        text = b""
        try:
            for part in (*parts, LAST):
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0)
            async with asyncio.timeout(30):
                while more := await reader.read(65536):
                    text += more
        except ConnectionError:
            pass
        writer.close()
        assert b"Traceback" not in text and self.session.key.encode() not in text
        found = [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", text)]
        return found[:-1] if found[-1:] == [418] else found


@pytest.fixture
async def attacker(world: World, tmp_path: Path) -> AsyncIterator[Attacker]:
    agent = await world.agent("alpha")
    world.agents_app.add_api_route("/last", lambda: Response(status_code=418))
    async with served(world, tmp_path):
        yield Attacker(world, agent, tmp_path / "s")


FRAMINGS: dict[str, Callable[[Attacker], bytes]] = {
    "line feed in a header": lambda a: a.beat("x-a: b\ntransfer-encoding: chunked"),
    "carriage return in a header": lambda a: a.beat("x-a: b\rcontent-length: 3"),
    "NUL in a header": lambda a: a.beat("x-a: b\0c"),
    "two lengths": lambda a: a.beat("content-length: 3"),
    "a length and chunks": lambda a: a.beat("transfer-encoding: chunked"),
    "chunks with a space": lambda a: a.beat("transfer-encoding : chunked"),
    "a name with a space": lambda a: a.beat("x a: b"),
    "no colon": lambda a: a.beat("nonsense"),
    "length with a sign": lambda a: a.beat(length=f"+{len(BEAT)}"),
    "negative length": lambda a: a.beat(length="-1"),
    "length in hex": lambda a: a.beat(length="0x10"),
    "length in other digits": lambda a: a.beat(length="\xb2"),
    "endless length": lambda a: a.beat(length="9" * 500),
    "endless header": lambda a: a.beat("x-a: " + "b" * 900_000),
    "many headers": lambda a: a.beat(*(f"x-{n}: b" for n in range(20_000))),
    "no version": lambda a: a.beat().replace(b" HTTP/1.1", b"", 1),
    "an endless line": lambda a: b"POST /agent/v1/" + b"a" * 300_000,
    "rubbish": lambda a: bytes(range(256)) * 50,
}


@pytest.mark.parametrize("what", FRAMINGS)
async def test_a_request_with_two_readings_has_none(what: str, attacker: Attacker, world: World) -> None:
    before = await world.read(rows)
    found = await attacker.send(FRAMINGS[what](attacker))
    assert len(found) <= 1 and set(found) <= {400, 401, 413, 422, 431}, found
    assert await world.read(rows) == before
    assert await attacker.send(attacker.beat()) == [200], "others are served as before"


async def test_each_request_of_a_connection_shows_a_session_of_its_own(
    attacker: Attacker, world: World
) -> None:
    good, inner = attacker.beat(), attacker.beat()
    smuggled = attacker.beat(body=BEAT, length=str(len(BEAT)))
    replayed = [good, good, inner]
    assert await attacker.send(b"".join(replayed)) == [200, 401, 200]
    assert await attacker.send(smuggled + b"GET / HTTP/1.1\r\nhost: c\r\n\r\n" + attacker.beat()) == [
        200,
        404,
        200,
    ]
    before = await world.read(rows)
    bare = attacker.beat(length=str(len(BEAT) - 5))
    assert set(await attacker.send(bare + attacker.beat())) <= {400, 401}, "the rest of a body is no request"
    assert await world.read(rows) == before


async def test_a_slow_and_a_cut_request_cost_nobody_else_anything(attacker: Attacker) -> None:
    slow = attacker.beat()
    assert await attacker.send(*(slow[at : at + 1] for at in range(len(slow)))) == [200]
    waiting = [await asyncio.open_unix_connection(str(attacker.path)) for _ in range(50)]
    for _, writer in waiting:
        writer.write(attacker.beat()[:-3])
    assert await attacker.send(attacker.beat()) == [200]
    for _, writer in waiting:
        writer.transport.abort()
    assert await attacker.send(attacker.beat()[:-3]) == [401, 400], "what follows was its body"


async def test_chunks_go_the_long_way_and_mean_the_same(attacker: Attacker) -> None:
    head, body = attacker.beat("transfer-encoding: chunked", length="").split(b"\r\n\r\n", 1)
    chunks = b"".join(b"%x\r\n%b\r\n" % (1, body[at : at + 1]) for at in range(len(body)))
    assert await attacker.send(head + b"\r\n\r\n" + chunks + b"0\r\n\r\n") == [200]
    head, body = attacker.beat("transfer-encoding: chunked", length="").split(b"\r\n\r\n", 1)
    assert await attacker.send(head + b"\r\n\r\n5\r\n" + body + b"\r\n0\r\n\r\n" + attacker.beat()) in (
        [400],
        [401],
        [],
    )


PATHS = ("../../../../etc/passwd", "..%2f..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/etc/passwd", "..", ".", "",
         "....//....//etc/passwd", "%252e%252e%252f", "A" * 64, "f" * 63, "f" * 65, "f" * 64 + "%0a",
         "f" * 64 + "%00", "f" * 64 + "/../../../etc/passwd", "quarantine", "incoming/x",
         "f" * 9000)  # fmt: skip


@pytest.mark.parametrize("name", PATHS)
async def test_no_name_of_an_artifact_leads_elsewhere(name: str, attacker: Attacker, world: World) -> None:
    def files() -> list[str]:
        return sorted(
            str(path) for path in world.home.rglob("*") if path.is_file() and ".db" not in path.name
        )

    before = files()
    for method, body in (("GET", b""), ("PUT", b"owned")):
        for tail in ("", "/partial", "?offset=0&last=1") if method == "GET" else ("", "?offset=0&last=1"):
            path = f"{wire.ARTIFACTS}/{name}{tail}"
            shown = attacker.shown(path, body, method)
            sha = hashlib.sha256(body).hexdigest()
            lines = [f"{method} {path} HTTP/1.1", "host: c", f"{SESSION_HEADER}: {shown}",
                     f"{wire.CHUNK_HEADER}: {sha}", f"content-length: {len(body)}", "", ""]  # fmt: skip
            [status] = await attacker.send("\r\n".join(lines).encode() + body)
            assert status in (400, 401, 404, 405, 422), (method, path, status)
    assert files() == before
