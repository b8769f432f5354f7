"""How fast a store is backed up and restored: `python -m benchmarks.restore --gigabytes 2 --rows 200000`."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import struct
import tempfile
import time
import zlib
from pathlib import Path

from sqlalchemy import insert
from sqlmodel import Session

from ringrift.control.artifacts import open_artifacts
from ringrift.control.backup import make
from ringrift.control.backup.restore import restore
from ringrift.control.domain.ports import Fleet
from ringrift.control.reconcile.context import Context
from ringrift.control.settings import Settings
from ringrift.control.store import backups, migrate
from ringrift.control.store.engine import database_url
from ringrift.control.store.events import record
from ringrift.control.store.store import Store
from ringrift.control.store.tables import Artifact

SIZE = 4 << 20


def shard() -> bytes:
    payload = os.urandom(SIZE)
    frames = ((b"H", b"{}"), (b"G", payload), (b"E", b""))
    parts = [kind + struct.pack("<II", len(data), zlib.crc32(kind + data)) + data for kind, data in frames]
    return b"RRSHARD2" + b"".join(parts)


async def stock(store: Store, home: Path, gigabytes: float, rows: int) -> None:
    artifacts = open_artifacts(home, None, Settings().limits)
    artifacts.prepare()
    for _ in range(int(gigabytes * 1e9 / SIZE)):
        content = shard()
        name = hashlib.sha256(content).hexdigest()
        folder = artifacts.folder / name[:2]
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)

        def note(session: Session, name: str = name, size: int = len(content)) -> None:
            session.execute(insert(Artifact).values(sha256=name, size=size, stored_at=1.0))

        await store.write("bench", note)

    def audit(session: Session) -> None:
        for number in range(rows // 100):
            record(session, "bench", "thing.done", str(number), number=number)

    for _ in range(100):
        await store.write("bench", audit)


async def measure(folder: Path, gigabytes: float, rows: int) -> None:
    home = folder / "home"
    (home / "run").mkdir(parents=True)
    store = Store(database_url(home, None))
    migrate.upgrade(store.engines.writer)
    await stock(store, home, gigabytes, rows)
    artifacts = open_artifacts(home, None, Settings().limits)
    fleet: Fleet = None  # type: ignore[assignment]
    context = Context(store, artifacts, fleet, Settings(), home, home / "run" / "agents.sock")
    for name in ("first backup", "second backup"):
        began = time.monotonic()
        place = str(folder / "to")
        identity = await store.write(
            "bench", lambda s, place=place: backups.begin_backup(s, place, False, "bench").id
        )
        await make.carry_out(context, identity)
        told(name, gigabytes, time.monotonic() - began)
    store.close()
    began = time.monotonic()
    done = await restore(str(folder / "to"), folder / "new")
    told("restore", done.size / 1e9, time.monotonic() - began)
    print(f"{done.artifacts} artifacts, {done.rows} rows, {done.events} audit rows checked")


def told(name: str, gigabytes: float, seconds: float) -> None:
    print(f"{name}: {gigabytes:.2f} GB in {seconds:.1f} s, {gigabytes / seconds * 60:.1f} GB/min")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, default=None)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        asyncio.run(measure(Path(folder), options.gigabytes, options.rows))


if __name__ == "__main__":
    main()
