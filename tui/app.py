"""The terminal: paints what was last seen, connects, stays. A thin client of the operators' API."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import time
import traceback
from collections.abc import Callable
from typing import Any, ClassVar

from textual.app import App
from textual.screen import Screen

from ringrift.client.access import find_access
from ringrift.client.home import home
from ringrift.client.http import AsyncClient
from ringrift.client.routes import Call
from tui import cache, theme
from tui.alerts import Alerts
from tui.board import Board
from tui.configs import Configs
from tui.feed import Feed, Sender
from tui.fleet import Fleet
from tui.production import Production

TICK_SECONDS = 1.0
"""How often ages are drawn anew; only lines that changed are sent."""
KEEP_SECONDS = 15.0
"""Least time between two writes of the cache."""

FAULT_SECONDS = 5.0
"""Pause after a fault of the terminal itself, before it asks again."""


class RingRiftApp(App[None]):
    """Four screens over one feed. Read-only unless `operate`."""

    TITLE = "RingRift"
    CSS = theme.CSS
    ENABLE_COMMAND_PALETTE = False
    MODES: ClassVar[dict[str, str | Callable[[], Screen[Any]]]] = {
        "fleet": Fleet,
        "configs": Configs,
        "production": Production,
        "alerts": Alerts,
    }
    DEFAULT_MODE = "fleet"

    def __init__(
        self,
        operate: bool = False,
        notice: str = "",
        connect: Callable[[], Sender] | None = None,
        clock: Callable[[], float] = time.time,
        where: str = "",
        who: str = "",
    ) -> None:
        super().__init__()
        self.operate = operate
        self.where = where
        self.who = who or _login_name()
        self._notice = notice
        self._connect = connect or self._open
        self._kept_at = 0.0
        self.feed = Feed(self._connect, self._wanted, self._changed, clock)

    def on_mount(self) -> None:
        self.register_theme(theme.THEME)
        self.theme = theme.THEME.name
        views, taken = cache.load(cache.cache_path())
        self.feed.views.update(views)
        self.feed.taken.update(dict.fromkeys(views, taken))
        self.call_after_refresh(self._start)

    def _start(self) -> None:
        """After the first picture: connect."""
        self._changed()
        if self._notice and isinstance(self.screen, Board):
            self.screen.say(self._notice)
        self.run_worker(self._follow(), exclusive=True, group="feed")
        self.set_interval(TICK_SECONDS, self._tick)

    async def _follow(self) -> None:
        """Keep the views fresh; a fault of ours is told and logged, and the terminal stays."""
        while True:
            try:
                await self.feed.run()
            except Exception as problem:
                board = self._board()
                if board is not None:
                    board.say(self.unexpected(problem), "bad")
                await asyncio.sleep(FAULT_SECONDS)

    def unexpected(self, problem: Exception) -> str:
        """Log a fault of ours and return the sentence that says so."""
        path = home() / "logs" / "tui.log"
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with path.open("a", encoding="utf-8") as log:
                log.write("".join(traceback.format_exception(problem)) + "\n")
        return f"a fault of the terminal itself ({type(problem).__name__}: {problem}); details in {path}"

    def _open(self) -> Sender:
        access = find_access()
        self.where = access.url.partition("://")[2]
        return AsyncClient(access)

    def _board(self) -> Board | None:
        """Return the screen that is shown or stands under a dialog."""
        boards = [screen for screen in self.screen_stack if isinstance(screen, Board)]
        return boards[-1] if boards else None

    def _wanted(self) -> dict[str, Call[Any]]:
        board = self._board()
        return board.calls() if board else {}

    def _changed(self) -> None:
        self._tick()
        feed = self.feed
        if feed.link.up and feed.clock() - self._kept_at >= KEEP_SECONDS:
            self._kept_at = feed.clock()
            cache.save(cache.cache_path(), feed.views, feed.taken.get("status", 0.0))

    def _tick(self) -> None:
        """Repaint the screen; while the terminal ends there is none."""
        if self.screen_stack and isinstance(self.screen, Board):
            self.screen.repaint()

    async def show_board(self, name: str) -> None:
        """Go to one of the four screens, out of any drill-down."""
        if self.current_mode != name:
            await self.switch_mode(name)
        while len(self.screen_stack) > 1:
            await self.pop_screen()

    async def on_unmount(self) -> None:
        if self.feed.views and self.feed.link.ever:
            cache.save(cache.cache_path(), self.feed.views, self.feed.taken.get("status", 0.0))
        await self.feed.close()


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "operator"
