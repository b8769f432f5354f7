"""A terminal of a given size over the double, with a clock that tests move."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot

from tests.cli.double import Direct, World
from tui.app import RingRiftApp

SIZES = ((80, 24), (120, 40))


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Terminal:
    """What a person has: keys, and a screen to read."""

    def __init__(self, app: RingRiftApp, pilot: Pilot[None], world: World, clock: Clock) -> None:
        self.app, self.pilot, self.world, self.clock = app, pilot, world, clock

    @property
    def lines(self) -> list[str]:
        """Return the text on the screen, a dialog over what stands under it."""
        return [strip.text for strip in self.app.screen._compositor.render_strips()]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    async def press(self, *keys: str) -> None:
        """Press keys one after another and wait until each was handled."""
        for key in keys:
            await self.pilot.press(key)
            for worker in [each for each in self.app.workers if each.group != "feed"]:
                await worker.wait()
            await self.settle()

    async def settle(self) -> None:
        """Wait until what was drawn is laid out: a change of height is drawn one refresh later."""
        await self.pilot.pause()
        await self.pilot.pause()

    async def until(self, seen: Callable[[], bool]) -> None:
        """Let rounds of the feed pass until something is seen; fails after many."""
        for _ in range(400):
            if seen():
                return
            self.app.feed.wake()
            await self.pilot.pause(0.02)
        raise AssertionError(f"never seen; the screen is:\n{self.text}")

    async def shows(self, words: str) -> None:
        """Wait until words stand on the screen."""
        await self.until(lambda: words in self.text)


Start = Callable[..., AbstractAsyncContextManager[Terminal]]


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep every test away from the real home and controller."""
    for name in ("RINGRIFT_URL", "RINGRIFT_TOKEN", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RINGRIFT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("tui.feed.FAST", 0.05)
    return tmp_path / "home"


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def start(world: World) -> Start:
    """Start a terminal that has seen the fleet once."""

    @asynccontextmanager
    async def terminal(
        size: tuple[int, int] = (120, 40), operate: bool = True, ready: str = "12 hosts", notice: str = ""
    ) -> AsyncIterator[Terminal]:
        clock = Clock()
        app = RingRiftApp(
            operate=operate,
            notice=notice,
            connect=lambda: Direct(world),
            clock=clock,
            where="127.0.0.1:8470",
            who="ring",
        )
        async with app.run_test(size=size) as pilot:
            opened = Terminal(app, pilot, world, clock)
            await opened.shows(ready)
            await opened.settle()
            yield opened

    return terminal
