"""Statements of fixed text and plain rows, for what thousands of agents do every second.

Past SQLAlchemy's expressions and rows such a statement costs half. `?` is the mark of a parameter on every
database, and any number of names or rows is the same statement.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import CursorResult, Table
from sqlalchemy.dialects import postgresql
from sqlmodel import Session


def run(session: Session, statement: str, parameters: Any) -> CursorResult[Any]:
    """Run a statement once for a tuple of parameters, or for each of a list of them."""
    connection = session.connection()
    text = statement if connection.dialect.paramstyle == "qmark" else statement.replace("?", "%s")
    return connection.exec_driver_sql(text, parameters)


def rows(session: Session, statement: str, names: Collection[str]) -> list[tuple[Any, ...]]:
    """Return the plain rows of a SELECT for these names, which its `{named}` compares with."""
    if not names:
        return []
    if session.connection().dialect.name == "sqlite":
        many, given = "IN (SELECT value FROM json_each(?))", json.dumps(list(names))
        found = run(session, statement.replace("{named}", many), (given,))
    else:
        found = run(session, statement.replace("{named}", "= ANY(?)"), (list(names),))
    with found:
        return list(found.cursor.fetchall()) if found.cursor is not None else []


def insert_rows(session: Session, table: Table, columns: tuple[str, ...], given: Sequence[Any]) -> None:
    """Insert tuples of these columns' values in order, in one statement; a JSON column is given as text."""
    if not given:
        return
    connection = session.connection()
    dialect = connection.dialect.name
    values = list(given) if dialect == "sqlite" else tuple(map(list, zip(*given, strict=True)))
    connection.exec_driver_sql(_insert(table, columns, dialect), values)


@lru_cache(maxsize=64)
def _insert(table: Table, columns: tuple[str, ...], dialect: str) -> str:
    named = ", ".join(f'"{name}"' for name in columns)
    if dialect == "sqlite":
        marks = ", ".join("?" for _ in columns)
        return f"INSERT INTO {table.name} ({named}) VALUES ({marks})"  # noqa: S608 - names of our tables
    kinds = (table.c[name].type.compile(postgresql.dialect()) for name in columns)
    arrays = ", ".join(f"%s::{kind}[]" for kind in kinds)
    return f"INSERT INTO {table.name} ({named}) SELECT * FROM unnest({arrays})"  # noqa: S608 - as above
