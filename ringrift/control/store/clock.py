"""The database's clock: the only one that decides leases, expiry and ages."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Float, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlmodel import Session


class database_now(FunctionElement[float]):  # noqa: N801 - reads as an SQL function
    """Seconds since 1970 in UTC by the database's clock, as an SQL expression."""

    type = Float()
    inherit_cache = True


@compiles(database_now, "sqlite")
def _sqlite(element: Any, compiler: Any, **options: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(database_now, "postgresql")
def _postgres(element: Any, compiler: Any, **options: Any) -> str:
    return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS DOUBLE PRECISION)"


def now(session: Session) -> float:
    """Return the database's time in seconds since 1970."""
    return float(session.execute(select(database_now())).scalar_one())


def timestamp(seconds: float) -> str:
    """Return a time of the database's clock as ISO 8601 in UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
