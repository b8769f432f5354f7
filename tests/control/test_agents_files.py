"""The agent's own way of moving files, against the controller's real routes."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from agents.bucket import REST_SECONDS, Bucket
from agents.connection import _raise_for
from agents.transfer import Files
from ringrift.control.objects import open_objects
from ringrift.control.reconcile import retention
from ringrift.control.store.artifacts import note_artifact, stored_size
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

    def request(
        self, method: str, path: str, headers: dict[str, str], content: Any = None, timeout: Any = None
    ) -> httpx.Response:
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


class Ticks:
    """A clock that a test moves."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


async def files(world: World, name: str, clock: Ticks | None = None) -> tuple[Files, Line]:
    """Return the way of an agent's files whose assignment needs the file `name`."""
    agent = await world.agent("alpha")
    await world.holds(agent, name)
    line = Line(agent)
    moving = Files(line, line, Bucket(clock or Ticks()), f"try_{name[:12]}_alpha", "secret")  # type: ignore[arg-type]
    return moving, line


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
    asked = ["GET partial", "GET method=put"]
    assert line.requests == [*asked, *offsets[:2], "GET partial", *offsets[1:]], "a folder has no addresses"
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


class TestBucket:
    """Where artifacts are in a bucket, files go there and come from there; trouble costs a detour only."""

    @pytest.fixture(autouse=True)
    def bucket(self, world: World, s3: str, tmp_path: Path) -> None:
        world.context.artifacts.objects = open_objects(s3.replace("some/prefix", f"agents/{tmp_path.name}"))

    @staticmethod
    def sign(world: World, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
        async def signed(method: str, key: str, seconds: int) -> str:
            return url

        monkeypatch.setattr(world.context.artifacts.objects, "sign", signed)

    @staticmethod
    async def kept(world: World, content: bytes) -> None:
        """Let the controller have this file."""
        source = world.home / "kept"
        source.write_bytes(content)
        sha256, size = await world.context.artifacts.put_file(source)
        await world.write(lambda s: note_artifact(s, sha256, size, "test"))

    async def test_a_large_file_is_put_there_and_the_controller_gives_the_receipt(
        self, world: World, tmp_path: Path, content: bytes
    ) -> None:
        name, path = hashlib.sha256(content).hexdigest(), tmp_path / "model"
        moving, line = await files(world, name)
        path.write_bytes(content)
        receipt = await asyncio.to_thread(moving.upload, name, path, quiet)
        assert (receipt.sha256, receipt.size) == (name, len(content))
        assert line.requests == ["GET partial", "GET method=put", "POST claim"]
        assert await world.read(lambda s: stored_size(s, name)) == len(content)
        assert (await world.context.artifacts.existing(name)).read_bytes() == content
        line.requests.clear()
        assert await asyncio.to_thread(moving.upload, name, path, quiet) == receipt
        assert line.requests == ["GET partial", f"PUT offset={len(content)}&last=1"], "nothing goes twice"

    async def test_a_file_comes_from_there_also_from_its_middle(
        self, world: World, tmp_path: Path, content: bytes
    ) -> None:
        name, into = hashlib.sha256(content).hexdigest(), tmp_path / "copy"
        await self.kept(world, content)
        moving, line = await files(world, name)
        await asyncio.to_thread(moving.download, name, into, quiet)
        assert into.read_bytes() == content
        into.write_bytes(content[:1234])
        await asyncio.to_thread(moving.download, name, into, quiet)
        assert into.read_bytes() == content
        assert line.requests == ["GET method=get"] * 2

    @pytest.mark.parametrize("url", ["http://127.0.0.1:9/none", "EXPIRED", "no address"])
    async def test_without_a_way_there_files_go_through_the_controller(
        self, world: World, tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch, s3: str, url: str
    ) -> None:
        refused = parse_qs(urlsplit(s3).query)["endpoint"][0] + "/no-such-bucket/key"
        self.sign(world, monkeypatch, refused if url == "EXPIRED" else url)
        name, path, clock = hashlib.sha256(content).hexdigest(), tmp_path / "model", Ticks()
        moving, line = await files(world, name, clock)
        path.write_bytes(content)
        assert (await asyncio.to_thread(moving.upload, name, path, quiet)).size == len(content)
        assert line.requests[1:3] == ["GET method=put", "PUT offset=0"]
        line.requests.clear()
        for _ in range(2):
            await asyncio.to_thread(moving.download, name, tmp_path / "copy", quiet)
            assert (tmp_path / "copy").read_bytes() == content
            (tmp_path / "copy").unlink()
        assert line.requests == [f"GET {name}"] * 2, "the bucket is left alone for a while"
        clock.now += REST_SECONDS
        await asyncio.to_thread(moving.download, name, tmp_path / "copy", quiet)
        assert line.requests[2:] == ["GET method=get", f"GET {name}"]

    @pytest.mark.parametrize("there", [b"words of a proxy", b""])
    async def test_other_bytes_than_wanted_are_not_kept(
        self,
        world: World,
        tmp_path: Path,
        content: bytes,
        monkeypatch: pytest.MonkeyPatch,
        there: bytes,
    ) -> None:
        name, into = hashlib.sha256(content).hexdigest(), tmp_path / "copy"
        await self.kept(world, content)
        place = world.context.artifacts.objects
        (tmp_path / "other").write_bytes(there)
        await place.put("other", tmp_path / "other")
        self.sign(world, monkeypatch, str(await place.sign("GET", "other", 60)))
        moving, line = await files(world, name)
        await asyncio.to_thread(moving.download, name, into, quiet)
        assert into.read_bytes() == content
        assert line.requests == ["GET method=get", f"GET {name}"]

    async def test_a_file_that_was_changed_on_the_way_there_goes_through_the_controller(
        self, world: World, tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        name, path = hashlib.sha256(content).hexdigest(), tmp_path / "model"
        moving, line = await files(world, name)
        path.write_bytes(content)
        monkeypatch.setattr("agents.bucket._counted", lambda path, _: iter([bytes(len(path.read_bytes()))]))
        assert (await asyncio.to_thread(moving.upload, name, path, quiet)).size == len(content)
        assert line.requests[2:4] == ["POST claim", "PUT offset=0"]
        assert (await world.context.artifacts.existing(name)).read_bytes() == content

    async def test_what_was_put_and_never_claimed_goes_in_its_time(
        self, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        place = world.context.artifacts.objects
        (tmp_path / "left").write_bytes(b"left")
        await place.put("staged/left", tmp_path / "left")
        await retention.run(world.context)
        assert await place.size("staged/left") == 4
        hours = replace(world.settings.retention, leftover_hours=-1.0)
        monkeypatch.setattr(world.context, "settings", replace(world.settings, retention=hours))
        await retention.run(world.context)
        assert await place.size("staged/left") is None
