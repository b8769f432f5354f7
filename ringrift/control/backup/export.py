"""The database as lines of JSON, the same for SQLite and Postgres, and back into either.

    {"table": "host", "columns": ["name", "state", ...]}
    ["alpha", "ready", ...]
    ...

Tables come in an order in which every row finds the rows that it refers to.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Connection, Table, column, func, select, table, text, update
from sqlalchemy.types import NullType
from sqlmodel import Session, SQLModel

from ringrift.control.store import tables  # noqa: F401 - fills the metadata
from ringrift.errors import CorruptData, EnvironmentProblem

_ROWS = 2000
"""Rows that are read or written at a time."""
_LEVEL = 1


def write_rows(session: Session, path: Path) -> int:
    """Write every row of the session's snapshot, compressed; return their number."""
    count = 0
    with gzip.open(path, "wt", encoding="utf-8", compresslevel=_LEVEL) as file:
        for item in SQLModel.metadata.sorted_tables:
            columns = [each.name for each in item.columns]
            file.write(json.dumps({"table": item.name, "columns": columns}) + "\n")
            rows = session.connection().execute(
                select(item), execution_options={"stream_results": True, "yield_per": _ROWS}
            )
            for row in rows:
                file.write(json.dumps(list(row), separators=(",", ":")) + "\n")
                count += 1
    return count


def read_rows(connection: Connection, path: Path) -> int:
    """Insert every row of a file into empty tables; return their number. The caller commits.

    Raises `CorruptData` for a file that `write_rows` did not write.
    """
    count, parents = 0, []
    try:
        for target, batch in _batches(path):
            parents += _without_parents(target.name, batch)
            connection.execute(target.insert(), batch)
            count += len(batch)
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise CorruptData(f"{path.name} is not a copy of a database: {error}") from None
    for target, values in parents:
        keys = [target.c[each.name] == values.pop(each.name) for each in target.primary_key]
        connection.execute(update(target).where(*keys).values(values))
    if connection.dialect.name == "postgresql":
        _continue_numbers(connection)
    return count


def is_empty(connection: Connection) -> bool:
    """Tell whether none of our tables has a row."""
    return all(
        connection.execute(select(func.count()).select_from(item)).scalar_one() == 0
        for item in SQLModel.metadata.sorted_tables
    )


def _batches(path: Path) -> Iterator[tuple[Any, list[dict[str, Any]]]]:
    """Yield rows by table, at most `_ROWS` at a time."""
    target, names, batch = None, list[str](), list[dict[str, Any]]()
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            item = json.loads(line)
            if isinstance(item, dict):
                if batch:
                    yield target, batch
                target, names, batch = _insertable(item["table"], item["columns"]), item["columns"], []
                continue
            batch.append(dict(zip(names, item, strict=True)))
            if len(batch) == _ROWS:
                yield target, batch
                batch = []
    if batch:
        yield target, batch


def _insertable(name: str, names: Iterable[str]) -> Any:
    """Return a table with just these columns: a backup of an older schema lacks some, or has others."""
    known = SQLModel.metadata.tables.get(name)
    types = {each.name: each.type for each in known.columns} if known is not None else {}
    return table(name, *(column(each, types.get(each, NullType())) for each in names))


def _without_parents(name: str, batch: list[dict[str, Any]]) -> list[tuple[Table, dict[str, Any]]]:
    """Empty the references of rows to their own table; return what has to be filled in afterwards."""
    known = SQLModel.metadata.tables.get(name)
    if known is None:
        return []
    own = [each.name for each in known.columns if _refers_to(each, known)]
    taken = []
    for row in batch:
        values = {each: row[each] for each in own if row.get(each) is not None}
        if values:
            taken.append((known, values | {each.name: row[each.name] for each in known.primary_key}))
            row.update(dict.fromkeys(values))
    return taken


def _refers_to(each: Column[Any], known: Table) -> bool:
    return any(key.column.table is known for key in each.foreign_keys)


def _continue_numbers(connection: Connection) -> None:
    """Let Postgres go on numbering behind the restored rows; SQLite does so by itself."""
    for item in SQLModel.metadata.sorted_tables:
        for each in item.primary_key:
            if each.type.python_type is int:
                sequence = connection.execute(
                    text("SELECT pg_get_serial_sequence(:name, :column)"),
                    {"name": f'"{item.name}"', "column": each.name},
                ).scalar_one()
                newest = connection.execute(select(func.max(each))).scalar_one()
                if sequence is not None and newest is not None:
                    connection.execute(select(func.setval(sequence, newest)))


def require_revision(revision: str | None) -> str:
    """Return the schema revision of a database that has tables; `EnvironmentProblem` without."""
    if revision is None:
        raise EnvironmentProblem("the database has no tables", hint="start the controller once")
    return revision
