"""The three screens and their drill-downs, at 80x24 and 120x40."""

from __future__ import annotations

import pytest

from tests.tui.conftest import SIZES
from tui.app import RingRiftApp
from tui.table import fit

sizes = pytest.mark.parametrize("size", SIZES, ids=["80x24", "120x40"])


@sizes
async def test_the_fleet_shows_state_as_glyph_and_word_load_work_and_heartbeat(size, start) -> None:
    async with start(size=size) as terminal:
        for words in ("● ready", "✖ unreachable", "▲ stale", "▲ draining", "■ quarantined", "◐ provisioning"):
            assert words in terminal.text
        row = next(line for line in terminal.lines if "gh200-02" in line)
        for words in ("88%", "22%", "71%", "6s", "hex8_2p", "58%"):
            assert words in row
        assert "✔ none lost, none twice" in terminal.text


@sizes
async def test_no_line_is_wider_than_the_screen_and_the_footer_is_the_last(size, start) -> None:
    async with start(size=size) as terminal:
        for keys in (("1",), ("2",), ("3",), ("1", "enter"), ("2", "enter")):
            await terminal.press(*keys)
            assert len(terminal.lines) == size[1]
            assert {len(line) for line in terminal.lines} == {size[0]}
            assert "? help" in terminal.lines[-1]


@sizes
async def test_the_configs_show_all_twelve_with_their_next_step_and_its_blocker(size, start) -> None:
    async with start(size=size) as terminal:
        await terminal.press("2")
        await terminal.shows("◐ +1.17 96g")
        assert sum("_2p " in line or "_3p " in line or "_4p " in line for line in terminal.lines[4:18]) >= 12
        for words in ("! promote it", "▲ no live agent", "○ off", "▶ self-play", "✔ +3.02 312g"):
            assert words in terminal.text


@sizes
async def test_the_selected_config_shows_its_test_between_its_bounds(size, start) -> None:
    async with start(size=size) as terminal:
        await terminal.press("2", "n")
        await terminal.shows("reject -2.94")
        gauge = next(line for line in terminal.lines if "reject -2.94" in line)
        assert "┼" in gauge
        assert "●" in gauge
        assert "+2.94 accept  +3.02" in gauge
        interval = next(line for line in terminal.lines if line.startswith(" Elo  "))
        assert interval.index("[") < interval.index("●") < interval.index("]")
        assert "seat 1: 94/156 60%" in terminal.text


@sizes
async def test_a_config_in_detail_shows_gate_evidence_and_models(size, start) -> None:
    async with start(size=size) as terminal:
        await terminal.press("2", "n", "enter")
        await terminal.shows("the candidate may be promoted")
        assert "worst seat" in terminal.text
        assert "53.8 %" in terminal.text
        assert ">= 45 %" in terminal.text
        assert "› hex8_2p" in terminal.lines[1]
        await terminal.press("end")
        assert "held-out loss 1.834" in terminal.text


@sizes
async def test_production_shows_desired_and_serving_of_the_selected_target(size, start) -> None:
    async with start(size=size) as terminal:
        await terminal.press("3")
        await terminal.shows("eu-2")
        assert "●●▲●●▲" in terminal.text
        assert "✖✖✖✖✖✖" in terminal.text
        await terminal.press("n")
        row = next(line for line in terminal.lines if "hex8_2p" in line)
        assert "▲ drifted" in row
        assert "desired da14837e serving f6e0398c" in row


@sizes
async def test_a_host_in_detail_shows_facts_steps_and_why(size, start) -> None:
    async with start(size=size) as terminal:
        await terminal.press("n", "enter")
        await terminal.shows("root@203.0.113.15:15721")
        await terminal.until(lambda: "operation of spot-5080-01" in terminal.app.feed.views)
        await terminal.press("end")
        await terminal.shows("the controller tries again in 40 s")
        await terminal.press("home", "pagedown")
        assert "heartbeat" in terminal.text


async def test_the_tallest_screens_show_the_selected_host_below_the_table(start) -> None:
    async with start(size=(120, 40)) as terminal:
        await terminal.press("n")
        assert "SHA256:" in terminal.text
    async with start(size=(80, 24)) as terminal:
        assert "SHA256:" not in terminal.text


async def test_a_filter_narrows_as_it_is_typed_stays_and_is_cleared_by_escape(start) -> None:
    async with start(size=(80, 24)) as terminal:
        await terminal.press("slash", "c", "p", "u")
        assert "3 of 12 hosts /cpu" in terminal.text
        assert "gh200-01" not in terminal.text
        await terminal.press("enter", "down")
        assert "3 of 12 hosts /cpu" in terminal.text
        await terminal.press("escape")
        assert "gh200-01" in terminal.text


async def test_escape_while_typing_a_filter_drops_it(start) -> None:
    async with start() as terminal:
        await terminal.press("slash", "z", "z")
        assert "0 of 12 hosts" in terminal.text
        await terminal.press("escape")
        assert "12 hosts" in terminal.text
        assert "gh200-01" in terminal.text


async def test_letters_typed_into_a_filter_are_no_verbs(start) -> None:
    async with start() as terminal:
        await terminal.press("slash", "q", "D", "2")
        assert terminal.app.is_running
        assert terminal.app.screen.place == "fleet"
        assert "/qD2" in terminal.text


async def test_a_typed_command_does_the_verb(start) -> None:
    async with start() as terminal:
        await terminal.press("colon", *"production", "enter")
        assert terminal.app.screen.place == "production"
        await terminal.press("colon", *"nonsense", "enter")
        assert "'nonsense' is no verb here" in terminal.text


async def test_the_cursor_stays_on_its_host_when_rows_come_and_go(start) -> None:
    async with start() as terminal:
        await terminal.press("down", "down")
        assert terminal.app.screen.subject() == "gh200-03"
        hosts = terminal.world.status.hosts[1:]
        terminal.world.status = terminal.world.status.model_copy(update={"hosts": hosts})
        await terminal.shows("11 hosts")
        assert terminal.app.screen.subject() == "gh200-03"
        assert next(line for line in terminal.lines if "gh200-03" in line).startswith("▸")


async def test_forty_one_hosts_scroll_under_the_cursor(start) -> None:
    async with start(size=(80, 24)) as terminal:
        first = terminal.world.status.hosts[0]
        hosts = [first.model_copy(update={"name": f"host-{n:02d}"}) for n in range(41)]
        terminal.world.status = terminal.world.status.model_copy(update={"hosts": hosts})
        await terminal.shows("41 hosts")
        assert "host-40" not in terminal.text
        await terminal.press("end")
        assert "▸ ● ready        host-40" in terminal.text
        assert "┃" in terminal.text
        await terminal.press("home")
        assert "▸ ● ready        host-00" in terminal.text


async def test_next_goes_round_what_needs_a_look(start) -> None:
    async with start() as terminal:
        seen = []
        for _ in range(5):
            await terminal.press("n")
            seen.append(terminal.app.screen.subject())
        assert seen == ["spot-5080-01", "spot-5090-02", "cpu-03", "mac-desktop-01", "spot-5080-01"]


async def test_an_empty_fleet_says_how_to_begin(start, world) -> None:
    world.status = world.status.model_copy(update={"hosts": []})
    async with start(ready="0 hosts") as terminal:
        assert "ringrift-ctl hosts add NAME" in terminal.text


async def test_text_from_the_wire_is_shown_harmlessly(start, world) -> None:
    evil = "\x1b]0;owned\x07[red]not red[/red] [@click=app.quit]x[/]\u202e"
    host = world.status.hosts[0].model_copy(update={"running": [], "idle_reason": evil})
    world.status = world.status.model_copy(update={"hosts": [host]})
    async with start(size=(160, 40), ready="1 hosts") as terminal:
        assert "[red]not red[/red] [@click=app.quit]x[/]" in terminal.text
        for key in ("enter", "w"):
            await terminal.press(key)
            assert not any(character in terminal.text for character in "\x1b\x07\u202e")


async def test_the_header_tells_who_where_which_mode_and_how_old(start) -> None:
    async with start(operate=False) as terminal:
        assert "ring @ 127.0.0.1:8470" in terminal.lines[0]
        assert "read-only" in terminal.lines[0]
        assert "data 0s" in terminal.lines[0]
    async with start(operate=True) as terminal:
        assert "OPERATE" in terminal.lines[0]


async def test_resizing_draws_the_screen_anew(start) -> None:
    async with start(size=(120, 40)) as terminal:
        await terminal.pilot.resize_terminal(80, 24)
        await terminal.until(lambda: len(terminal.lines) == 24 and "? help" in terminal.lines[-1])
        assert {len(line) for line in terminal.lines} == {80}


def test_columns_give_way_by_rank_and_share_the_room() -> None:
    from tui.fleet import columns

    for width in (60, 80, 100, 120, 200):
        shown = fit(columns(0.0, width, True), width)
        gaps = (2 if width >= 100 else 1) * (len(shown) - 1)
        assert 2 + sum(room for _, room in shown) + gaps <= max(width, 81)
    assert "games/h" not in [column.title for column, _ in fit(columns(0.0, 80, True), 80)]
    assert "games/h" in [column.title for column, _ in fit(columns(0.0, 120, True), 120)]


def test_a_tick_that_comes_while_the_terminal_ends_paints_nothing() -> None:
    app = RingRiftApp(where="127.0.0.1:8470", who="ring")
    assert app.screen_stack == []
    app._tick()
