"""Rows for every table, made from the tables themselves: every column filled, every reference kept."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Boolean, Column, Float, Integer, MetaData, Table, insert
from sqlmodel import Session

from ringrift.control.store.events import record

AUDIT = ("event", "setting")
"""Filled through `record`, whose rows are chained."""


def fill(session: Session, metadata: MetaData, per_table: int = 3) -> dict[str, int]:
    """Put rows into every table that `metadata` names; return how many each has."""
    connection = session.connection()
    made: dict[str, list[dict[str, Any]]] = {}
    for table in metadata.sorted_tables:
        if table.name in AUDIT or table.name == "alembic_version":
            continue
        made[table.name] = [_row(table, number, made) for number in range(per_table)]
        connection.execute(insert(table), made[table.name])
    for number in range(per_table):
        record(session, "ann", "thing.done", f"thing {number}", weights=[0.1, None, "ü"], number=number)
    session.flush()
    return {name: len(rows) for name, rows in made.items()} | {"event": per_table, "setting": 1}


def _row(table: Table, number: int, made: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    return {column.name: _value(table, column, number, made) for column in table.columns}


def _value(table: Table, column: Column[Any], number: int, made: dict[str, list[dict[str, Any]]]) -> Any:
    for key in column.foreign_keys:
        target = key.column.table.name
        if target == table.name:
            # The first row refers to a later one, so that no order of insertion is right by accident.
            return None
        return made[target][number][key.column.name]
    if isinstance(column.type, JSON):
        return {"number": number, "text": "ü\n", "list": [1.5, None]}
    if isinstance(column.type, Boolean):
        return number % 2 == 0
    if isinstance(column.type, Integer):
        return number + 1
    if isinstance(column.type, Float):
        return number + 0.1
    if column.name.endswith("sha256") or column.name in ("digest",):
        return f"{number + 1:064x}"
    return f"{column.name} {number} 'ü'"
