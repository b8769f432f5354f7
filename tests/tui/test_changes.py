"""Everything that changes something: asks first, shows what and how, and obeys mode and link."""

from __future__ import annotations

import asyncio

import pytest

from tests.cli import sample
from tests.tui.conftest import SIZES
from tui.dialogs import Confirm

sizes = pytest.mark.parametrize("size", SIZES, ids=["80x24", "120x40"])


@sizes
async def test_the_promotion_dialog_shows_what_changes_how_and_stands_on_cancel(size, start) -> None:
    async with start(size=size) as terminal:
        await terminal.press("2", "n", "P")
        for words in (
            "promote hex8_2p",
            "da14837e  →  1335fb9e",
            "worst seat",
            ">= 45 %",
            "reject -2.94",
            "extent      1 config",
            "reversible  yes: ringrift-ctl rollback hex8_2p",
            "command     ringrift-ctl promote hex8_2p",
            "▸ Cancel ◂",
        ):
            assert words in terminal.text
        await terminal.press("enter")
        assert not isinstance(terminal.app.screen, Confirm)
        assert terminal.world.promotions == []


async def test_a_promotion_takes_at_most_five_keys_with_its_confirmation(start) -> None:
    keys = ("2", "n", "P", "right", "enter")
    assert len(keys) <= 5
    async with start() as terminal:
        await terminal.press(*keys)
        [made] = terminal.world.promotions
    assert made["config"] == "hex8_2p"
    assert made["model"] == sample.CANDIDATE
    assert made["expected_champion"] == sample.CHAMPION


async def test_rolling_back_takes_three_keys_from_the_config(start) -> None:
    async with start() as terminal:
        await terminal.press("2")
        await terminal.press("B", "tab", "enter")
        assert ("POST", "/v1/rollback/square8_2p") in [(m, p) for m, p, _ in terminal.world.requests]
        assert not isinstance(terminal.app.screen, Confirm)


async def test_the_stalest_host_is_two_keys_away_and_its_cause_three(start) -> None:
    async with start() as terminal:
        await terminal.press("1", "n")
        assert terminal.app.screen.subject() == "spot-5080-01"
        await terminal.press("w")
        assert "connections are refused since 21 minutes" in terminal.text


async def test_a_rollback_names_the_targets_that_follow(start, world) -> None:
    world.followed = True
    async with start() as terminal:
        await terminal.press("2", "n", "B")
        assert "1 config and 2 target(s), which follow: eu-1, eu-2" in terminal.text


async def test_a_closed_gate_can_be_read_but_not_confirmed(start, world) -> None:
    world.promotion_allowed = False
    async with start() as terminal:
        await terminal.press("2", "n", "P")
        assert "not possible now: worst seat is 38.1 %, needed is >= 45 %" in terminal.text
        await terminal.press("right", "enter")
        assert world.promotions == []


async def test_somebody_who_was_faster_is_named_and_the_dialog_stays(start, world) -> None:
    world.fail("POST", "/v1/promotions", 409, "conflict", "5d41 is champion since 3 s, promoted by kim")
    async with start() as terminal:
        await terminal.press("2", "n", "P", "right", "enter")
        assert isinstance(terminal.app.screen, Confirm)
        assert "promoted by kim" in terminal.text
        await terminal.press("escape")
        assert terminal.app.screen.place == "configs"


async def test_the_plan_is_the_same_page_without_the_change(start, world) -> None:
    async with start(operate=False) as terminal:
        await terminal.press("2", "n", "p")
        assert "this is only the plan; P promotes" in terminal.text
        await terminal.press("right", "enter")
        assert world.promotions == []


async def test_read_only_refuses_every_capital_with_the_way_out(start, world) -> None:
    async with start(operate=False) as terminal:
        for screen, capital in (("1", "S"), ("1", "I"), ("2", "P"), ("2", "B"), ("2", "E"), ("3", "D")):
            await terminal.press(screen, capital)
            assert not isinstance(terminal.app.screen, Confirm)
            assert "read-only: start with `ringrift-ctl tui --operate`" in terminal.text
            assert f"({capital} " in terminal.lines[-1]
        assert [method for method, _, _ in world.requests if method == "POST"] == []


async def test_a_deployment_shows_its_plan_then_its_steps_live(start, world) -> None:
    async with start() as terminal:
        await terminal.press("3")
        await terminal.shows("eu-2")
        await terminal.press("D")
        for words in ("2 of 12 served models change", "f6e0398c  →  da14837e", "2 target(s): eu-1, eu-2"):
            assert words in terminal.text
        assert [body["dry_run"] for body in world.sent("POST", "/v1/deployments")] == [True]
        world.step_per_poll = 1
        await terminal.press("right", "enter")
        await terminal.shows("› deployment")
        await terminal.shows("legal move                3.2s")
        await terminal.shows("14 of 14 steps")
        assert "✔ succeeded" in terminal.text
        await terminal.press("escape")
        assert terminal.app.screen.place == "production"


async def test_a_failed_target_shows_the_step_and_the_hint(start, world) -> None:
    world.fail_operation["eu-2"] = "the hash of hex8_2p differs after copying"
    async with start() as terminal:
        await terminal.press("3", "D", "right", "enter")
        await terminal.shows("✖ the hash of hex8_2p differs after copying - free disk on the host")
        assert "✖ failed" in terminal.text
        assert "wave 2  eu-2  ▲ rolled_back" in terminal.text


async def test_draining_and_resuming_ask_and_then_show_the_new_state(start) -> None:
    async with start() as terminal:
        await terminal.press("S")
        assert "takes nothing new" in terminal.text
        await terminal.press("right", "enter")
        await terminal.until(lambda: terminal.app.feed.views["status"].hosts[0].state == "draining")
        await terminal.press("R", "right", "enter")
        await terminal.until(lambda: terminal.app.feed.views["status"].hosts[0].state == "ready")


async def test_a_verb_that_does_not_fit_the_state_says_why(start, world) -> None:
    async with start() as terminal:
        await terminal.press("R")
        assert "gh200-01 is ready, needed is draining or quarantined" in terminal.text
        await terminal.press("right", "enter")
        assert world.sent("POST", "/v1/hosts/gh200-01/resume") == []


async def test_provisioning_leads_to_the_host_and_its_steps(start, world) -> None:
    world.step_per_poll = 1
    async with start() as terminal:
        await terminal.press("I", "right", "enter")
        assert terminal.app.screen.place == "host"
        await terminal.shows("environment")
        await terminal.shows("provision: succeeded")


async def test_a_config_is_switched_off_and_on(start, world) -> None:
    async with start() as terminal:
        await terminal.press("2", "E", "right", "enter")
        [sent] = world.sent("POST", "/v1/configs/square8_2p/enabled")
        assert sent["enabled"] is False
        assert sent["actor"].endswith("(terminal)")


async def test_keys_typed_before_a_dialog_was_seen_confirm_nothing(start, world) -> None:
    async with start() as terminal:
        await terminal.press("2", "n")
        world.hold = asyncio.Event()
        await terminal.pilot.press("P", "right", "enter")
        assert terminal.app.screen.place == "configs"
        await terminal.shows("asking the controller ... (esc gives up)")
        world.hold.set()
        await terminal.shows("▸ Cancel ◂")
        assert world.promotions == []


async def test_escape_gives_up_a_verb_that_waits_too_long(start, world) -> None:
    async with start() as terminal:
        await terminal.press("2", "n")
        world.hold = asyncio.Event()
        await terminal.pilot.press("P", "escape")
        assert "given up, nothing was changed" in terminal.text
        world.hold.set()
        await terminal.press("1")
        assert terminal.app.screen.place == "fleet"


async def test_enter_twice_makes_the_change_once(start, world) -> None:
    async with start() as terminal:
        await terminal.press("2", "n", "P", "right")
        await terminal.pilot.press("enter", "enter")
        await terminal.press("1")
        assert len(world.promotions) == 1
