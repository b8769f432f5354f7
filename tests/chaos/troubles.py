"""What goes wrong, what the operator should see of it, and when he does.

A trouble is made, stays until the operator's view shows it, is ended, and lasts until the view shows that.
The view of every host is watched the whole time: one without a trouble must not look as if it had one.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.chaos import network
from tests.chaos.fleet import Fleet
from tests.chaos.machines import Machine

View = dict[str, Any]
PROMISE_SECONDS = 90.0
_REPAIR_SECONDS = 300.0
"""How long a host without an agent may take until the controller has started one."""


def is_well(view: View) -> bool:
    """Tell whether a host looks as one without any trouble."""
    sound = view["state"] == "ready" and view["tunnel"] == "open" and view["health"] == "up"
    return sound and not view["blocked"] and not _full(view)


@dataclass(frozen=True)
class Kind:
    """One way to go wrong: how it begins, how it looks, how it ends. `shows` None: it should not be seen."""

    name: str
    begin: Callable[[Fleet, Machine], None]
    shows: Callable[[View], bool] | None
    end: Callable[[Fleet, Machine], None] = lambda fleet, machine: None
    over: Callable[[Machine], bool] = lambda machine: True


def _trust(fleet: Fleet, machine: Machine) -> None:
    assert machine.server is not None
    fleet.controller.ctl("hosts", "trust", machine.name, "--fingerprint", machine.server.fingerprint)


def _runs(machine: Machine) -> bool:
    return machine.agent() is not None


def _full(view: View) -> bool:
    return "disk" in view["idle_reason"]


def _away(view: View) -> bool:
    return view["state"] == "unreachable" and view["tunnel"] != "open"


def _silent(view: View) -> bool:
    return view["health"] in ("stale", "down")


KINDS = (
    Kind("agent killed", lambda _, machine: machine.kill_agent(), None, over=_runs),
    Kind("host powered off and on", lambda _, machine: machine.power_off(), _silent, over=_runs),
    Kind("link cut", lambda _, machine: machine.cut(), _away, lambda _, machine: machine.mend()),
    Kind("host key changed", lambda _, machine: machine.change_key(), lambda view: view["blocked"], _trust),
    Kind(
        "disk filled", lambda _, machine: machine.fill_disk(), _full, lambda _, machine: machine.free_disk()
    ),
)


@dataclass
class Watched:
    """One host under watch. `since` is when what should be seen changed last."""

    machine: Machine
    kind: Kind | None = None
    ending: bool = False
    since: float = field(default_factory=time.monotonic)
    right_at: float = field(default_factory=time.monotonic)
    awaited: bool = False
    turned: float = field(default_factory=time.monotonic)

    def should(self, view: View) -> bool:
        """Tell whether this is how the host should look now."""
        broken = self.kind is not None and not self.ending and self.kind.shows is not None
        return self.kind.shows(view) if broken else is_well(view)  # type: ignore[union-attr, misc]

    def turn(self) -> None:
        """Begin to expect something else."""
        self.since = self.right_at = self.turned = time.monotonic()
        self.awaited = True


@dataclass
class Story:
    """What happened: per kind the delays of the view in seconds, and every promise that was broken."""

    delays: dict[str, list[float]] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    worst: float = 0.0
    lines: list[str] = field(default_factory=list)
    looks: int = 0
    unanswered: int = 0

    def note(self, name: str, seconds: float) -> None:
        self.delays.setdefault(name, []).append(seconds)


class Weather:
    """Makes troubles on `fleet`, some hosts at a time, and judges every look at it."""

    def __init__(self, fleet: Fleet, rng: random.Random, at_once: int) -> None:
        self.story = Story()
        self.begun = 0
        self._fleet = fleet
        self._rng = rng
        self._at_once = at_once
        self._hosts = {name: Watched(machine) for name, machine in fleet.machines.items()}
        self._order = self._deal()

    def _deal(self) -> Iterator[Kind]:
        """Yield kinds of trouble, each equally often, in random order."""
        kinds = [kind for kind in KINDS if network.inside() or kind.name != "disk filled"]
        while True:
            yield from self._rng.sample(kinds, len(kinds))

    @property
    def troubled(self) -> int:
        return sum(host.kind is not None for host in self._hosts.values())

    def begin(self) -> None:
        """Let one more host get into trouble, unless enough have."""
        well = [host for host in self._hosts.values() if host.kind is None]
        if self.troubled >= self._at_once or not well:
            return
        host = self._rng.choice(well)
        host.kind, host.ending = next(self._order), False
        self.begun += 1
        self.story.lines.append(f"{host.machine.name}: {host.kind.name}")
        host.kind.begin(self._fleet, host.machine)
        host.turn()

    def look(self) -> None:
        """Compare the operator's view with what is the case, and end troubles that were seen."""
        answer = self._fleet.controller.ctl("hosts", "list", "--json")
        self.story.looks += 1
        if answer.status:
            self.story.unanswered += 1
            views = {}
        else:
            views = {view["name"]: view for view in answer.json()}
        for name, host in self._hosts.items():
            self._judge(host, views.get(name))

    def _judge(self, host: Watched, view: View | None) -> None:
        now = time.monotonic()
        if host.kind is not None and host.ending and not host.kind.over(host.machine):
            if now - host.turned > _REPAIR_SECONDS:
                self._break(host, f"it was not repaired within {_REPAIR_SECONDS:.0f} s", view)
                host.turn()
            host.since = host.right_at = now
            return
        if view is not None and host.should(view):
            self._right(host, now)
        elif now - host.right_at > PROMISE_SECONDS:
            self._break(host, f"the view is wrong for {now - host.right_at:.0f} s", view)
            host.turn()
        self.story.worst = max(self.story.worst, now - host.right_at)

    def _right(self, host: Watched, now: float) -> None:
        host.right_at = now
        if host.kind is None or not host.awaited:
            return
        host.awaited = False
        phase = "ended" if host.ending or host.kind.shows is None else "shown"
        self.story.note(f"{host.kind.name}: {phase}", now - host.since)
        if phase == "shown":
            host.kind.end(self._fleet, host.machine)
            host.ending = True
            host.turn()
        else:
            host.kind = None

    def _break(self, host: Watched, what: str, view: View | None) -> None:
        trouble = host.kind.name if host.kind else "no trouble"
        phase = " ended" if host.ending else ""
        shown = (
            {key: view[key] for key in ("state", "reason", "tunnel", "health", "blocked", "idle_reason")}
            if view
            else {}
        )
        self.story.lines.append(f"BROKEN {host.machine.name} ({trouble}{phase}): {what}: {shown}")
        self.story.broken.append(f"{host.machine.name} ({trouble}{phase}): {what}: {shown}")
