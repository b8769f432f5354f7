"""Kills a controller at one place of one act, starts another on what is left, and compares the ends."""

from __future__ import annotations

import hashlib
import os
import pickle
import re
import shutil
import signal
import sqlite3
import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ringrift import failpoints
from tests.failpoints.stage import Act, Stage, found, play

_RANDOM = re.compile(r"[0-9a-f]{8,}|\d+\.\d+|\d{5,}|\b(?:job|try|op|agent|batch|backup|eval|dep)_\w+")
_APART = {"event", "host_state", "operation_step", "enrolment_token", "setting", "alembic_version"}
"""Tables in which a second try leaves traces of its own; audit rows are compared by what they name."""
_TRACES = {"leader.began", "operation.replanned", "agent.revoked"}
"""Audit rows that a restart or a second try adds. A lost reply to an enrolment ends in a new one."""
_TRACE_COLUMNS = {"backup": {"size"}, "job": {"reason"}}
"""Why something had to be tried again, and the bytes of a compressed copy."""
_CURRENT = {
    "agent": "agent WHERE revoked_at IS NULL",
    "assignment": "assignment WHERE state != 'expired'",
}
"""Without what was lost on the way to somebody and given anew."""
_SOCKETS = shutil.ignore_patterns("*.sock")
_GIVEN = "test"
"""The name of what a test writes itself."""
_UNFINISHED = ("incoming", "quarantine", "databases")
"""Folders with what a kill leaves and retention, or the next backup, removes in its time."""
_RANDOM_COLUMNS = {"id", "epoch", "incarnation", "lock_token", "public_key", "tunnel"}


def _nothing(_: Path) -> None:
    """Leave all as it is."""


@dataclass(frozen=True)
class Scene:
    """A story of acts, each of which whoever asked for it repeats when no answer comes."""

    name: str
    acts: list[tuple[str, Act, bool]] = field(default_factory=list)
    """(words, act, whether kills are tried in it)."""
    settings: dict[str, dict[str, object]] = field(default_factory=dict)
    tidy: Callable[[Path], None] = _nothing
    """Stops what a play on this folder left running beside the controller."""
    end: Callable[[Path], None] = _nothing
    """Stops what the whole scene needs; is told the folder of its images."""

    def act(self, act: Act) -> Act:
        """Add an act in which the controller is killed."""
        self.acts.append((act.__name__, act, True))
        return act

    def given(self, act: Act) -> Act:
        """Add an act that only prepares: rows at a chosen stage, time that passes."""
        self.acts.append((act.__name__, act, False))
        return act


@dataclass(frozen=True)
class Arrival:
    """A place was reached in an act of a scene, for the `count`th time there; `image` is what was before."""

    scene: Scene
    act: str
    run: Act
    image: Path
    end: frozenset[tuple[str, int]]
    name: str
    moment: str
    count: int

    @property
    def place(self) -> str:
        """The place as `RINGRIFT_FAILPOINT` names it."""
        return f"{self.name}:{self.moment}@{self.count}"


def record(scene: Scene, folder: Path) -> list[Arrival]:
    """Play a scene without a kill; return every arrival at every place."""
    found(folder / "now", **scene.settings)
    arrivals: list[Arrival] = []
    try:
        for number, (words, act, killed) in enumerate(scene.acts):
            image = folder / f"before-{number}"
            shutil.copytree(folder / "now", image, symlinks=True, ignore=_SOCKETS)
            reached = _play_whole(folder / "now", act, words, killed)
            if killed:
                end = frozenset(state(folder / "now").items())
                places = [(place, count) for place, times in reached.items() for count in range(times)]
                arrivals += [
                    Arrival(scene, words, act, image, end, *place, count + 1) for place, count in places
                ]
    finally:
        scene.tidy(folder / "now")
    return arrivals


def _play_whole(folder: Path, act: Act, words: str, checked: bool) -> Counter[tuple[str, str]]:
    """Play an act without a kill; return how often each place was reached."""
    reached = Counter[tuple[str, str]]()

    def note(_: Stage, name: str, moment: str) -> None:
        reached[name, moment] += name != _GIVEN

    try:
        play(folder, act, note, checked=checked)
    except BaseException as problem:
        problem.add_note(f"in the act {words}, without a kill")
        raise
    return reached


class NotReached(AssertionError):
    """The controller did not come to the place as often as in the play without a kill."""


def kill_and_repeat(arrival: Arrival) -> None:
    """Kill a controller there, start another, repeat the act; raise when the end is not what it must be."""
    folder = arrival.image.with_name("killed")
    shutil.copytree(arrival.image, folder, symlinks=True, ignore=_SOCKETS)
    try:
        _killed(arrival, folder)
        sound(folder)
        play(folder, arrival.run, lambda *_: None)
        sound(folder)
        end = frozenset(state(folder).items())
    finally:
        arrival.scene.tidy(folder)
        shutil.rmtree(folder)
    if end != arrival.end:
        more, less = sorted(end - arrival.end), sorted(arrival.end - end)
        raise AssertionError(
            f"killed at {arrival.place}, repeated, the end differs:\n  there: {more}\n  missing: {less}"
        )


def _killed(arrival: Arrival, folder: Path) -> None:
    """Play the act in a process of its own, which dies by SIGKILL at the place."""
    pid = os.fork()
    if pid == 0:
        _die_there(arrival, folder)
    _, status = os.waitpid(pid, 0)
    if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
        trouble = folder / "trouble"
        if trouble.exists() or status:
            words = trouble.read_text() if trouble.exists() else f"it ended with {status}"
            raise AssertionError(f"{arrival.place} was not reached in {arrival.act}: {words}")
        raise NotReached(f"{arrival.place} was not reached in {arrival.act}")


def _die_there(arrival: Arrival, folder: Path) -> None:
    os.environ[failpoints.VARIABLE] = arrival.place
    armed = failpoints.armed()
    assert armed is not None
    try:

        def reached(stage: Stage, name: str, moment: failpoints.Moment) -> None:
            if name == arrival.name:
                # The machines know what they know, whatever becomes of the controller.
                stage.save()
            armed(name, moment)

        play(folder, arrival.run, reached)
    except BaseException:
        (folder / "trouble").write_text(traceback.format_exc())
    finally:
        os._exit(0)


def state(folder: Path) -> Counter[str]:
    """Return what a controller left, without what is drawn or measured anew in every run."""
    lines = Counter[str]()
    raw = sqlite3.connect(folder / "home" / "ringrift.db")
    tables = [name for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for table in sorted(set(tables) - _APART):
        rows = _CURRENT.get(table, f'"{table}"')
        cursor = raw.execute(f"SELECT * FROM {rows}")
        names = [column[0] for column in cursor.description]
        for row in cursor:
            drawn = _RANDOM_COLUMNS | _TRACE_COLUMNS.get(table, set())
            values = [f"{n}={_plain(v)}" for n, v in zip(names, row, strict=True) if _kept(n, v, drawn)]
            lines[f"{table}: {' '.join(values)}"] += 1
    for action, subject in set(raw.execute("SELECT action, subject FROM event")):
        if action not in _TRACES:
            lines[f"event: {action} {_plain(subject)}"] = 1
    raw.close()
    for part in ("home/artifacts", "home/releases", "backups", "restored/artifacts"):
        for path in (folder / part).rglob("*"):
            inside = path.relative_to(folder / part)
            if path.is_file() and not inside.parts[0].startswith(_UNFINISHED) and path.name[0] != ".":
                # A backup removes older ones after it is verified; a kill leaves that to the next.
                line = f"file: {part}/{_plain(inside)}"
                lines[line] = 1 if part == "backups" else lines[line] + 1
    return lines


def _kept(name: str, value: object, drawn: set[str]) -> bool:
    return not (isinstance(value, float) or name.endswith("_at") or name in drawn)


def _plain(value: object) -> str:
    return _RANDOM.sub("#", str(value))


def sound(folder: Path) -> None:
    """Raise unless every stored artifact is its bytes and every receipt stands.

    The audit chain is walked from its first row at the first commit of the next controller.
    """
    home = folder / "home"
    raw = sqlite3.connect(home / "ringrift.db")
    # Rows that a scene was given, without files, have the size 1.
    for (name,) in raw.execute("SELECT sha256 FROM artifact WHERE deleted_at IS NULL AND size > 1"):
        path = home / "artifacts" / name[:2] / name
        assert path.is_file(), f"P1: the file of artifact {name[:12]} is not there"
        assert hashlib.sha256(path.read_bytes()).hexdigest() == name, f"artifact {name[:12]} is damaged"
    results = set(raw.execute("SELECT job, sequence FROM result"))
    raw.close()
    outside = pickle.loads((folder / "outside").read_bytes())
    assert outside.receipts <= results, f"P1: acknowledged and lost: {outside.receipts - results}"


def first_of_each(arrivals: Iterable[Arrival]) -> dict[tuple[str, str], Arrival]:
    """Return the first arrival at every place."""
    chosen: dict[tuple[str, str], Arrival] = {}
    for arrival in arrivals:
        chosen.setdefault((arrival.name, arrival.moment), arrival)
    return chosen
