"""The ledger of `make chaos` finds what it is there to find."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from tests.chaos.ledger import Ledger, compare
from tests.chaos.machines import Machine
from tests.chaos.network import Loopback

GAMES = {0: ["a", "b"], 1: ["c", "d"]}


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """A ledger of a machine whose agent has receipts for two shards of two games and dropped its spool."""
    machine = Machine("alpha", 0, tmp_path / "alpha", Loopback(), tmp_path)
    spool = machine.root / "agent" / "spool" / "try_1"
    spool.mkdir(parents=True)
    ledger = Ledger([machine])
    ledger.stop()
    for sequence, games in GAMES.items():
        payload = {"kind": "selfplay", "games": [{"game_id": name} for name in games]}
        event = {"type": "result", "sequence": sequence, "payload": payload}
        with (spool / "events.jsonl").open("a") as file:
            file.write(json.dumps(event) + "\n")
        with (spool / "receipts.jsonl").open("a") as file:
            file.write(json.dumps({"sequence": sequence}) + "\n")
        ledger.keep(machine)
    for note in spool.iterdir():
        note.unlink()
    return ledger


def database(folder: Path, results: list[tuple[int, int, int]], games: str) -> Path:
    """Return a database with results (sequence, games named, games repeated) of a job, and these games."""
    path = folder / "ringrift.db"
    with sqlite3.connect(path) as store:
        store.execute("create table assignment (id, job)")
        store.execute("create table result (job, sequence, games_named, games_repeated)")
        store.execute("create table game (game_id)")
        store.execute("insert into assignment values ('try_1', 'job_1')")
        store.executemany("insert into result values ('job_1', ?, ?, ?)", results)
        store.executemany("insert into game values (?)", [(name,) for name in games])
    store.close()
    return path


def test_what_is_stored_once_is_neither_lost_nor_counted_twice(ledger: Ledger, tmp_path: Path) -> None:
    found = compare(ledger, database(tmp_path, [(0, 2, 0), (1, 2, 0)], "abcd"))
    assert (found.receipts, found.games, found.stored, found.lost, found.twice) == (2, 4, 4, [], [])


def test_a_receipt_without_its_result_and_games_is_lost(ledger: Ledger, tmp_path: Path) -> None:
    found = compare(ledger, database(tmp_path, [(0, 2, 0)], "ab"))
    assert sorted(found.lost) == ["game c", "game d", "sequence 1 of try_1 has no result"]


def test_a_unit_with_two_results_and_games_told_twice_are_found(ledger: Ledger, tmp_path: Path) -> None:
    found = compare(ledger, database(tmp_path, [(0, 2, 0), (1, 2, 0), (1, 2, 0)], "abcd"))
    assert found.twice == ["sequence 1 of job_1 has 2 results", "6 games are counted, 4 exist"]
