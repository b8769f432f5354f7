"""Alerts over the real store: opening, clearing, acknowledging, and what the webhook is told."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from sqlmodel import Session, col, select

from ringrift.control import webhook
from ringrift.control.domain.alert_memory import Memory
from ringrift.control.domain.alerts import Finding
from ringrift.control.reconcile import alerts as reconciler
from ringrift.control.settings import Settings
from ringrift.control.store import alertfacts, alerts
from ringrift.control.store.clock import now
from ringrift.control.store.store import Store
from ringrift.control.store.tables import Agent, Alert, Assignment, Event, Host, Job, Setting
from ringrift.errors import BadInput, EnvironmentProblem, Unreachable
from tests.control.world import CONFIG, World, small_settings

HOUR = 3600.0
DISK = Finding("disk", "a", "warning", "85% full", "80%", "it fills")
SECRET = "s3cret-path-of-the-webhook"


@pytest.fixture
def settings() -> Settings:
    return small_settings(alerts={"every_seconds": 0.1})


async def apply(store: Store, *found: Finding) -> bool:
    return await store.write("test", lambda s: alerts.apply(s, found, Memory()))


async def row(store: Store, signature: str = "disk:a") -> Alert:
    return await store.read(lambda s: alerts.get_alert(s, signature))


async def news(store: Store, cooldown: float = 1800.0) -> list[tuple[str, bool]]:
    told = await store.read(lambda s: alerts.news(s, cooldown))
    return [(each.signature, each.cleared_at is not None) for each in told.alerts]


async def tell(store: Store, sent: bool = True) -> None:
    def work(session: Session) -> None:
        alerts.note_sent(session, alerts.news(session, 1800.0), "sent" if sent else "failed: x", sent)

    await store.write("test", work)


async def actions(store: Store) -> list[str]:
    return await store.read(lambda s: list(s.exec(select(Event.action).order_by(col(Event.id))).all()))


async def test_the_same_finding_is_one_alert_and_one_audit_row(store: Store) -> None:
    assert await apply(store, DISK)
    assert not await apply(store, DISK)
    found = await row(store)
    assert (found.count, found.severity, found.cleared_at) == (1, "warning", None)
    assert await actions(store) == ["alert.opened"]


async def test_what_is_gone_is_cleared_and_opens_again_under_the_same_signature(store: Store) -> None:
    await apply(store, DISK)
    assert await apply(store)
    assert (await row(store)).cleared_at is not None
    await apply(store, DISK)
    assert ((await row(store)).count, (await row(store)).cleared_at) == (2, None)
    assert await actions(store) == ["alert.opened", "alert.cleared", "alert.opened"]


async def test_an_alert_is_told_once_and_its_end_once(store: Store) -> None:
    await apply(store, DISK)
    assert await news(store) == [("disk:a", False)]
    await tell(store, sent=False)
    assert await news(store) == [("disk:a", False)]
    await tell(store)
    assert await news(store) == []
    await apply(store)
    assert await news(store) == [("disk:a", True)]
    await tell(store)
    assert await news(store) == []


async def test_what_flaps_is_not_told_again_within_the_cooldown(store: Store) -> None:
    await apply(store, DISK)
    await tell(store)
    await apply(store)
    await tell(store)
    await apply(store, DISK)
    assert await news(store) == []
    assert await news(store, cooldown=0.0) == [("disk:a", False)]
    await apply(store)
    assert await news(store, cooldown=0.0) == []


async def test_what_opened_and_ended_before_it_was_told_is_never_told(store: Store) -> None:
    await apply(store, DISK)
    await apply(store)
    assert await news(store) == []


async def test_a_warning_that_becomes_critical_is_told_again_and_needs_a_new_acknowledgement(
    store: Store,
) -> None:
    await apply(store, DISK)
    await tell(store)
    await store.write("test", lambda s: alerts.acknowledge(s, "disk:a", "ann"))
    await apply(store, Finding("disk", "a", "critical", "95% full", "90%", "it fills"))
    assert await news(store) == [("disk:a", False)]
    assert (await row(store)).acknowledged_by is None
    assert "alert.worse" in await actions(store)


async def test_an_acknowledged_alert_is_open_says_by_whom_and_counts_no_more(world: World) -> None:
    await apply(world.store, DISK)
    await world.post("/alerts/disk:a/ack", {"actor": "ann"})
    [found] = await world.get("/alerts")
    assert (found["state"], found["acknowledged_by"]) == ("acknowledged", "operator: ann")
    count = (await world.get("/status"))["alerts"]
    assert (count["open"], count["unacknowledged"]) == (1, 0) and "85% full" in count["worst"]
    await apply(world.store)
    assert await world.get("/alerts") == []
    [over] = await world.get("/alerts?cleared=5")
    assert over["state"] == "cleared"
    await world.post("/alerts/disk:a/ack", {"actor": "ann"}, status=409)
    await world.post("/alerts/nothing/ack", {}, status=404)


async def test_a_silent_host_and_a_fruitless_one_are_found_in_the_rows(
    world: World, settings: Settings
) -> None:
    silent, fruitless = await world.agent("silent"), await world.agent("fruitless")
    trains = await world.agent("trains")
    await world.holds(fruitless, "f" * 64)
    await world.holds(trains, "e" * 64)

    def age(session: Session) -> None:
        time = now(session)
        session.execute(update(Agent).where(col(Agent.id) == silent.id).values(beat_at=time - 600))
        session.execute(update(Assignment).values(began_at=time - 2 * HOUR))
        session.execute(update(Job).where(col(Job.work).contains("e" * 64)).values(kind="train"))
        session.add(Setting(key=alerts.MEMORY, value=Memory(at=time - 1, since=time - 9 * HOUR).document()))

    await world.write(age)
    await reconciler.step(world.context)
    found = {each["signature"] for each in await world.get("/alerts")}
    assert found == {"host-down:silent", "fleet-unhealthy:fleet", "no-output:fruitless"}
    await silent.beat()
    await asyncio.sleep(0.1)
    await reconciler.step(world.context)
    assert {each["signature"] for each in await world.get("/alerts")} == {"no-output:fruitless"}


async def test_stale_configs_full_hosts_idle_gpus_and_old_backups_are_found_in_the_rows(world: World) -> None:
    agent = await world.agent("gpu")
    await world.enable()
    telemetry = {"disk_used": 95, "disk_total": 100, "memory_used": 9, "memory_total": 10, "gpu_percent": 3.0}

    def age(session: Session) -> None:
        time = now(session)
        session.execute(update(Agent).where(col(Agent.id) == agent.id).values(telemetry=telemetry))
        for table in ("config", "event"):
            column = "changed_at" if table == "config" else "at"
            session.connection().exec_driver_sql(f"UPDATE {table} SET {column} = {time - 25 * HOUR}")
        queued = Job(
            id="job_1", kind="train", config=CONFIG, state="queued", work="w", subject="", spec={}, total=1,
            created_at=time - 30 * HOUR, changed_at=time - 2 * HOUR,
        )  # fmt: skip
        session.add(queued)
        idle = {"gpu": time - HOUR}
        session.add(Setting(key=alerts.MEMORY, value=Memory(time - 1, time - 9 * HOUR, idle=idle).document()))

    await world.write(age)
    await reconciler.step(world.context)
    found = {each["signature"]: each["severity"] for each in await world.get("/alerts")}
    assert found == {
        "disk:gpu": "critical",
        "memory:gpu": "warning",
        "gpu-idle:gpu": "warning",
        "queue-stuck:train": "critical",
        f"no-training:{CONFIG}": "warning",
        f"old-data:{CONFIG}": "warning",
        "backup:controller": "critical",
    }


async def test_a_round_right_after_another_does_nothing(world: World) -> None:
    world.context.settings = small_settings(alerts={"every_seconds": 300.0})
    await world.agent("a")
    await reconciler.step(world.context)
    before = await world.read(lambda s: s.get(Setting, alerts.MEMORY).value)
    assert not await reconciler.step(world.context)
    assert await world.read(lambda s: s.get(Setting, alerts.MEMORY).value) == before


async def test_retired_new_and_quarantined_hosts_alarm_nobody(world: World, settings: Settings) -> None:
    for name in ("retired", "quarantined", "new"):
        await world.agent(name)
        await world.write(
            lambda s, name=name: s.execute(update(Host).where(Host.name == name).values(state=name))
        )
    facts, _ = await world.read(lambda s: alertfacts.load(s, Memory(), settings, None))
    assert facts.hosts == ()


class Hook:
    """A real HTTP server on loopback that answers as a test says."""

    def __init__(self) -> None:
        self.url, self.got, self.answers = "", [], []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = int(head.lower().partition("content-length:")[2].split()[0])
            self.got.append(json.loads(await reader.readexactly(length)))
            answer = (
                self.answers.pop(0) if self.answers else b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
            )
            if answer is None:
                await reader.read()
            else:
                writer.write(answer)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def listening() -> AsyncIterator[Hook]:
    hook = Hook()
    server = await asyncio.start_server(hook.serve, "127.0.0.1", 0)
    hook.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/{SECRET}"
    async with server:
        yield hook


def status(line: str, *headers: str, body: bytes = b"") -> bytes:
    head = "\r\n".join((f"HTTP/1.1 {line}", *headers, f"content-length: {len(body)}", "", ""))
    return head.encode() + body


BAD: dict[str, tuple[Callable[[Hook], Any], str]] = {
    "500": (lambda hook: status("500 Oops"), "answered 500"),
    "redirect": (
        lambda hook: status("302 Found", f"location: {hook.url}/else"),
        "redirect, which is not followed",
    ),
    "silence": (lambda hook: None, "did not answer within"),
    "nonsense": (lambda hook: b"\x00\x01garbage\r\n\r\n", "cannot be reached (RemoteProtocolError)"),
    "huge headers": (lambda hook: b"HTTP/1.1 200 OK\r\nx: " + b"a" * 400_000, "cannot be reached"),
}


@pytest.mark.parametrize("how", BAD)
async def test_a_webhook_that_misbehaves_is_told_in_one_line_without_its_address(how: str) -> None:
    async with listening() as hook:
        make, fault = BAD[how]
        hook.answers = [make(hook)]
        with pytest.raises(Unreachable) as failed:
            await webhook.send(hook.url, {"a": 1}, seconds=0.5)
        assert fault in failed.value.message and SECRET not in failed.value.line()
        assert len(hook.got) == 1


async def test_a_closed_port_is_told_without_the_address() -> None:
    with pytest.raises(Unreachable, match="ConnectError") as failed:
        await webhook.send(f"http://127.0.0.1:1/{SECRET}", {}, seconds=2.0)
    assert SECRET not in failed.value.line()


async def test_of_a_huge_answer_only_the_status_is_read() -> None:
    async with listening() as hook:
        hook.answers = [b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n" + b"x" * 100_000]
        await webhook.send(hook.url, {"a": 1}, seconds=5.0)
        assert hook.got == [{"a": 1}]


async def test_one_message_tells_a_round_and_failures_are_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with listening() as hook:
        monkeypatch.setenv(webhook.WEBHOOK_URL, hook.url)
        hook.answers = [status("500 Oops"), status("503 Busy")]
        await apply(world.store, DISK, Finding("cost", "fleet", "warning", "$9", "$5", "too much"))
        await reconciler.deliver(world.context, first=0.01)
        assert [len(each["alerts"]) for each in hook.got] == [2, 2, 2]
        await apply(world.store, DISK)
        await reconciler.deliver(world.context, first=0.01)
        assert [(each["state"], each["kind"]) for each in hook.got[-1]["alerts"]] == [("cleared", "cost")]
    found = await world.get("/alerts?cleared=9")
    assert [each["notified"] for each in found] == ["sent", "sent"]
    events = json.dumps(await world.get("/events"))
    assert SECRET not in caplog.text + events + json.dumps(found)
    assert "could not be told" in caplog.text


async def test_what_fails_is_shown_and_a_restart_sends_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(webhook.WEBHOOK_URL, f"http://127.0.0.1:1/{SECRET}")
    await apply(world.store, DISK)
    world.context.flights.start("webhook", reconciler.deliver(world.context))
    while not (await row(world.store)).notified:
        await asyncio.sleep(0.01)
    assert (await row(world.store)).notified.startswith("failed: ") and SECRET not in (
        await row(world.store)
    ).notified
    await world.restart()
    async with listening() as hook:
        monkeypatch.setenv(webhook.WEBHOOK_URL, hook.url)
        await reconciler.deliver(world.context)
        assert len(hook.got) == 1


async def test_slack_gets_its_own_form(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.context.settings = small_settings(alerts={"slack": 1})
    async with listening() as hook:
        monkeypatch.setenv(webhook.WEBHOOK_URL, hook.url)
        await apply(world.store, DISK)
        await reconciler.deliver(world.context)
        assert list(hook.got[0]) == ["text"] and "85% full" in hook.got[0]["text"]


async def test_without_a_webhook_nothing_is_told_and_nothing_is_lost(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(webhook.WEBHOOK_URL, raising=False)
    await apply(world.store, DISK)
    await reconciler.deliver(world.context)
    assert (await row(world.store)).notified == ""
    assert await news(world.store) == [("disk:a", False)]


def test_the_address_may_stand_in_a_private_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(webhook.WEBHOOK_URL, raising=False)
    assert webhook.webhook_url(tmp_path) is None
    path = tmp_path / webhook.FILE
    path.write_text("https://hooks.example/T/B\n")
    path.chmod(0o600)
    assert webhook.webhook_url(tmp_path) == "https://hooks.example/T/B"
    path.chmod(0o640)
    with pytest.raises(EnvironmentProblem, match="can be read by others"):
        webhook.webhook_url(tmp_path)


@pytest.mark.parametrize(
    "url", ["ftp://h/" + SECRET, "https://", "http://[::1", "http://h:99999/" + SECRET, "x" + SECRET]
)
def test_what_is_no_address_is_refused_without_showing_it(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(webhook.WEBHOOK_URL, url)
    with pytest.raises(BadInput) as refused:
        webhook.webhook_url(tmp_path)
    assert SECRET not in refused.value.line()
