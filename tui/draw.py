"""Words, bars and gauges as rich Text. Pure functions; nothing here reads markup."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from rich.text import Text

from ringrift.client.display import elo, percent, plain
from ringrift.client.marks import mark
from ringrift.protocol.operator import Condition, EvaluationView, StepView
from tui.theme import TONES

HIGH, FULL = 0.85, 0.92
"""Shares from which a disk or memory is shown as hurting and as full (the fleet's 85/92 % limits)."""


def words(text: object, tone: str = "text") -> Text:
    """Return harmless text in a tone, on one line."""
    return Text(plain(text), style=TONES[tone], no_wrap=True, overflow="ellipsis", end="")


def prose(text: object, tone: str = "text") -> Text:
    """Return harmless text in a tone that wraps."""
    return Text(plain(text), style=TONES[tone], end="")


def line(*parts: Text | str) -> Text:
    """Return parts behind one another; no part's style reaches into the next."""
    return Text.assemble(*parts, no_wrap=True, overflow="ellipsis", end="")


def state(name: str, extra: str = "") -> Text:
    """Return glyph and word of a state in its tone."""
    look = mark(name)
    return words(f"{look.glyph} {look.word}{extra}", look.tone)


def glyph(name: str) -> Text:
    """Return only the glyph, for rows of ticks that a legend explains."""
    look = mark(name)
    return words(look.glyph, look.tone)


def join(parts: Iterable[Text | str], between: str = "  ") -> Text:
    """Return one line of several parts."""
    return Text(between, end="").join(part if isinstance(part, Text) else words(part) for part in parts)


def flow(parts: Iterable[Text], width: int, between: str = "   ") -> list[Text]:
    """Return parts on as few lines as they need; a line is broken only between parts."""
    rows: list[list[Text]] = [[]]
    for part in parts:
        used = sum(each.cell_len + len(between) for each in rows[-1])
        if rows[-1] and used + part.cell_len > width:
            rows.append([])
        rows[-1].append(part)
    return [join(row, between) for row in rows]


def fitting(parts: Iterable[Text], width: int, between: str = "   ") -> Text:
    """Return the first parts that fit into a line; the most important stand first."""
    shown: list[Text] = []
    for part in parts:
        if sum(each.cell_len + len(between) for each in shown) + part.cell_len > width:
            break
        shown.append(part)
    return join(shown, between)


def meter(value: float | None, width: int, high: float = 2.0, full: float = 2.0, old: bool = False) -> Text:
    """Return a share as a bar with its number, as the number alone where there is no room, `-` if unknown.

    Filled and empty differ by weight, not only by colour; from `high` and `full` on the tone changes.
    `old` values, of a host that doesn't answer, are dimmed.
    """
    if value is None:
        return words("-".rjust(width), "dim")
    tone = "dim" if old else "bad" if value >= full else "warn" if value >= high else "good"
    number = percent(value).rjust(4)
    room = width - 5
    if room < 3:
        return words(number, tone)
    return line(progress(value, 1.0, room, tone), words(f" {number}", tone))


def progress(done: float, total: float, width: int, tone: str = "busy") -> Text:
    """Return a plain bar of exactly `width` cells."""
    filled = round(min(1.0, done / total) * width) if total else 0
    bar = Text("━" * filled, style=TONES[tone], end="")
    return bar.append("─" * (width - filled), style="#3d5166")


def gauge(value: float, low: float, high: float, width: int, tone: str) -> Text:
    """Return a value between bounds: `├────┼━━━━●──┤`, filled from zero; outside it stands on the bound."""
    cells = ["─"] * width
    cells[0], cells[-1] = "├", "┤"

    def column(at: float) -> int:
        share = (at - low) / (high - low) if high > low else 0.5
        return round(min(1.0, max(0.0, share)) * (width - 1))

    zero, here = column(0.0), column(value)
    for index in range(min(zero, here), max(zero, here) + 1):
        cells[index] = "━"
    cells[zero] = "┼"
    cells[here] = "●"
    drawn = Text("".join(cells), style="#5b7188", end="")
    drawn.stylize(TONES[tone], min(zero, here), max(zero, here) + 1)
    return drawn


def interval(low: float, middle: float, high: float, span: float, width: int, tone: str) -> Text:
    """Return an interval on an axis from -span to +span: `────┼──[━━●━━]───`."""
    cells = ["─"] * width

    def column(at: float) -> int:
        return round(min(1.0, max(0.0, (at + span) / (2 * span))) * (width - 1))

    left, right = column(low), column(high)
    for index in range(left, right + 1):
        cells[index] = "━"
    cells[column(0.0)] = "┼"
    cells[left], cells[right], cells[column(middle)] = "[", "]", "●"
    drawn = Text("".join(cells), style="#5b7188", end="")
    drawn.stylize(TONES[tone], left, right + 1)
    return drawn


def verdict_tone(view: EvaluationView) -> str:
    return {"accepted": "good", "rejected": "bad"}.get(view.state, "busy")


def evaluation(view: EvaluationView, width: int) -> list[Text]:
    """Return an evaluation as lines: verdict, LLR between its bounds, Elo interval, seats."""
    tone = verdict_tone(view)
    low, high = ("even", "uneven") if view.purpose == "mirror" else ("reject", "accept")
    room = max(12, width - 40)
    head = (state(view.state), words(f"{view.candidate[:8]} against {_against(view)}"), *_games(view))
    lines = [
        fitting(head, width, "  "),
        line(
            words(f"LLR  {low} {view.lower:+.2f} ".ljust(18), "dim"),
            gauge(view.llr, view.lower, view.upper, room, tone),
            words(f" {view.upper:+.2f} {high}", "dim"),
            words(f"  {view.llr:+.2f}", tone),
        ),
    ]
    if view.elo is not None and view.elo_low is not None and view.elo_high is not None:
        span = max(50.0, abs(view.elo_low), abs(view.elo_high)) * 1.15
        lines.append(
            line(
                words("Elo  " + f"{-span:+.0f} ".rjust(13), "dim"),
                interval(view.elo_low, view.elo, view.elo_high, span, room, tone),
                words(f" {span:+.0f}".ljust(13), "dim"),
                words(f"  {view.elo:+.0f}", tone),
            )
        )
    return [*lines, *seats(view, width)]


def _against(view: EvaluationView) -> str:
    if view.purpose == "mirror":
        return "itself"
    former = "former " if view.purpose == "non-inferiority" else ""
    has_model = len(view.opponent) == 64
    return f"{former}champion {view.opponent[:8]}" if has_model else plain(view.opponent)[:16]


def _games(view: EvaluationView) -> tuple[Text, ...]:
    return (
        words(f"{view.games} games", "dim"),
        words(f"score {percent(view.score)}", "dim"),
        words(f"block {view.blocks} of at most {view.max_blocks}", "dim"),
    )


def seats(view: EvaluationView, width: int) -> list[Text]:
    """Return the interval in figures, and how often the candidate won from each seat."""
    parts = [words(f"Elo {elo(view.elo, view.elo_low, view.elo_high)}")]
    for seat, tally in sorted(view.seats.items()):
        won, games = (*tally, 0, 0)[:2]
        parts.append(words(f"seat {plain(seat)}: {won}/{games} {percent(won / games if games else None)}"))
    return flow(parts, width)


def conditions(found: Iterable[Condition], width: int) -> list[Text]:
    """Return conditions as aligned lines: verdict, name, value, limit, reason."""
    rows = list(found)
    texts = [(plain(row.name), plain(row.value), plain(row.limit), plain(row.reason)) for row in rows]
    name, value, limit = (
        min(most, max((len(text[column]) for text in texts), default=0))
        for column, most in enumerate((26, 20, 20))
    )
    lines = []
    for row, text in zip(rows, texts, strict=True):
        told = line(
            state("passed" if row.passed else "failed"),
            words("  " + text[0][:name].ljust(name)),
            words("  " + text[1][:value].rjust(value), "good" if row.passed else "bad"),
            words("  " + text[2][:limit].ljust(limit), "dim"),
        )
        room = width - told.cell_len - 2
        lines.append(line(told, words("  " + text[3][:room], "dim")) if room >= 12 else told)
    return lines


def steps(found: Iterable[StepView], width: int) -> list[Text]:
    """Return the steps of an operation, one a line."""
    lines = []
    for step in found:
        look = state(step.state)
        look.pad_right(max(0, 13 - look.cell_len))
        seconds = "" if step.seconds is None else f"{step.seconds:.1f}s"
        detail = "  " + plain(step.detail)[: max(0, width - 46)]
        tone = "bad" if step.state == "failed" else "dim"
        name = plain(step.name)[:22].ljust(22)
        lines.append(line(look, words(name), words(seconds.rjust(8), "dim"), words(detail, tone)))
    return lines


def hanging(label: str, text: str, width: int, indent: int = 12) -> list[Text]:
    """Return a labelled text that wraps under itself."""
    rows = textwrap.wrap(plain(text), max(10, width - indent), break_on_hyphens=False) or ["-"]
    names = [label, *[""] * (len(rows) - 1)]
    return [line(words(name.ljust(indent), "dim"), words(row)) for name, row in zip(names, rows, strict=True)]


def facts(pairs: Iterable[tuple[str, Text | str]], label: int = 12) -> list[Text]:
    """Return labelled values, one a line."""
    return [
        line(words(name.ljust(label), "dim"), value if isinstance(value, Text) else words(value))
        for name, value in pairs
    ]


def heading(text: str, width: int, told: Text | None = None) -> Text:
    """Return a section's title, what is told about it, and a rule behind."""
    title = line(words(text, "accent"), *(("  ", told) if told else ()))
    title.truncate(width, overflow="ellipsis")
    return line(title, " ", Text("─" * max(0, width - title.cell_len - 1), style="#33475b"))


def stack(lines: Iterable[Text]) -> Text:
    """Return lines as one text."""
    return Text("\n", end="").join(lines)
