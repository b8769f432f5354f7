"""Two controller processes on one Postgres and one artifact folder: one reconciles, both answer."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL
from sqlmodel import Session, SQLModel

from ringrift.control.store import migrate
from ringrift.control.store.events import verify_chain
from ringrift.control.store.fence import leading
from ringrift.control.store.operations import Superseded, begin_epoch, current_epoch
from ringrift.control.store.store import Store
from ringrift.control.store.tables import Setting
from tests.control.test_app import PROGRAM, REPOSITORY, operator

SECONDS = 25
"""Longest wait of a test; that the lead is taken over within 15 s is asserted on the server's clock."""


class Process:
    """One controller in a home of its own."""

    def __init__(self, home: Path, environment: dict[str, str]) -> None:
        self.home = home
        home.mkdir()
        (home / "config.toml").write_text("[limits]\npass_seconds = 0.05\n")
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(home)],
            env=environment,
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
        )

    def ready(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"ready\n"

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def status(self) -> dict:
        async with operator(self.home) as http:
            answer = await http.get("/v1/status", timeout=20)
            return answer.json()

    def log(self) -> str:
        return (self.home / "logs" / "controller.log").read_text()


@pytest.fixture
def blank(postgres: URL) -> Iterator[URL]:
    """An empty Postgres without our tables, and with them again for the tests behind."""
    engine = create_engine(postgres)
    migrate.downgrade(engine, "base")
    yield postgres
    migrate.upgrade(engine)
    with engine.begin() as connection:
        for table in reversed(SQLModel.metadata.sorted_tables):
            connection.execute(table.delete())
    engine.dispose()


@pytest.fixture
async def pair(blank: URL, tmp_path: Path) -> AsyncIterator[tuple[Process, Process]]:
    """Two controllers, started at once on the empty database."""
    shared = {
        "RINGRIFT_DATABASE_URL": blank.render_as_string(hide_password=False),
        "RINGRIFT_ARTIFACTS_URL": str(tmp_path / "artifacts"),
    }
    with tempfile.TemporaryDirectory(prefix="rr-") as short:
        started = [Process(Path(short) / name, os.environ | shared) for name in ("a", "b")]
        try:
            await asyncio.gather(*(asyncio.to_thread(process.ready) for process in started))
            yield started[0], started[1]
        finally:
            for process in started:
                process.send(signal.SIGKILL)
                process.process.wait()


async def until(question: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(SECONDS):
        while not await question():
            await asyncio.sleep(0.1)


def leader(url: URL) -> tuple[int, float]:
    """Return the epoch and the time of the last take-over, by the database's clock."""
    engine = create_engine(url)
    try:
        with Session(engine) as session:
            row = session.get(Setting, "leader.epoch")
            return (row.value["epoch"], row.value["at"]) if row else (0, 0.0)
    finally:
        engine.dispose()


def clock(url: URL) -> float:
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            return float(
                connection.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one()
            )
    finally:
        engine.dispose()


async def ordered(pair: tuple[Process, Process], url: URL) -> tuple[Process, Process]:
    """Return the leader and the other one."""

    async def begun() -> bool:
        return leader(url)[0] == 1

    await until(begun)
    first, second = pair
    return (first, second) if "reconciles now" in first.log() else (second, first)


async def test_one_migrates_one_leads_both_answer_and_a_kill_hands_over(
    pair: tuple[Process, Process], blank: URL
) -> None:
    old, new = await ordered(pair, blank)
    assert "reconciles now" not in new.log()
    for process in (old, new):
        assert (await process.status())["controller"]["database"] == "postgres"
    async with operator(new.home) as http:
        await http.post("/v1/configs/hex8_2p/enabled", json={"enabled": True})
        await until(lambda: _has_jobs(http))
        killed = clock(blank)
        old.send(signal.SIGKILL)

        async def taken() -> bool:
            return leader(blank)[0] == 2

        await until(taken)
        assert leader(blank)[1] - killed < 15
        await http.post("/v1/configs/square8_2p/enabled", json={"enabled": True})
        await until(lambda: _has_jobs(http, "square8_2p"))
    engine = create_engine(blank)
    with Session(engine) as session:
        assert verify_chain(session).sound
    engine.dispose()


async def _has_jobs(http: httpx.AsyncClient, config: str = "hex8_2p") -> bool:
    return any(job["config"] == config for job in (await http.get("/v1/jobs")).json())


async def test_a_suspended_leader_loses_the_lead_and_wakes_as_a_follower(
    pair: tuple[Process, Process], blank: URL
) -> None:
    old, new = await ordered(pair, blank)
    stopped = clock(blank)
    old.send(signal.SIGSTOP)

    async def taken() -> bool:
        return leader(blank)[0] == 2

    await until(taken)
    assert leader(blank)[1] - stopped < 15
    async with operator(new.home) as http:
        await http.post("/v1/configs/hex8_2p/enabled", json={"enabled": True})
        await until(lambda: _has_jobs(http))
    old.send(signal.SIGCONT)

    async def resigned() -> bool:
        return "another controller reconciles" in old.log()

    await until(resigned)
    assert (await old.status())["controller"]["database"] == "postgres"
    assert leader(blank)[0] == 2


async def test_what_a_former_leader_submits_is_not_written(store: Store) -> None:
    epoch = await store.write("test", begin_epoch)

    def enable(session: Session) -> None:
        session.add(Setting(key="written", value={}))

    with leading(epoch):
        await store.write("test", current_epoch)
        late = asyncio.create_task(_later(store, enable))
    await store.write("test", begin_epoch)
    with pytest.raises(Superseded):
        await late
    with leading(epoch), pytest.raises(Superseded):
        await store.write("test", enable)
    assert await store.read(lambda session: session.get(Setting, "written")) is None
    await store.write("test", enable)
    assert await store.read(lambda session: session.get(Setting, "written")) is not None


async def _later(store: Store, work: Callable[[Session], None]) -> None:
    await asyncio.sleep(0.01)
    while await store.read(current_epoch) == 1:
        await asyncio.sleep(0.01)
    await store.write("test", work)
