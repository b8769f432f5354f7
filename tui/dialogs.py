"""What stands over a screen: help, why, and the confirmation of everything that changes something."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from ringrift.client.display import plain
from ringrift.errors import RingRiftError
from ringrift.protocol.operator import WhyView
from tui.draw import conditions, hanging, heading, line, prose, stack, words
from tui.keys import keys_of
from tui.theme import TONES


class Scroll(VerticalScroll, can_focus=False):
    """Content that may be taller than the screen."""


class Choice(Static, can_focus=True):
    """One answer of a dialog. Enter takes it."""

    def __init__(self, label: str, identity: str) -> None:
        super().__init__("", markup=False, id=identity)
        self._label = label

    def render(self) -> Text:
        if self.has_focus:
            return Text(f"▸ {self._label} ◂", style=f"{TONES['accent']} reverse", end="")
        return Text(f"  {self._label}  ", style=TONES["text"], end="")


class Dialog(ModalScreen[bool]):
    """A framed page over the screen: Esc leaves, arrows scroll."""

    AUTO_FOCUS = ""
    frame_title = ""
    frame_subtitle = "esc closes"

    def compose(self) -> ComposeResult:
        with Vertical() as frame:
            frame.border_title = self.frame_title
            frame.border_subtitle = self.frame_subtitle
            with Scroll():
                yield Static("", markup=False, id="body")
            yield from self.choices()

    def choices(self) -> ComposeResult:
        yield from ()

    def lines(self, width: int) -> list[Text]:
        """Return what is told, for a width in cells."""
        return []

    def width(self) -> int:
        """Return the cells inside frame and padding."""
        return min(96, self.app.size.width) - 5

    def on_mount(self) -> None:
        self.repaint()

    def on_resize(self) -> None:
        self.repaint()

    def repaint(self) -> None:
        """Draw the page anew."""
        if self.is_mounted:
            self.query_one("#body", Static).update(stack(self.lines(self.width())))

    def on_key(self, event: events.Key) -> None:
        amount = {"up": -1, "down": 1, "k": -1, "j": 1, "pageup": -10, "pagedown": 10}.get(event.key)
        if amount is not None:
            self.query_one(Scroll).scroll_relative(y=amount, animate=False)
        elif event.key in ("escape", "q", "question_mark", "w"):
            self.leave()
        else:
            self.answer(event)
            return
        event.stop()

    def leave(self) -> None:
        self.dismiss(False)

    def answer(self, event: events.Key) -> None:
        """Take keys that only this dialog knows."""
        if event.key == "enter":
            event.stop()
            self.leave()


class Help(Dialog):
    """Every key of a place with the command that does the same."""

    def __init__(self, place: str) -> None:
        super().__init__()
        self._place = place
        self.frame_title = f"keys: {place}"

    def lines(self, width: int) -> list[Text]:
        rows = [
            words("Letters look, CAPITALS change something and ask before.", "dim"),
            words("At the right: the same as a command of ringrift-ctl.", "dim"),
            words(""),
        ]
        for key in keys_of(self._place):
            row = line(words(f"{key.shown:>4}  ", "accent"), words(key.help[:46].ljust(46)))
            rows.append(line(row, words(f"  {key.command}"[: max(0, width - 52)], "dim")))
        return rows


class Why(Dialog):
    """The cause in one sentence, the conditions, the last facts, the next action."""

    def __init__(self, view: WhyView) -> None:
        super().__init__()
        self._view = view
        self.frame_title = f"why {plain(view.subject)}"

    def lines(self, width: int) -> list[Text]:
        view = self._view
        rows = [prose(view.sentence), words("")]
        if view.conditions:
            rows += [*conditions(view.conditions, width), words("")]
        rows += [prose(f"· {plain(fact)}", "dim") for fact in view.facts]
        rows += [words(""), line(words("next  ", "accent"), prose(view.next_action or "nothing"))]
        rows.append(line(words("same  ", "dim"), words(f"ringrift-ctl why {view.subject}", "dim")))
        return rows


@dataclass(frozen=True)
class Proposal:
    """A change before it is made: what the operator reads, and what happens on Yes."""

    title: str
    lines: Callable[[int], list[Text]]
    extent: str
    reversible: str
    command: str
    verb: str
    refused: str
    apply: Callable[[], Awaitable[None]]


class Confirm(Dialog):
    """Shows a proposal; the focus stands on Cancel. A refused proposal can only be read."""

    frame_subtitle = "esc cancels"

    def __init__(self, proposal: Proposal) -> None:
        super().__init__()
        self._proposal = proposal
        self._error = ""
        self._busy = False
        self.frame_title = proposal.title

    def choices(self) -> ComposeResult:
        with Horizontal():
            yield Choice("Cancel", "cancel")
            if not self._proposal.refused:
                yield Choice(self._proposal.verb, "apply")

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one("#cancel").focus()

    def lines(self, width: int) -> list[Text]:
        proposal = self._proposal
        rows = proposal.lines(width)
        rows += [words(""), heading("this change", width)]
        for label in ("extent", "reversible", "command"):
            rows += hanging(label, getattr(proposal, label), width)
        if proposal.refused:
            rows.append(prose(f"✖ not possible now: {proposal.refused}", "bad"))
        if self._error:
            rows.append(prose(f"✖ {self._error}", "bad"))
        return rows

    def answer(self, event: events.Key) -> None:
        if event.key in ("left", "right", "tab", "shift+tab", "h", "l"):
            event.stop()
            event.prevent_default()
            choices = list(self.query(Choice))
            focused = next((index for index, choice in enumerate(choices) if choice.has_focus), 0)
            choices[(focused + 1) % len(choices)].focus()
        elif event.key == "enter" and not self._busy:
            event.stop()
            if isinstance(self.focused, Choice) and self.focused.id == "apply":
                self._busy = True
                self.run_worker(self._apply())
            else:
                self.leave()

    async def _apply(self) -> None:
        """Make the change. When it fails the dialog stays and says why; nothing was changed."""
        try:
            await self._proposal.apply()
        except RingRiftError as error:
            self._busy, self._error = False, error.line()
            self.repaint()
            self.query_one(Scroll).scroll_end(animate=False)
        else:
            self.dismiss(True)
