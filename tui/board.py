"""What all screens share: the chrome, the dispatch of keys, the filter, the way in and out."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input
from textual.worker import Worker

from ringrift.client.routes import Call
from ringrift.errors import RingRiftError
from tui.chrome import Banner, Extra, Foot, Footer, Header, Notice, Pane, Prompt, Strap
from tui.draw import stack
from tui.keys import Key, find, find_verb, keys_of
from tui.table import Rows
from tui.theme import TONES

if TYPE_CHECKING:
    from ringrift.protocol.operator import StatusView
    from tui.app import RingRiftApp
    from tui.feed import Feed


ASKING_SECONDS = 0.4
"""How long an answer may take before it is said that it is waited for."""
ROOMY = 34
"""Lines from which on a screen shows the details of the selected row."""


class Board(Screen[None]):
    """One screen. Subclasses give `place`, `tab`, `body`, `calls`, `paint` and a `do_<verb>` per key."""

    AUTO_FOCUS = ""
    place = ""
    tab = ""
    trail = ""

    def __init__(self) -> None:
        super().__init__()
        self.filter = ""
        self.table: Rows | None = None
        self._asking: Worker[None] | None = None

    @property
    def ring(self) -> RingRiftApp:
        """The app, by its own type."""
        return self.app  # type: ignore[return-value]

    @property
    def feed(self) -> Feed:
        return self.ring.feed

    def compose(self) -> ComposeResult:
        yield Header()
        yield Banner()
        yield from self.body()
        with Foot():
            yield Notice()
            yield Prompt()
            yield Footer()

    def body(self) -> Iterable[Widget]:
        """Return the widgets between header and footer."""
        return ()

    def calls(self) -> dict[str, Call[Any]]:
        """Return what the feed shall ask for while this screen is shown."""
        return {}

    @property
    def roomy(self) -> bool:
        """Tell whether the screen is high enough for details below a table."""
        return self.size.height >= ROOMY

    def below(self, lines: Sequence[Text]) -> None:
        """Show lines directly under the table, which is as high as its rows or as there is room."""
        if self.table is None:
            return
        above = 3 + (self.query_one(Strap).lines if self.query_one(Strap).display else 0)
        room = self.size.height - above - sum(each.lines for each in self.query(Extra) if each.display)
        self.table.styles.height = max(min(len(self.table.rows) + 2, room - len(lines)), min(room, 5))
        self.query_one(Pane).put(stack(lines) if lines else None)

    def paint(self) -> None:
        """Draw from the feed's views."""

    def subject(self) -> str:
        """Return what `why` is asked about, empty when there is nothing."""
        return ""

    def refusal(self, key: Key) -> str:
        """Return why a key does nothing now, empty when it does something."""
        if key.changes and not self.ring.operate:
            return "read-only: start with `ringrift-ctl tui --operate` to change anything"
        if (key.changes or key.verb in ("plan", "why")) and not self.feed.link.up:
            return f"the controller is away: {self.feed.link.reason or 'not connected yet'}"
        return ""

    def on_screen_resume(self) -> None:
        self.repaint()
        self.feed.wake()

    def on_resize(self) -> None:
        self.call_after_refresh(self.repaint)

    def repaint(self) -> None:
        """Draw chrome and body; nothing before the widgets are there or after they are gone."""
        if not self.is_current or not self.query(Footer):
            return
        ring, feed = self.ring, self.feed
        status: StatusView | None = feed.views.get("status")
        self.query_one(Header).paint(
            (self.tab, self.trail),
            (ring.who, ring.where),
            ring.operate,
            feed.age("status"),
            status.alerts if status else None,
        )
        self.query_one(Banner).paint(feed.link, feed.clock())
        keys = keys_of(self.place)
        self.query_one(Footer).paint(keys, frozenset(key.key for key in keys if self.refusal(key)))
        try:
            self.paint()
        except Exception as problem:
            self.say(ring.unexpected(problem), "bad")

    def say(self, text: str, tone: str = "accent") -> None:
        """Tell the operator one sentence, until the next key."""
        for notice in self.query(Notice):
            notice.tell(text, TONES[tone])

    def on_key(self, event: events.Key) -> None:
        """Do what the table of keys says."""
        prompt = self.query_one(Prompt)
        self.feed.typed_at = self.feed.clock()
        if prompt.purpose:
            if event.key == "escape":
                event.stop()
                self._prompt_left()
            return
        if self._asking is not None and self._asking.is_running:
            event.stop()
            self._give_up(event.key)
            return
        key = find(self.place, event.key)
        if key is not None:
            event.stop()
            event.prevent_default()
            self.say("")
            self.perform(key)

    def perform(self, key: Key) -> None:
        """Do a key's verb, or say why not."""
        refusal = self.refusal(key)
        if refusal:
            self.say(refusal, "warn")
            return
        result = getattr(self, f"do_{key.verb}")()
        if inspect.isawaitable(result):
            # The app's worker, not the screen's: a verb may leave its own screen.
            self._asking = self.app.run_worker(self._guarded(result))
            self.set_timer(ASKING_SECONDS, self._say_asking)

    def _say_asking(self) -> None:
        if self._asking is not None and self._asking.is_running:
            self.say("asking the controller ... (esc gives up)")

    def _give_up(self, pressed: str) -> None:
        """Escape ends a verb that still waits; other keys are not kept for a dialog that nobody has seen."""
        if pressed == "escape" and self._asking is not None:
            self._asking.cancel()
            self.say("given up, nothing was changed")

    async def _guarded(self, work: Any) -> None:
        """Await a verb; an expected failure becomes a sentence."""
        try:
            await work
        except Exception as problem:
            told = problem.line() if isinstance(problem, RingRiftError) else self.ring.unexpected(problem)
            if self.is_mounted:
                self.say(told, "bad")

    # --- filter and commands -----------------------------------------------------------------------

    def matches(self, *texts: object) -> bool:
        """Tell whether the filter, if any, occurs in a row's texts."""
        return not self.filter or self.filter.lower() in " ".join(str(text) for text in texts).lower()

    def on_input_changed(self, event: Input.Changed) -> None:
        if self.query_one(Prompt).purpose == "filter":
            self.filter = event.value
            self.paint()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        prompt = self.query_one(Prompt)
        purpose = prompt.purpose
        prompt.close()
        if purpose == "command" and event.value.strip():
            self._command(event.value.strip())

    def _command(self, typed: str) -> None:
        key = find_verb(self.place, typed)
        if key is None:
            self.say(f"{typed!r} is no verb here; ? shows them", "warn")
        else:
            self.perform(key)

    def _prompt_left(self) -> None:
        prompt = self.query_one(Prompt)
        if prompt.purpose == "filter":
            self.filter = ""
        prompt.close()
        self.paint()

    def do_filter(self) -> None:
        self.query_one(Prompt).open("filter", self.filter)

    def do_command(self) -> None:
        self.query_one(Prompt).open("command", words=tuple(key.verb for key in keys_of(self.place)))

    # --- ways --------------------------------------------------------------------------------------

    async def do_back(self) -> None:
        if self.filter:
            self.filter = ""
            self.paint()
        elif len(self.app.screen_stack) > 1:
            self.app.pop_screen()

    async def do_fleet(self) -> None:
        await self.ring.show_board("fleet")

    async def do_configs(self) -> None:
        await self.ring.show_board("configs")

    async def do_production(self) -> None:
        await self.ring.show_board("production")

    async def do_alerts(self) -> None:
        await self.ring.show_board("alerts")

    def do_quit(self) -> None:
        self.app.exit()

    def do_refresh(self) -> None:
        self.feed.wake()

    def do_copy(self) -> None:
        if self.subject():
            self.app.copy_to_clipboard(self.subject())
            self.say(f"copied {self.subject()}")

    def do_help(self) -> None:
        from tui.dialogs import Help

        self.app.push_screen(Help(self.place))

    async def do_why(self) -> None:
        from tui.dialogs import Why

        subject = self.subject()
        if not subject:
            self.say("nothing is selected", "warn")
            return
        from ringrift.client import routes

        answer = await self.feed.send(routes.why(subject))
        self.app.push_screen(Why(answer))

    # --- moving ------------------------------------------------------------------------------------

    def move(self, lines: int) -> None:
        """Move the cursor, or scroll where there is none."""
        if self.table is not None:
            self.table.move_to(self.table.cursor + lines)
            self.paint()
        else:
            self.query_one("Scroll").scroll_relative(y=lines, animate=False)

    def page(self) -> int:
        return self.table.page() if self.table is not None else max(1, self.size.height - 6)

    def do_up(self) -> None:
        self.move(-1)

    def do_down(self) -> None:
        self.move(1)

    def do_page_up(self) -> None:
        self.move(-self.page())

    def do_page_down(self) -> None:
        self.move(self.page())

    def do_first(self) -> None:
        self.move(-100_000)

    def do_last(self) -> None:
        self.move(100_000)

    def go_next(self, wanting: Sequence[int]) -> None:
        """Put the cursor on the next of the given rows after it, around the end."""
        if self.table is None or not wanting:
            self.say("nothing here needs you")
            return
        here = self.table.cursor
        self.table.move_to(next((index for index in wanting if index > here), wanting[0]))
        self.paint()
