"""The database's clock: the only one that decides leases, expiry and ages."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Float
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlmodel import Session


class database_now(FunctionElement[float]):  # noqa: N801 - reads as an SQL function
    """Seconds since 1970 in UTC by the database's clock, as an SQL expression."""

    type = Float()
    inherit_cache = True


_NOW = {
    "sqlite": "((julianday('now') - 2440587.5) * 86400.0)",
    "postgresql": "CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS DOUBLE PRECISION)",
}


@compiles(database_now, "sqlite")
@compiles(database_now, "postgresql")
def _compiled(element: Any, compiler: Any, **options: Any) -> str:
    return _NOW[compiler.dialect.name]


def now_sql(dialect: str) -> str:
    """Return `database_now` as text for a statement that is written by hand."""
    return _NOW[dialect]


def now(session: Session) -> float:
    """Return the database's time in seconds since 1970."""
    # The clock is asked more often than anything else: past the ORM it costs a quarter.
    connection = session.connection()
    return float(connection.exec_driver_sql(f"SELECT {_NOW[connection.dialect.name]}").scalar_one())


def timestamp(seconds: float) -> str:
    """Return a time of the database's clock as ISO 8601 in UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
