"""The one table of keys: it drives the footer, the help and the dispatch, so that they can't diverge.

Lower-case letters look, capitals change something. `verb` is the method `do_<verb>` of the screen.
"""

from __future__ import annotations

from typing import NamedTuple

FLEET, HOST, CONFIGS, CONFIG, PRODUCTION, DEPLOYMENT = (
    "fleet",
    "host",
    "configs",
    "config",
    "production",
    "deployment",
)
PLACES = (FLEET, HOST, CONFIGS, CONFIG, PRODUCTION, DEPLOYMENT)
LISTS = (FLEET, CONFIGS, PRODUCTION)


class Key(NamedTuple):
    """One key: what is pressed, what is shown for it, what it does and where, and the command that does it."""

    key: str
    shown: str
    verb: str
    words: str
    help: str
    places: tuple[str, ...] = PLACES
    command: str = ""
    footer: bool = True

    @property
    def changes(self) -> bool:
        """Capitals change the fleet; they need `--operate` and a controller that answers."""
        return len(self.key) == 1 and self.key.isupper()


KEYS = (
    Key(
        "I",
        "I",
        "provision",
        "provision",
        "bring the host up to a working agent",
        (FLEET, HOST),
        "hosts provision",
    ),
    Key("S", "S", "drain", "drain", "let the host finish and take nothing new", (FLEET, HOST), "hosts drain"),
    Key("R", "R", "resume", "resume", "let the host work again", (FLEET, HOST), "hosts resume"),
    Key("P", "P", "promote", "promote", "make the candidate the champion", (CONFIGS, CONFIG), "promote"),
    Key(
        "B",
        "B",
        "rollback",
        "roll back",
        "make the previous champion champion again",
        (CONFIGS, CONFIG),
        "rollback",
    ),
    Key(
        "E",
        "E",
        "switch",
        "on/off",
        "enable or disable the config",
        (CONFIGS, CONFIG),
        "configs enable|disable",
    ),
    Key(
        "D",
        "D",
        "deploy",
        "deploy",
        "make the targets serve the champions",
        (PRODUCTION,),
        "deploy-inference",
    ),
    Key(
        "p",
        "p",
        "plan",
        "plan",
        "show what a promotion would need and change",
        (CONFIGS, CONFIG),
        "promote --dry-run",
    ),
    Key(
        "d",
        "d",
        "plan",
        "plan",
        "show what a deployment would change",
        (PRODUCTION,),
        "deploy-inference --dry-run",
    ),
    Key("enter", "⏎", "enter", "open", "look into what the cursor stands on", LISTS),
    Key("w", "w", "why", "why", "why it stands as it stands, and what comes next", PLACES, "why"),
    Key("n", "n", "next", "next", "go to the next one that needs you", LISTS),
    Key("slash", "/", "filter", "filter", "filter as you type", LISTS),
    Key("escape", "esc", "back", "back", "out: close, go back, clear the filter", PLACES, footer=False),
    Key("question_mark", "?", "help", "help", "this page", PLACES),
    Key("colon", ":", "command", "command", "type a verb: :promote, :production, :quit", PLACES),
    Key("q", "q", "quit", "quit", "leave; the controller works on", PLACES),
    Key("1", "1", "fleet", "fleet", "the hosts: who is up, busy, hurting", PLACES, footer=False),
    Key(
        "2",
        "2",
        "configs",
        "configs",
        "the twelve configs: who is learning, who is blocked",
        PLACES,
        footer=False,
    ),
    Key("3", "3", "production", "production", "what the players get", PLACES, footer=False),
    Key("r", "r", "refresh", "refresh", "ask the controller now", PLACES, "status", footer=False),
    Key("up", "↑", "up", "up", "up one line", PLACES, footer=False),
    Key("down", "↓", "down", "down", "down one line", PLACES, footer=False),
    Key("k", "k", "up", "up", "up one line", PLACES, footer=False),
    Key("j", "j", "down", "down", "down one line", PLACES, footer=False),
    Key("pageup", "PgUp", "page_up", "page up", "up one page", PLACES, footer=False),
    Key("pagedown", "PgDn", "page_down", "page down", "down one page", PLACES, footer=False),
    Key("home", "Home", "first", "first", "to the first line", PLACES, footer=False),
    Key("end", "End", "last", "last", "to the last line", PLACES, footer=False),
)


def keys_of(place: str) -> tuple[Key, ...]:
    """Return the keys that work in a place, in the order in which they are shown."""
    return tuple(key for key in KEYS if place in key.places)


def find(place: str, pressed: str) -> Key | None:
    """Return what a pressed key does in a place."""
    return next((key for key in keys_of(place) if key.key == pressed), None)


def find_verb(place: str, word: str) -> Key | None:
    """Return the key whose verb or word a typed command names; a unique beginning is enough."""
    wanted = word.strip().lower()
    known = keys_of(place)
    exact = [key for key in known if wanted in (key.verb, key.words)]
    begun = {key.verb: key for key in known if wanted and key.verb.startswith(wanted)}
    return exact[0] if exact else next(iter(begun.values())) if len(begun) == 1 else None
