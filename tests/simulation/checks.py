"""The promises P1-P4 and P6-P10, held against the database and what agents were told, after every commit."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict

from ringrift.control.domain.chain import GENESIS, Entry, digest


class Violation(AssertionError):
    """A promise was broken; the message names it."""


_FROZEN = {
    "result": ("job", "sequence", "payload", "agent"),
    "game": ("game_id", "shard", "winner", "plies"),
    "event": ("digest", "actor", "action", "subject", "detail"),
    "promotion": ("config", "generation", "model", "previous"),
}
"""Rows that stay as they were written."""

_AUDITED = {
    "job": ("state",),
    "assignment": (),
    "host": ("state", "draining", "host_key"),
    "model": ("state",),
    "evaluation": ("state",),
    "shard": ("state",),
    "alias": ("model", "generation"),
    "operation": ("state",),
    "batch": ("state",),
    "share": ("share",),
    "spot_check": ("state",),
    "debt": ("paid_at",),
    "agent": ("revoked_at",),
    "promotion": (),
    "result": (),
    "artifact": ("deleted_at",),
}
"""Columns whose change, and tables whose new rows, need an audit row in the same transaction (P10)."""

_FINAL = ("succeeded", "failed", "expired", "cancelled")


def install(raw: sqlite3.Connection) -> None:
    """Let the database itself watch what may never happen, and note what must be audited."""
    raw.execute("CREATE TEMP TABLE broken (what TEXT)")
    raw.execute("CREATE TEMP TABLE touched (what TEXT)")
    for table, columns in _FROZEN.items():
        changed = " OR ".join(f'OLD."{name}" IS NOT NEW."{name}"' for name in columns)
        _trigger(
            raw, f"del_{table}", f"DELETE ON {table}", "1", "broken", f"P1: a row of {table} was deleted"
        )
        _trigger(raw, f"upd_{table}", f"UPDATE ON {table}", changed, "broken", f"P1: a {table} was rewritten")
    finals = ", ".join(f"'{state}'" for state in _FINAL)
    _trigger(
        raw,
        "reopened",
        "UPDATE ON assignment",
        f"OLD.state IN ({finals}) AND NEW.state IS NOT OLD.state",
        "broken",
        "P3: an ended assignment was opened again",
    )
    _trigger(raw, "epoch", "UPDATE ON job", "NEW.epoch < OLD.epoch", "broken", "P3: an epoch went back")
    for table, columns in _AUDITED.items():
        if table != "assignment":
            _trigger(raw, f"new_{table}", f"INSERT ON {table}", "1", "touched", f"{table}: new")
        for name in columns:
            changed = f'OLD."{name}" IS NOT NEW."{name}"'
            _trigger(raw, f"aud_{table}_{name}", f"UPDATE ON {table}", changed, "touched", f"{table}.{name}")


def _trigger(raw: sqlite3.Connection, name: str, when: str, test: str, into: str, what: str) -> None:
    raw.execute(
        f"CREATE TEMP TRIGGER sim_{name} AFTER {when} WHEN {test} "
        f"BEGIN INSERT INTO {into} VALUES ('{what}'); END"
    )


class Checks:
    """What the world knows to be true, held against the rows after every event."""

    def __init__(self, raw: sqlite3.Connection) -> None:
        self._raw = raw
        install(raw)
        self._head, self._digest = 0, GENESIS
        self.receipts: set[tuple[str, int]] = set()
        """(job, sequence) that some agent was told is received: must be there for ever (P1)."""
        self.accepted: defaultdict[tuple[str, int], set[str]] = defaultdict(set)
        """(job, epoch) -> agents whose results were accepted as new under it (P3)."""
        self.events = 0
        self._states = 0

    def committed(self, name: str) -> None:
        """Check everything after the commit of the unit of work `name`."""
        self.events += 1
        broken = self._raw.execute("SELECT what FROM broken").fetchone()
        if broken:
            raise Violation(f"{broken[0]} (by {name})")
        self._audit(name)
        self._counts(name)
        self._writers(name)
        self._chain_of_champions(name)

    def silence(self, name: str, silent: set[str]) -> None:
        """Check that no host is put out of service while it cannot be heard (P8)."""
        query = "SELECT id, host, state, reason FROM host_state WHERE id > ? ORDER BY id"
        for identity, host, state, reason in self._raw.execute(query, (self._states,)).fetchall():
            self._states = identity
            if state in ("quarantined", "retired") and host in silent:
                raise Violation(f"P8: silent {host} became {state} (by {name}): {reason}")

    def liars(self, liar: str | None) -> None:
        """Check that a spot check finds the host that lies, and none that does not."""
        for host, state in self._raw.execute("SELECT host, state FROM spot_check"):
            if state == "differs" and host != liar:
                raise Violation(f"honest {host} was found to lie")

    def told(self, job: str, sequence: int) -> None:
        """An agent was told that a result is received."""
        self.receipts.add((job, sequence))
        query = "SELECT 1 FROM result WHERE job = ? AND sequence = ?"
        if self._raw.execute(query, (job, sequence)).fetchone() is None:
            raise Violation(f"P1: {job} {sequence} was acknowledged and is not stored")

    def accepted_new(self, job: str, epoch: int, agent: str) -> None:
        """A result was accepted as new under an epoch."""
        self.accepted[job, epoch].add(agent)
        if len(self.accepted[job, epoch]) > 1:
            raise Violation(f"P3: epoch {epoch} of {job} accepted from {sorted(self.accepted[job, epoch])}")

    def _audit(self, name: str) -> None:
        rows = self._raw.execute(
            "SELECT id, at, actor, action, subject, detail, digest FROM event WHERE id > ? ORDER BY id",
            (self._head,),
        ).fetchall()
        for identity, at, actor, action, subject, detail, link in rows:
            entry = Entry(identity, at, actor, action, subject, json.loads(detail))
            if identity != self._head + 1 or digest(self._digest, entry) != link:
                raise Violation(f"P10: audit row {identity} does not fit the chain (by {name})")
            self._head, self._digest = identity, link
        touched = {what for (what,) in self._raw.execute("SELECT what FROM touched")}
        if touched:
            self._raw.execute("DELETE FROM touched")
            if not rows:
                raise Violation(f"P10: {name} changed {sorted(touched)} without an audit row")

    def _counts(self, name: str) -> None:
        named, repeated = self._raw.execute(
            "SELECT COALESCE(SUM(games_named), 0), COALESCE(SUM(games_repeated), 0) FROM result"
        ).fetchone()
        (games,) = self._raw.execute("SELECT COUNT(*) FROM game").fetchone()
        if named - repeated != games:
            raise Violation(f"P2: {named} - {repeated} games are receipted, {games} counted (by {name})")

    def _writers(self, name: str) -> None:
        query = (
            "SELECT job FROM assignment WHERE state = 'running' GROUP BY job HAVING COUNT(*) > 1 "
            "UNION SELECT a.job FROM assignment a JOIN job j ON j.id = a.job "
            "WHERE a.state = 'running' AND (j.epoch != a.epoch OR j.state != 'leased')"
        )
        row = self._raw.execute(query).fetchone()
        if row:
            raise Violation(f"P3: {row[0]} has a running assignment beside its newest epoch (by {name})")

    def _chain_of_champions(self, name: str) -> None:
        query = "SELECT config, generation, model, previous FROM promotion ORDER BY config, generation"
        last: dict[str, tuple[int, str]] = {}
        for config, generation, model, previous in self._raw.execute(query):
            before = last.get(config, (0, None))
            if generation != before[0] + 1 or previous != before[1]:
                raise Violation(
                    f"P4: promotion {generation} of {config} does not follow {before} (by {name})"
                )
            last[config] = (generation, model)
        open_gate = "SELECT config, generation, conditions FROM promotion WHERE kind = 'promote'"
        for config, generation, conditions in self._raw.execute(open_gate):
            if not all(item["passed"] for item in json.loads(conditions)):
                raise Violation(f"the gate was closed to promotion {generation} of {config} (by {name})")
        former = {(config, number): before for config, number, _, before in self._raw.execute(query)}
        for alias, config, model, generation in self._raw.execute(
            "SELECT name, config, model, generation FROM alias"
        ):
            if alias == "champion" and last.get(config) != (generation, model):
                raise Violation(f"P4: the alias of {config} is not its last promotion (by {name})")
            if alias == "previous" and former.get((config, last[config][0])) != model:
                raise Violation(f"P4: `previous` of {config} is not the champion before (by {name})")

    def all_receipts(self) -> None:
        """Check every receipt that was ever given (P1)."""
        stored = set(self._raw.execute("SELECT job, sequence FROM result"))
        if lost := self.receipts - stored:
            raise Violation(f"P1: acknowledged and lost: {sorted(lost)[:3]}")
