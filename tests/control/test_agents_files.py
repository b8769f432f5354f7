"""The agent's own way of moving files, against the controller's real routes."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from agents.connection import _raise_for
from agents.transfer import Files
from ringrift.errors import BadInput, Conflict, CorruptData, NotFound, Unreachable
from ringrift.protocol import agent as wire
from tests.control.doubles import ScriptedAgent, checkpoint
from tests.control.world import World


class Line:
    """The agent's connection, led into the app of the test's event loop; cut at the request number `cut`."""

    def __init__(self, agent: ScriptedAgent) -> None:
        self._agent = agent
        self._loop = asyncio.get_running_loop()
        self.requests: list[str] = []
        self.cut = 0

    def signed(self, method: str, path: str, body: bytes | str) -> dict[str, str]:
        digest = body if isinstance(body, str) else hashlib.sha256(body).hexdigest()
        return self._agent.signed(wire.streaming_signing_text(method, path, digest))

    def request(self, method: str, path: str, headers: dict[str, str], content: Any = None) -> httpx.Response:
        self.requests.append(f"{method} {path.partition('?')[2] or path.rpartition('/')[2]}")
        if len(self.requests) == self.cut:
            raise Unreachable("cut")
        body = content if isinstance(content, bytes | None) else content.read()
        asked = self._agent.http.request(method, path, headers=headers, content=body)
        response = asyncio.run_coroutine_threadsafe(asked, self._loop).result(60)
        _raise_for(response)
        return response

    @contextlib.contextmanager
    def stream(self, path: str, headers: dict[str, str]) -> Iterator[httpx.Response]:
        yield self.request("GET", path, headers)


@pytest.fixture
def content(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """An artifact of four chunks."""
    monkeypatch.setattr(wire, "CHUNK_BYTES", 1000)
    return checkpoint("y" * 3200)


def quiet() -> None:
    """Go on."""


async def files(world: World, name: str) -> tuple[Files, Line]:
    """Return the way of an agent's files whose assignment needs the file `name`."""
    agent = await world.agent("alpha")
    await world.holds(agent, name)
    line = Line(agent)
    return Files(line, line, "", ""), line  # type: ignore[arg-type]


async def test_a_file_goes_up_in_chunks_and_on_where_it_was_cut(
    world: World, tmp_path: Path, content: bytes
) -> None:
    name, path = hashlib.sha256(content).hexdigest(), tmp_path / "model"
    moving, line = await files(world, name)
    path.write_bytes(content)
    line.cut = 4
    with pytest.raises(Unreachable):
        await asyncio.to_thread(moving.upload, name, path, quiet)
    receipt = await asyncio.to_thread(moving.upload, name, path, quiet)
    assert (receipt.sha256, receipt.size) == (name, len(content))
    count = -(-len(content) // 1000)
    offsets = [f"PUT offset={1000 * k}{'&last=1' if k == count - 1 else ''}" for k in range(count)]
    assert line.requests == ["GET partial", *offsets[:3], "GET partial", *offsets[2:]]
    again = await asyncio.to_thread(moving.upload, name, path, quiet)
    assert again == receipt
    into = tmp_path / "copy"
    into.write_bytes(content[:1234])
    await asyncio.to_thread(moving.download, name, into, quiet)
    assert into.read_bytes() == content
    into.write_bytes(content + b"too much")
    await asyncio.to_thread(moving.download, name, into, quiet)
    assert into.read_bytes() == content


async def test_a_large_file_with_other_content_than_its_name_is_refused_for_good(
    world: World, tmp_path: Path, content: bytes
) -> None:
    name, path = hashlib.sha256(content).hexdigest(), tmp_path / "model"
    moving, _ = await files(world, name)
    path.write_bytes(os.urandom(2500))
    with pytest.raises((CorruptData, BadInput, Conflict)):
        await asyncio.to_thread(moving.upload, name, path, quiet)
    with pytest.raises(NotFound):
        await asyncio.to_thread(moving.download, name, tmp_path / "copy", quiet)
