"""Alerts in the terminal: the count on every screen, the list, taking one over; what is told of a host."""

from __future__ import annotations

import pytest

from ringrift.protocol.alerts import AlertCount
from tests.cli import sample
from tests.tui.conftest import SIZES, Start


@pytest.mark.parametrize("size", SIZES)
async def test_every_screen_tells_how_many_alerts_are_open(start: Start, size: tuple[int, int]) -> None:
    async with start(size=size) as terminal:
        for key in ("1", "2", "3", "4"):
            await terminal.press(key)
            assert "✖ 4 alerts" in terminal.lines[0], key


async def test_without_an_alert_the_header_is_quiet(start: Start, world) -> None:
    world.status = world.status.model_copy(update={"alerts": AlertCount()})
    async with start() as terminal:
        assert "alert" not in terminal.lines[0]


@pytest.mark.parametrize("size", SIZES)
async def test_the_list_tells_the_worst_first_and_the_selected_one_whole(
    start: Start, size: tuple[int, int]
) -> None:
    async with start(size=size) as terminal:
        await terminal.press("4")
        await terminal.shows("host-down")
        text = terminal.text
        assert text.index("spot-4090-01") < text.index("spot-5080-01") < text.index("square19_4p")
        assert "✖ critical" in text and "◐ acknowledged" in text and "ann" in text
        assert "uploads and games stop when it is full" in text


async def test_taking_an_alert_over_sends_it_with_who_sits_here(start: Start, world) -> None:
    path = "alerts/disk%3Aspot-4090-01/ack"
    world.answers = {("POST", path): [sample.alerts()[0]]}
    async with start() as terminal:
        await terminal.press("4")
        await terminal.shows("host-down")
        await terminal.press("A")
        [body] = world.sent("POST", f"/v1/{path}")
        assert body == {"actor": "ring"}
        assert "ringrift-ctl alerts ack disk:spot-4090-01" in terminal.text


async def test_a_read_only_terminal_takes_nothing_over(start: Start, world) -> None:
    async with start(operate=False) as terminal:
        await terminal.press("4", "A")
        assert "read-only" in terminal.text
        assert not [each for each in world.requests if each[0] == "POST"]


async def test_hostile_text_of_an_alert_does_nothing(start: Start, world) -> None:
    hostile = sample.alert("errors", "[red]job\x1b[2J", "boom\x07 [/]\nnew line", "critical")
    world.answers = {("GET", "alerts"): [[hostile]]}
    async with start() as terminal:
        await terminal.press("4")
        await terminal.shows("[red]job")
        assert not any(ord(character) < 32 for line in terminal.lines for character in line)


@pytest.mark.parametrize("size", SIZES)
async def test_the_fleet_marks_drift_and_debts_and_shows_the_batch_and_the_price(
    start: Start, size: tuple[int, int]
) -> None:
    async with start(size=size) as terminal:
        await terminal.shows("update")
        drifted = next(line for line in terminal.lines if "gh200-03" in line)
        owing = next(line for line in terminal.lines if "spot-5080-01" in line)
        assert "drift" in drifted and "owes" in owing
        batch = next(line for line in terminal.lines if "update" in line)
        assert "20/41" in batch and "1 failed" in batch and "2 owed" in batch
        assert "$14.27/h" in terminal.text


async def test_a_host_tells_declared_and_seen_debts_keys_and_price(start: Start) -> None:
    async with start() as terminal:
        await terminal.press("n", "enter")
        await terminal.shows("host keys")
        text = terminal.text
        assert "2 x RTX 5080" in text and "seen unknown" in text
        assert "update since 20m (no answer)" in text
        assert "$0.31 an hour, spot" in text and "● in force" in text


async def test_a_host_tells_games_an_hour_against_what_was_measured_before(start: Start, world) -> None:
    world.status.hosts[1] = world.status.hosts[1].model_copy(update={"expected_per_hour": 4400.0})
    async with start() as terminal:
        await terminal.press("down", "enter")
        await terminal.shows("2.2k of 4.4k expected")
