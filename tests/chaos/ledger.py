"""What the agents were promised: their own notes of receipts, kept beyond the end of their spools.

A hard link beside each spool holds what an agent appends to its notes, also after it has deleted the spool.
So the ledger owes nothing to the controller, with whose database it is compared, nor to the agents' code.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chaos.machines import Machine

_NOTES = ("receipts.jsonl", "events.jsonl")


class Ledger:
    """Watches the spools of machines until stopped."""

    def __init__(self, machines: list[Machine]) -> None:
        self._machines = machines
        self._end = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        for machine in machines:
            (machine.folder / "ledger").mkdir()
        self._watcher.start()

    def stop(self) -> None:
        self._end.set()
        self._watcher.join()

    def _watch(self) -> None:
        while not self._end.wait(0.5):
            for machine in self._machines:
                self.keep(machine)

    def keep(self, machine: Machine) -> None:
        """Link what a machine's agent has noted until now."""
        with contextlib.suppress(FileNotFoundError):
            for spool in (machine.root / "agent" / "spool").iterdir():
                for name in _NOTES:
                    with contextlib.suppress(OSError):
                        note = spool / name
                        kept = machine.folder / "ledger" / f"{spool.name}.{note.stat().st_ino}.{name}"
                        if not kept.exists():
                            os.link(note, kept)

    def receipts(self) -> dict[tuple[str, int], set[str]]:
        """Return (assignment, sequence) that an agent has a receipt for -> games that its job reported."""
        found: dict[tuple[str, int], set[str]] = {}
        games: dict[tuple[str, int], set[str]] = {}
        for machine in self._machines:
            for note in (machine.folder / "ledger").iterdir():
                assignment, _, kind, _ = note.name.split(".")
                for line in _lines(note):
                    if kind == "receipts":
                        found[assignment, line["sequence"]] = set()
                    elif line.get("type") == "result" and line["payload"]["kind"] == "selfplay":
                        names = {game["game_id"] for game in line["payload"]["games"]}
                        games[assignment, line["sequence"]] = names
        return {key: games.get(key, set()) for key in found}


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text().splitlines():
        with contextlib.suppress(ValueError):
            yield json.loads(line)


@dataclass(frozen=True)
class Count:
    """The ledger against the database. `lost` and `twice` name what should not be."""

    receipts: int
    games: int
    stored: int
    lost: list[str]
    twice: list[str]


def compare(ledger: Ledger, database: Path) -> Count:
    """Count what has a receipt and is not stored, and what is stored more than once."""
    receipts = ledger.receipts()
    with contextlib.closing(sqlite3.connect(database)) as store:
        jobs = dict(store.execute("select id, job from assignment"))
        rows = store.execute("select job, sequence, games_named, games_repeated from result").fetchall()
        games = [row[0] for row in store.execute("select game_id from game")]
    units, stored = Counter((job, sequence) for job, sequence, *_ in rows), set(games)
    named = {name for names in receipts.values() for name in names}
    lost = [
        f"sequence {sequence} of {assignment} has no result"
        for assignment, sequence in receipts
        if (jobs.get(assignment), sequence) not in units
    ]
    lost += [f"game {name[:12]}" for name in named - stored]
    twice = [
        f"sequence {unit[1]} of {unit[0]} has {many} results" for unit, many in units.items() if many > 1
    ]
    twice += ["a game has two rows"] if len(stored) < len(games) else []
    told = sum(count - repeated for *_, count, repeated in rows)
    twice += [f"{told} games are counted, {len(stored)} exist"] if told != len(stored) else []
    return Count(len(receipts), len(named), len(stored), lost, twice)
