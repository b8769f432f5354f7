"""The controller comes and goes; the terminal stays, says so, and shows what it last saw."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ringrift.client.access import Access
from ringrift.client.http import AsyncClient
from ringrift.errors import BadInput, RingRiftError, Unreachable
from tests.cli.double import TOKEN, World, served
from tui import cache
from tui.app import RingRiftApp
from tui.feed import RETRY, Feed, pause


async def test_a_banner_tells_since_when_why_and_when_the_next_try_is(start, world) -> None:
    async with start() as terminal:
        world.away = True
        await terminal.shows("✖ away for 0s, next try in 1s: no controller answers")
        terminal.clock.now += 75
        await terminal.until(lambda: "away for 1m" in terminal.text)
        assert "data 1m" in terminal.lines[0]
        assert "gh200-01" in terminal.text
        world.away = False
        await terminal.until(lambda: "away for" not in terminal.text)
        assert "data 0s" in terminal.lines[0]


async def test_while_away_navigation_works_and_writes_are_refused_with_the_reason(start, world) -> None:
    async with start() as terminal:
        world.away = True
        await terminal.shows("✖ away for")
        await terminal.press("2", "n")
        assert "hex8_2p" in terminal.text
        await terminal.press("P")
        assert "the controller is away: no controller answers" in terminal.text
        assert "(P promote)" in terminal.lines[-1]
        await terminal.press("1", "enter")
        assert terminal.app.screen.place == "host"
        assert "ring@192.0.2." in terminal.text
        assert world.promotions == []


async def test_ages_grow_on_while_the_controller_is_away(start, world) -> None:
    async with start() as terminal:
        world.away = True
        await terminal.shows("✖ away for")
        terminal.clock.now += 3600
        await terminal.until(lambda: "1.0h" in next(line for line in terminal.lines if "gh200-02" in line))


async def test_a_change_that_meets_an_absent_controller_is_told_in_the_dialog(start, world) -> None:
    async with start() as terminal:
        await terminal.press("2", "n", "P", "right")
        world.away = True
        await terminal.press("enter")
        assert "✖ no controller answers" in terminal.text
        assert world.promotions == []


async def test_what_was_last_seen_is_painted_before_anything_is_asked(
    start, world, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with start() as terminal:
        await terminal.press("2", "3")
        await terminal.until(lambda: {"targets", "evaluations"} <= set(terminal.app.feed.views))
        now = terminal.clock.now

    def refuse() -> AsyncClient:
        raise Unreachable("no controller runs", hint="start it with `ringrift-ctl up`")

    app = RingRiftApp(connect=refuse, clock=lambda: now + 7200, where="here", who="ring")
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        lines = [strip.text for strip in app.screen._compositor.render_strips()]
        assert "data 2.0h" in lines[0]
        assert any("gh200-01" in line for line in lines)
        await pilot.press("3")
        lines = [strip.text for strip in app.screen._compositor.render_strips()]
        assert any("eu-2" in line for line in lines)


async def test_without_controller_and_cache_there_is_a_screen_and_the_reason(own_home: Path) -> None:
    app = RingRiftApp()
    async with app.run_test(size=(80, 24)) as pilot:
        for _ in range(50):
            await pilot.pause(0.02)
            text = "\n".join(strip.text for strip in app.screen._compositor.render_strips())
            text = " ".join(text.split())
            if "ringrift-ctl up" in text:
                break
        assert "no controller runs for" in text
        assert "ringrift-ctl up" in text
        assert "nothing seen yet" in text


@pytest.mark.parametrize(
    "content", ["", "{", "[1]", '{"taken": 1, "views": {}}', '{"taken": "x", "views": 3}']
)
def test_a_broken_cache_is_as_good_as_none(content: str, tmp_path: Path) -> None:
    (tmp_path / "tui.json").write_text(content)
    assert cache.load(tmp_path / "tui.json") == ({}, 0.0)


async def test_the_cache_is_readable_by_its_owner_only(start, own_home: Path) -> None:
    async with start() as terminal:
        await terminal.press("2", "3")
        await terminal.until(lambda: {"targets", "evaluations"} <= set(terminal.app.feed.views))
    kept = own_home / "cache" / "tui.json"
    assert kept.stat().st_mode & 0o077 == 0
    assert kept.parent.stat().st_mode & 0o077 == 0
    assert set(cache.load(kept)[0]) == {"status", "targets", "evaluations"}


async def test_a_notice_of_the_start_is_shown_until_the_next_key(start) -> None:
    async with start(notice="started a controller at http://127.0.0.1:8470") as terminal:
        assert "started a controller at" in terminal.text
        await terminal.press("down")
        assert "started a controller at" not in terminal.text


async def test_a_fault_of_the_terminal_is_told_and_logged_and_it_stays(
    start, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with start() as terminal:
        monkeypatch.setattr("tui.fleet.summary", lambda *_: 1 // 0)
        await terminal.shows("a fault of the terminal itself (ZeroDivisionError")
        assert terminal.app.is_running
    assert "Traceback" in (own_home / "logs" / "tui.log").read_text()


async def test_one_view_that_fails_by_itself_does_not_take_the_link_down(start, world) -> None:
    world.fail("GET", "/v1/promotions/hex8_2p", 409, "missing_evidence", "no candidate of hex8_2p")
    async with start() as terminal:
        await terminal.press("2", "n", "enter")
        await terminal.shows("no candidate of hex8_2p")
        assert terminal.app.feed.link.up


async def test_over_real_http_it_shows_the_fleet_and_the_wrong_token(own_home: Path) -> None:
    world = World()
    with served(world) as url:
        for token, shown in ((TOKEN, "gh200-01"), ("wrong" * 5, "the token was not accepted")):
            app = RingRiftApp(connect=lambda token=token: AsyncClient(Access(url, token, local=False)))
            async with app.run_test(size=(80, 24)) as pilot:
                for _ in range(200):
                    await pilot.pause(0.02)
                    text = "\n".join(strip.text for strip in app.screen._compositor.render_strips())
                    if shown in text:
                        break
                assert shown in text


def test_the_pause_is_short_in_a_hurry_long_when_idle_and_spares_a_slow_link() -> None:
    assert pause(typed=0.0, hurry=False, round_trip=0.01) == 2.0
    assert pause(typed=1000.0, hurry=False, round_trip=0.01) == 5.0
    assert pause(typed=1000.0, hurry=True, round_trip=0.01) < 0.6
    assert pause(typed=0.0, hurry=True, round_trip=3.0) == 12.0


async def test_tries_become_rarer_and_start_anew_after_an_answer() -> None:
    now = [0.0]
    world = World()
    errors: list[RingRiftError] = [Unreachable("away")]

    class Flaky:
        async def send(self, call):
            if errors:
                raise errors[0]
            from tests.cli.double import Direct

            return await Direct(world).send(call)

        async def close(self) -> None:
            pass

    feed = Feed(Flaky, dict, lambda: None, clock=lambda: now[0])
    waits = [await feed.round() for _ in range(6)]
    assert waits == [*RETRY, RETRY[-1]]
    errors.clear()
    await feed.round()
    assert feed.link.up
    errors.append(BadInput("the answer cannot be read"))
    assert await feed.round() == RETRY[0]
    assert "cannot be read" in feed.link.reason


def test_the_terminal_imports_nothing_heavy() -> None:
    heavy = (
        "torch",
        "numba",
        "numpy",
        "sqlmodel",
        "sqlalchemy",
        "asyncssh",
        "fastapi",
        "ringrift.control",
        "hosts",
    )
    program = f"""
import sys
import tui.app, tui.host, tui.config, tui.deployment, tui.dialogs, tui.proposals
print([name for name in {heavy!r} if name in sys.modules])
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert found.stdout.strip() == "[]", found.stderr
