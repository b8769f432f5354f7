"""One table of keys drives footer, help and dispatch; the three can't diverge."""

from __future__ import annotations

import pytest

from tui import keys
from tui.alerts import Alerts
from tui.board import Board
from tui.config import Config
from tui.configs import Configs
from tui.deployment import Deployment
from tui.fleet import Fleet
from tui.host import Host
from tui.production import Production

SCREENS: dict[str, type[Board]] = {
    screen.place: screen for screen in (Fleet, Host, Configs, Config, Production, Deployment, Alerts)
}
WAY = {
    keys.FLEET: ("1",),
    keys.HOST: ("1", "enter"),
    keys.CONFIGS: ("2",),
    keys.CONFIG: ("2", "enter"),
    keys.PRODUCTION: ("3",),
    keys.ALERTS: ("4",),
    keys.DEPLOYMENT: ("3", "D", "right", "enter"),
}


def test_every_place_has_a_screen() -> None:
    assert set(SCREENS) == set(keys.PLACES)


@pytest.mark.parametrize("place", keys.PLACES)
def test_no_key_means_two_things_in_one_place(place: str) -> None:
    pressed = [key.key for key in keys.keys_of(place)]
    assert len(pressed) == len(set(pressed))


@pytest.mark.parametrize("place", keys.PLACES)
def test_every_key_has_its_verb_on_the_screen_and_every_verb_has_a_key(place: str) -> None:
    offered = {name.removeprefix("do_") for name in dir(SCREENS[place]) if name.startswith("do_")}
    assert {key.verb for key in keys.keys_of(place)} <= offered
    own = {name.removeprefix("do_") for name in vars(SCREENS[place]) if name.startswith("do_")}
    assert own <= {key.verb for key in keys.keys_of(place)}


def test_the_same_five_keys_work_in_every_list() -> None:
    for place in keys.LISTS:
        assert {"slash", "enter", "escape", "question_mark", "colon"} <= {k.key for k in keys.keys_of(place)}


def test_what_changes_is_a_capital_and_names_its_command() -> None:
    for key in keys.KEYS:
        assert key.changes == key.key.isupper()
        if key.changes:
            assert key.command


def test_no_screen_binds_keys_besides_the_table() -> None:
    for screen in SCREENS.values():
        assert "BINDINGS" not in vars(screen)
    assert "BINDINGS" not in vars(Board)


@pytest.mark.parametrize("place", keys.PLACES)
async def test_a_pressed_key_does_what_the_table_says(
    place: str, start, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    async with start() as terminal:
        await terminal.press(*WAY[place])
        assert terminal.app.screen.place == place
        for verb in {key.verb for key in keys.keys_of(place)}:
            monkeypatch.setattr(SCREENS[place], f"do_{verb}", lambda self, verb=verb: done.append(verb))
        for key in keys.keys_of(place):
            await terminal.press(key.key)
            assert done.pop() == key.verb, key
            assert done == []


@pytest.mark.parametrize("place", keys.PLACES)
async def test_footer_and_help_show_the_table(place: str, start) -> None:
    async with start(size=(160, 50)) as terminal:
        await terminal.press(*WAY[place])
        footer = terminal.lines[-1]
        for key in keys.keys_of(place):
            assert (f"{key.shown} {key.words}" in footer) == key.footer, key
        await terminal.press("question_mark")
        for key in keys.keys_of(place):
            assert any(key.help[:46] in line and f" {key.shown} " in line for line in terminal.lines), key


@pytest.mark.parametrize("place", keys.LISTS)
async def test_at_80_columns_the_footer_still_offers_help(place: str, start) -> None:
    async with start(size=(80, 24)) as terminal:
        await terminal.press(*WAY[place])
        assert "? help" in terminal.lines[-1]


def test_a_typed_verb_may_be_shortened_while_it_is_unique() -> None:
    assert keys.find_verb(keys.CONFIGS, "promote") == keys.find(keys.CONFIGS, "P")
    assert keys.find_verb(keys.CONFIGS, "prom") == keys.find(keys.CONFIGS, "P")
    assert keys.find_verb(keys.CONFIGS, "pro") is None
    assert keys.find_verb(keys.FLEET, "promote") is None
    assert keys.find_verb(keys.FLEET, "") is None
