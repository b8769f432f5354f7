"""Shared field types of every wire model: strict, bounded, and forbidding what they don't know."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from ringrift.game.config import GameConfig

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""64 lower-case hex digits; the only name an artifact has, and the only path made from input."""

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$")]
"""Host and target names: lower-case letters, digits and inner dashes, 1 to 40 characters."""


ReleaseName = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{12}$")]
"""A release of our software: the first 12 hex digits of its wheel's SHA-256."""


@lru_cache(maxsize=64)
def _known_config(key: str) -> str:
    return GameConfig.parse(key).key


ConfigKey = Annotated[str, AfterValidator(_known_config)]
"""One of the twelve config keys, such as `hex8_2p`."""

Port = Annotated[int, Field(ge=1, le=65535)]
Line = Annotated[str, StringConstraints(max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")]
"""One line of printable text."""

User = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,31}$")]
Address = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.:-]{0,252}[A-Za-z0-9])?$")]
"""A host name or an IP address."""

Seat = Annotated[int, Field(ge=1, le=4)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class Wire(BaseModel):
    """Base of every request body that we define: unknown fields are refused, values are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Reply(BaseModel):
    """Base of every answer: unknown fields are ignored, so that neighbouring versions work together (P12)."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)
