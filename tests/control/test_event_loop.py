"""Nothing blocks the event loop: files, databases, programs and long hashes are used in threads only."""

from __future__ import annotations

import hashlib
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.engine import Engine

from ringrift.control.objects import file_digest
from ringrift.control.reconcile import retention
from ringrift.control.settings import Settings
from ringrift.protocol import agent as wire
from tests.control.doubles import ScriptedAgent, shard
from tests.control.kept import keep
from tests.control.world import World, small_settings

OURS = str(Path(file_digest.__code__.co_filename).parents[1])
BLOCKING = ("open", "os.", "shutil.", "sqlite3.connect", "subprocess.", "time.sleep", "socket.getaddrinfo")
"""Beginnings of the names of audit events that may take as long as a disk, a program or a network does."""
FREE = ("os.listxattr", "os.add_dll_directory", "os.putenv", "os.unsetenv")
LONG = 1 << 20
"""Bytes whose hash takes a millisecond."""


class Watch:
    """Notes who did something that blocks in the thread of the loop."""

    def __init__(self) -> None:
        self.thread: int | None = None
        self.found: list[str] = []

    def note(self, what: str) -> None:
        """Blame the innermost frame of ours; what a test or an import does is no fault."""
        if threading.get_ident() != self.thread:
            return
        frame = sys._getframe(1)
        while frame := frame.f_back:
            name = frame.f_code.co_filename
            if "importlib" in name or ("/tests/" in name and name != __file__):
                return
            if name.startswith(OURS):
                self.found.append(f"{what} in {name[len(OURS) :]}:{frame.f_lineno}")
                return

    def audit(self, name: str, arguments: tuple[Any, ...]) -> None:
        if self.thread is None or not name.startswith(BLOCKING) or name in FREE:
            return
        if not str(arguments[0]).endswith(".py"):  # FastAPI looks at the source of a route, once
            self.note(f"{name} {arguments[:1]}")


WATCH = Watch()
sys.addaudithook(WATCH.audit)
"""Such a hook stays for ever; without a thread to watch it costs one comparison."""


@contextmanager
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Watch this thread, which is the loop's; yield what blocks it."""
    fsync, sha256 = os.fsync, hashlib.sha256

    def slow_hash(data: bytes = b"", **more: Any) -> Any:
        if len(data) >= LONG:
            WATCH.note(f"hash of {len(data)} bytes")
        return sha256(data, **more)

    def statement(*_: Any) -> None:
        WATCH.note("a statement to the database")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: (WATCH.note("fsync"), fsync(descriptor))[1])
        patch.setattr(hashlib, "sha256", slow_hash)
        event.listen(Engine, "before_cursor_execute", statement)
        WATCH.thread, WATCH.found = threading.get_ident(), []
        try:
            yield WATCH.found
        finally:
            WATCH.thread = None
            event.remove(Engine, "before_cursor_execute", statement)


@pytest.fixture
def settings() -> Settings:
    return small_settings(retention={"min_age_hours": 1.0}, backup={"keep": 1})


async def in_chunks(agent: ScriptedAgent, content: bytes) -> None:
    name = hashlib.sha256(content).hexdigest()
    for offset in range(0, len(content), wire.CHUNK_BYTES):
        chunk = content[offset : offset + wire.CHUNK_BYTES]
        last = offset + len(chunk) == len(content)
        digest = hashlib.sha256(chunk).hexdigest()
        path = f"{wire.ARTIFACTS}/{name}?offset={offset}{'&last=1' if last else ''}"
        headers = agent.signed(wire.streaming_signing_text("PUT", path, digest)) | {wire.CHUNK_HEADER: digest}
        answer = await agent.http.put(path, content=chunk, headers=headers)
        assert answer.status_code == 200, answer.text


async def backed_up(world: World, place: Path) -> None:
    begun = await world.post("/backups", {"place": str(place)})
    await world.reconcile("backups")
    for task in list(world.context.flights._tasks.values()):
        await task
    assert (await world.get(f"/backups/{begun['id']}"))["state"] == "verified"


async def test_large_files_hashes_backups_and_retention_do_not_block_the_loop(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = await world.agent("alpha")
    large, other = shard("x" * (9 << 20)), shard("y" * (2 << 20))
    digests = [hashlib.sha256(content).hexdigest() for content in (large, other)]
    await world.holds(agent, *digests)
    orphan = await keep(world, shard("nobody needs this"))
    (world.home / "run").mkdir(exist_ok=True)
    await world.write(lambda s: s.execute(text("UPDATE artifact SET stored_at = 1")))
    with watched(monkeypatch) as found:
        await in_chunks(agent, large)
        assert (await agent.upload(other)).status_code == 200
        assert (await agent.upload(b"other bytes than named", name=orphan)).status_code == 422
        assert (await agent.download(digests[0])).content == large
        for number in range(2):
            await backed_up(world, tmp_path / "backups")
            await world.write(lambda s, n=number: s.execute(text(f"UPDATE host SET slots = {n + 1}")))
        await retention.run(world.context)
        await agent.beat()
        await agent.lease()
        await world.reconcile()
    assert orphan not in [name async for name, _, _ in world.context.artifacts.stored()]
    assert not found, "\n".join(sorted(set(found)))


async def test_the_watch_sees_what_blocks(
    tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"x" * LONG)
    with watched(monkeypatch) as found:
        file_digest(tmp_path / "file")
        world.store._read(lambda s: s.execute(text("SELECT 1")))
    seen = {line.split(" ")[0] for line in found}
    assert {"open", "a"} <= seen, "a file and a statement"
