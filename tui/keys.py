"""The one table of keys: it drives the footer, the help and the dispatch, so that they can't diverge.

Lower-case letters look, capitals change something. `verb` is the method `do_<verb>` of the screen.
"""

from __future__ import annotations

from typing import NamedTuple

FLEET, HOST, CONFIGS, CONFIG = "fleet", "host", "configs", "config"
PRODUCTION, DEPLOYMENT, ALERTS = "production", "deployment", "alerts"
PLACES = (FLEET, HOST, CONFIGS, CONFIG, PRODUCTION, DEPLOYMENT, ALERTS)
LISTS = (FLEET, CONFIGS, PRODUCTION, ALERTS)
_HOSTS, _CONFIGS, _TARGETS = (FLEET, HOST), (CONFIGS, CONFIG), (PRODUCTION,)
NAMES = {
    "slash": "/", "colon": ":", "question_mark": "?", "enter": "⏎", "escape": "esc", "up": "↑", "down": "↓",
    "left": "←", "right": "→", "pageup": "PgUp", "pagedown": "PgDn", "home": "Home", "end": "End",
}  # fmt: skip
"""What is shown for keys that are no letters."""


class Key(NamedTuple):
    """One key: what it does, in a word and in a sentence, where, and the command that does the same."""

    key: str
    verb: str
    words: str
    help: str
    places: tuple[str, ...] = PLACES
    command: str = ""
    footer: bool = False

    @property
    def shown(self) -> str:
        return NAMES.get(self.key, self.key)

    @property
    def changes(self) -> bool:
        """Capitals change the fleet; they need `--operate` and a controller that answers."""
        return len(self.key) == 1 and self.key.isupper()


# fmt: off
KEYS = (
    Key("I", "provision", "provision", "bring the host to a working agent", _HOSTS, "hosts provision", True),
    Key("S", "drain", "drain", "let the host finish and take nothing new", _HOSTS, "hosts drain", True),
    Key("R", "resume", "resume", "let the host work again", _HOSTS, "hosts resume", True),
    Key("P", "promote", "promote", "make the candidate the champion", _CONFIGS, "promote", True),
    Key("B", "rollback", "roll back", "bring back the previous champion", _CONFIGS, "rollback", True),
    Key("E", "switch", "on/off", "enable or disable the config", _CONFIGS, "configs enable", True),
    Key("D", "deploy", "deploy", "make the targets serve the champions", _TARGETS, "deploy-inference", True),
    Key("A", "ack", "take", "take the alert over: it calls for nobody else", (ALERTS,), "alerts ack", True),
    Key("escape", "back", "back", "out: go back", (HOST, CONFIG, DEPLOYMENT), "", True),
    Key("enter", "enter", "open", "look into what the cursor stands on", LISTS, "", True),
    Key("w", "why", "why", "why it stands as it stands, and what comes next", PLACES, "why", True),
    Key("slash", "filter", "filter", "filter as you type", LISTS, "", True),
    Key("question_mark", "help", "help", "this page", PLACES, "", True),
    Key("n", "next", "next", "go to the next one that needs you", LISTS, "", True),
    Key("p", "plan", "plan", "what a promotion would need and change", _CONFIGS, "promote --dry-run", True),
    Key("d", "plan", "plan", "what a deployment would change", _TARGETS, "deploy-inference --dry-run", True),
    Key("colon", "command", "command", "type a verb: :promote, :production, :quit", PLACES, "", True),
    Key("q", "quit", "quit", "leave; the controller works on", PLACES, "", True),
    Key("escape", "back", "back", "out: close, go back, clear the filter", LISTS),
    Key("1", "fleet", "fleet", "the hosts: who is up, busy, hurting", PLACES, "hosts list"),
    Key("2", "configs", "configs", "the twelve configs: who learns, who is blocked", PLACES, "configs list"),
    Key("3", "production", "production", "what the players get", PLACES, "targets list"),
    Key("4", "alerts", "alerts", "what is wrong now, and who looks after it", PLACES, "alerts list"),
    Key("y", "copy", "copy", "copy its name (OSC 52, through SSH too)", PLACES),
    Key("r", "refresh", "refresh", "ask the controller now", PLACES, "status"),
    Key("up", "up", "up", "up one line"),
    Key("down", "down", "down", "down one line"),
    Key("k", "up", "up", "up one line"),
    Key("j", "down", "down", "down one line"),
    Key("pageup", "page_up", "page up", "up one page"),
    Key("pagedown", "page_down", "page down", "down one page"),
    Key("home", "first", "first", "to the first line"),
    Key("end", "last", "last", "to the last line"),
)
# fmt: on


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
