"""What a command prints: data on stdout (tables, or JSON with `--json`), everything else on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

from ringrift.errors import Refused

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

    from ringrift.client.http import Client
    from ringrift.client.routes import Call

T = TypeVar("T")
Json = Annotated[bool, typer.Option("--json", help="Print the data as JSON on stdout.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")]

PIPE_WIDTH = 1000
"""Columns at which output to a file or pipe is broken: beyond what a table needs."""
STYLES = {"good": "green", "busy": "cyan", "warn": "yellow", "bad": "bold red", "dim": "dim"}


class Output:
    """Where a command's words go."""

    def __init__(self, json: bool) -> None:
        self.json = json

    def data(self, value: Any, draw: Callable[[], RenderableType]) -> None:
        """Print a view (or a list of views): as JSON when asked for, else what `draw` makes of it."""
        if self.json:
            from pydantic import TypeAdapter

            from ringrift.text import escaped

            text = TypeAdapter(Any).dump_json(value, indent=2).decode()
            sys.stdout.write("\n".join(escaped(line) for line in text.split("\n")) + "\n")
        else:
            console(sys.stdout).print(draw())

    def note(self, text: object) -> None:
        """Say something to the person, on stderr."""
        note(text)


def output(context: typer.Context, json: bool) -> Output:
    """Return where to print; `--json` counts before the verb and after it."""
    return Output(json or bool(context.find_root().params.get("json")))


def note(text: object) -> None:
    """Print words or a renderable on stderr."""
    console(sys.stderr).print(text)


def console(stream: Any) -> Console:
    """Return a console that reads no markup, so that text from the wire stays text."""
    from rich.console import Console

    width = None if stream.isatty() else PIPE_WIDTH
    return Console(file=stream, width=width, markup=False, highlight=False, emoji=False)


@contextmanager
def controller() -> Iterator[Client]:
    """Open the client of the controller that this shell belongs to."""
    from ringrift.client.access import find_access
    from ringrift.client.http import Client

    with Client(find_access()) as client:
        yield client


def report(context: typer.Context, json: bool, call: Call[T], draw: Callable[[T], RenderableType]) -> T:
    """Send one call, print the answer, return it."""
    with controller() as client:
        answer = client.send(call)
    output(context, json).data(answer, lambda: draw(answer))
    return answer


def confirm(question: str, yes: bool) -> None:
    """Ask, with No as the default; raise `Refused` unless the answer is yes."""
    if yes:
        return
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        sys.stderr.write("\n")
    if answer.strip().lower() not in ("y", "yes"):
        raise Refused("not confirmed, nothing was changed", hint="answer y, or pass --yes in a script")


def state_text(state: str) -> Text:
    """Return glyph and word of a state in its colour."""
    from rich.text import Text

    from ringrift.client.marks import mark

    look = mark(state)
    return Text(f"{look.glyph} {look.word}", style=STYLES[look.tone])


def table(headers: Sequence[str], rows: Iterable[Sequence[object]], title: str = "", whole: int = 0) -> Table:
    """Return a table of harmless text. A header that ends with `>` is a right-aligned column.

    With `whole` the columns stand closer, and that many of the first ones are the last to be cut where there
    is little room.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from ringrift.client.display import plain

    space = (0, 1, 0, 0) if whole else (0, 1)
    drawn = Table(
        box=box.SIMPLE_HEAD, padding=space, pad_edge=False, title=title or None, title_justify="left"
    )
    for number, header in enumerate(headers):
        justify: Literal["left", "right"] = "right" if header.endswith(">") else "left"
        drawn.add_column(header.rstrip(">"), justify=justify, no_wrap=number < whole)
    for row in rows:
        drawn.add_row(*(cell if isinstance(cell, Text) else Text(plain(cell)) for cell in row))
    return drawn


def one_line(text: object) -> Text:
    """Return harmless text that is cut, not broken, where there is little room."""
    from rich.text import Text

    from ringrift.client.display import plain

    return Text(plain(text), no_wrap=True, overflow="ellipsis")


def fields(pairs: Iterable[tuple[str, object]]) -> Table:
    """Return name and value pairs, one a line."""
    from rich.table import Table
    from rich.text import Text

    from ringrift.client.display import plain

    grid = Table.grid(padding=(0, 2))
    for name, value in pairs:
        shown = value if isinstance(value, Text) else Text(plain(value))
        grid.add_row(Text(name, style="bold"), shown)
    return grid
