"""What is kept of a host beside its state: declared and seen, drift, what it owes, its keys, its price."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.text import Text

from ringrift.client.display import age, count, plain
from ringrift.protocol.batches import DebtView
from ringrift.protocol.hosts import PinnedKeyView
from ringrift.protocol.operator import HostView
from tui.draw import heading, line, prose, state, words

GIB = 1 << 30
KEYS = 4
"""So many of the newest pinned keys are shown."""
LESS = 0.8
"""A size or a rate below this share of what is declared or expected stands out."""


def cost(view: HostView) -> str:
    """Return the price of a host in words."""
    price = "unknown" if view.hourly_cost is None else f"${view.hourly_cost:.2f} an hour"
    return f"{price}, spot" if view.spot else price


def games(view: HostView) -> Text:
    """Return games an hour against what was measured before for the same work."""
    seen, expected = view.games_per_hour, view.expected_per_hour
    if expected is None or seen is None:
        return words(count(seen))
    tone = "warn" if seen < LESS * expected else "good"
    return line(words(count(seen), tone), words(f" of {count(expected)} expected", "dim"))


def records(view: HostView, views: Mapping[str, Any], width: int) -> list[Text]:
    """Return the sections of what is kept, without those that are empty."""
    lines = _section("declared and seen", _declared(view), width)
    looked = "" if view.drift_age is None else f"looked at {age(view.drift_age)} ago"
    lines += _section("drift", [prose(f"≠ {plain(each)}", "warn") for each in view.drift], width, looked)
    debts: list[DebtView] = [each for each in views.get("debts") or () if each.host == view.name]
    lines += _section("owes", [_debt(each) for each in debts], width)
    keys: list[PinnedKeyView] = views.get(f"keys {view.name}") or []
    lines += _section("host keys", [_key(each) for each in keys[:KEYS]], width)
    return lines


def _section(title: str, lines: list[Text], width: int, told: str = "") -> list[Text]:
    if not lines:
        return []
    return [words(""), heading(title, width, words(told, "dim") if told else None), *lines]


def _declared(view: HostView) -> list[Text]:
    """Return one line for each size that the inventory declares, with what the agent sees."""
    seen = view.telemetry
    vram = None if seen is None or seen.gpu_memory_total is None else seen.gpu_memory_total / GIB
    sizes = (
        ("cores", float(view.cpus), float(seen.cpus) if seen and seen.cpus is not None else None, ""),
        ("ram", view.ram_gb, seen.memory_total / GIB if seen and seen.memory_total else None, " GB"),
        ("disk", view.disk_gb, seen.disk_total / GIB if seen and seen.disk_total else None, " GB"),
        ("gpu ram", view.vram_gb * max(1, view.gpu_count), vram, " GB"),
    )
    lines = [_against(*size) for size in sizes if size[1]]
    if view.gpu:
        told = plain(seen.gpu) if seen and seen.gpu else "unknown"
        wanted = f"{view.gpu_count} x {view.gpu}" if view.gpu_count > 1 else view.gpu
        lines.append(line(words("gpu".ljust(9), "dim"), words(wanted), words(f"  seen {told}", "dim")))
    return lines


def _against(name: str, wanted: float, seen: float | None, unit: str) -> Text:
    told = "unknown" if seen is None else f"{seen:.0f}{unit}"
    tone = "warn" if seen is not None and seen < LESS * wanted else "dim"
    return line(words(name.ljust(9), "dim"), words(f"{wanted:.0f}{unit}"), words(f"  seen {told}", tone))


def _debt(view: DebtView) -> Text:
    why = f" ({plain(view.reason)})" if view.reason else ""
    return line(state("owed"), words(f"  {view.kind}"), words(f" since {age(view.age)}{why}", "dim"))


def _key(view: PinnedKeyView) -> Text:
    look = (
        state("revoked") if view.revoked is not None else words("● in force" if view.in_force else "○ before")
    )
    by = f"  {view.how} by {plain(view.actor)}, {age(view.age)} ago"
    return line(look, words(f"  {view.type} {view.fingerprint}"), words(by, "dim"))
