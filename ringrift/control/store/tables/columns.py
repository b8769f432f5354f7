"""Column types shared by the tables."""

from typing import Any

from sqlalchemy import JSON, BigInteger, Double, Text
from sqlmodel import Field

_JSON = JSON(none_as_null=True)


def seconds(**options: Any) -> Any:
    """Return a time column: seconds since 1970 by the database's clock."""
    return Field(sa_type=Double, **options)


def document(**options: Any) -> Any:
    """Return a JSON column."""
    return Field(sa_type=_JSON, **options)


def big(**options: Any) -> Any:
    """Return a 64-bit integer column."""
    return Field(sa_type=BigInteger, **options)


def text(**options: Any) -> Any:
    """Return an unbounded text column."""
    return Field(sa_type=Text, **options)
