"""What stands around every screen: header, banner, notice, prompt, footer."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from rich.text import Text
from textual.containers import Vertical
from textual.suggester import SuggestFromList
from textual.widgets import Input, Static

from ringrift.client.display import age, plain
from tui.draw import join, line, words
from tui.keys import Key
from tui.theme import TONES

if TYPE_CHECKING:
    from ringrift.protocol.alerts import AlertCount
    from tui.feed import Link

TABS = (
    ("1", "Fleet", "fleet"),
    ("2", "Configs", "configs"),
    ("3", "Production", "production"),
    ("4", "Alerts", "alerts"),
)


class Line(Static):
    """Text without markup, repainted only when it changed."""

    def __init__(self) -> None:
        super().__init__("", markup=False)
        self._shown: Text | None = None

    @property
    def lines(self) -> int:
        """Return how many lines it takes on a screen that breaks none of them."""
        return self._shown.plain.count("\n") + 1 if self._shown else 0

    def put(self, text: Text | None) -> None:
        """Show a text; None hides the widget."""
        self.display = text is not None
        if text is not None and text != self._shown:
            self._shown = text.copy()
            self.update(text)


class Header(Line):
    """Who, where, what is wrong, which mode, how old; below it the screens."""

    def paint(
        self,
        place: tuple[str, str],
        login: tuple[str, str],
        operate: bool,
        seen: float | None,
        alerts: AlertCount | None,
    ) -> None:
        (tab, trail), (who, where) = place, login
        width = self.size.width
        mode = words("OPERATE", "warn") if operate else words("read-only", "good")
        right = line(
            alarm(alerts), mode, words("  data ", "dim"), words("never" if seen is None else age(seen)), " "
        )
        left = line(words(" RingRift ", "accent"), words(f" {who} @ {where}", "dim"))
        left.truncate(max(0, width - right.cell_len - 1), overflow="ellipsis")
        left.pad_right(max(0, width - left.cell_len - right.cell_len))
        tabs = [self._tab(number, name, place == tab) for number, name, place in TABS]
        crumbs = [words(f"› {plain(trail)}", "accent")] if trail else []
        self.put(Text("\n", end="").join((line(left, right), line(" ", join((*tabs, *crumbs))))))

    @staticmethod
    def _tab(number: str, name: str, here: bool) -> Text:
        style = f"{TONES['accent']} reverse" if here else TONES["dim"]
        return Text(f" {number} {name} ", style=style, end="")


def alarm(count: AlertCount | None) -> Text:
    """Return how many alerts are open, loudest where one is critical and nobody has taken it over."""
    if count is None or not count.open:
        return words("")
    loud = count.critical and count.unacknowledged
    tone = "bad" if loud else "warn" if count.unacknowledged else "dim"
    noun = "alert" if count.open == 1 else "alerts"
    return words(f"{'✖' if loud else '▲'} {count.open} {noun}  ", tone)


class Extra(Line):
    """Lines that are only there when there is something to tell."""

    def tell(self, text: str, style: str = "") -> None:
        """Show a text broken to the width; an empty one hides the widget."""
        rows = textwrap.wrap(plain(text), max(20, self.app.size.width - 2), break_on_hyphens=False)
        self.put(Text("\n".join(rows), style=style, end="") if rows else None)


class Banner(Extra):
    """Shown while the controller doesn't answer: since when, why, when the next try is."""

    def paint(self, link: Link, now: float) -> None:
        if link.up:
            self.tell("")
        elif not link.since:
            self.tell("connecting ...")
        else:
            away, wait = age(now - link.since), max(0.0, link.retry_at - now)
            self.tell(f"✖ away for {away}, next try in {wait:.0f}s: {link.reason}")


class Notice(Extra):
    """One sentence to the operator, until the next key."""


class Strap(Line):
    """The summary under the header."""


class Pane(Line):
    """Some lines that tell more of what the cursor stands on."""


class Foot(Vertical):
    """Holds notice, prompt and footer at the lower edge."""


class Footer(Line):
    """The keys that work here; those that don't work now are shown in brackets."""

    def paint(self, keys: tuple[Key, ...], refused: frozenset[str]) -> None:
        line_of_keys = Text(" ", end="", no_wrap=True, overflow="ellipsis")
        for key in keys:
            if not key.footer:
                continue
            off = key.key in refused
            shown = f"({key.shown} {key.words})" if off else f"{key.shown} {key.words}"
            if line_of_keys.cell_len + len(shown) + 2 > self.size.width:
                break
            line_of_keys.append(
                shown[: -len(key.words)] if not off else shown, TONES["dim" if off else "accent"]
            )
            line_of_keys.append("  " if off else f"{key.words}  ", TONES["text"])
        self.put(line_of_keys)


class Prompt(Input):
    """The line that takes a filter or a command."""

    def __init__(self) -> None:
        super().__init__(compact=True, select_on_focus=False)
        self.purpose = ""

    def open(self, purpose: str, value: str = "", words: tuple[str, ...] = ()) -> None:
        """Take input for `filter` or `command`."""
        self.purpose = purpose
        self.placeholder = "filter by any text of a row" if purpose == "filter" else "a verb, see ?"
        self.suggester = SuggestFromList(words) if words else None
        self.value = value
        self.display = True
        self.focus()

    def close(self) -> None:
        """Stop taking input."""
        self.purpose = ""
        self.display = False
        self.screen.set_focus(None)
