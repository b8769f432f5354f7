"""The database as lines of JSON, the same for SQLite and Postgres, and back into either.

    {"table": "host", "columns": ["name", "state", ...]}
    ["alpha", "ready", ...]
    ...

Tables come in an order in which every row finds the rows that it refers to.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Connection, Table, column, func, inspect, select, table, text, update
from sqlalchemy.exc import OperationalError, StatementError
from sqlalchemy.types import NullType
from sqlmodel import Session, SQLModel

from ringrift.control.store import tables  # noqa: F401 - fills the metadata
from ringrift.errors import CorruptData, EnvironmentProblem

_ROWS = 2000
"""Rows that are read or written at a time."""
_LEVEL = 1
_LINE = 64 << 20
"""Characters of a row, and of the rows that are held at a time: what comes out of an archive has no end."""
_WRONG = (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, RecursionError, OverflowError,
          StatementError)  # fmt: skip


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


def read_rows(connection: Connection, path: Path, rows: int) -> None:
    """Insert the `rows` rows of a file into empty tables. The caller commits.

    Raises `CorruptData` for a file that `write_rows` did not write, and for another number of rows.
    """
    count, parents = 0, []
    known = _columns(connection)
    try:
        for target, batch in _batches(path, known):
            parents += _without_parents(target.name, batch)
            connection.execute(target.insert(), batch)
            count += len(batch)
            if count > rows:
                break
    except OperationalError:
        raise
    except _WRONG as error:
        words = f"{type(error).__name__}: {str(error).partition(chr(10))[0][:200]}"
        raise CorruptData(f"{path.name} is not a copy of a database: {words}") from None
    if count != rows:
        more = "more" if count > rows else str(count)
        raise CorruptData(f"the copy of the database has {more} rows, not {rows}")
    for target, values in parents:
        keys = [target.c[each.name] == values.pop(each.name) for each in target.primary_key]
        connection.execute(update(target).where(*keys).values(values))
    if connection.dialect.name == "postgresql":
        _continue_numbers(connection)


def is_empty(connection: Connection) -> bool:
    """Tell whether none of our tables has a row."""
    return all(
        connection.execute(select(func.count()).select_from(item)).scalar_one() == 0
        for item in SQLModel.metadata.sorted_tables
    )


def _columns(connection: Connection) -> dict[str, set[str]]:
    """Return the columns of every table that a backup may fill."""
    found = inspect(connection)
    names = set(found.get_table_names()) - {"alembic_version"}
    return {name: {each["name"] for each in found.get_columns(name)} for name in names}


def _batches(path: Path, known: Mapping[str, set[str]]) -> Iterator[tuple[Any, list[dict[str, Any]]]]:
    """Yield rows by table, at most `_ROWS` and `_LINE` characters at a time."""
    target, names, batch, size = None, list[str](), list[dict[str, Any]](), 0
    with gzip.open(path, "rt", encoding="utf-8") as file:
        while line := file.readline(_LINE):
            item, size = json.loads(line), size + len(line)
            if isinstance(item, dict):
                if batch:
                    yield target, batch
                if not known.get(item["table"], set()) >= set(item["columns"]):
                    raise ValueError(f"there is no table {item['table']!r} with these columns")
                target, names, batch = _insertable(item["table"], item["columns"]), item["columns"], []
                continue
            if target is None:
                raise ValueError("a row of no table")
            batch.append(dict(zip(names, item, strict=True)))
            if len(batch) == _ROWS or size > _LINE:
                yield target, batch
                batch, size = [], 0
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
