"""Wire types of operators' tokens."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ringrift.protocol.types import Line, Name, Reply, Wire

GivenRole = Literal["viewer", "operator", "promoter"]
"""A viewer reads; an operator changes hosts, jobs and deployments, too; a promoter moves champions, too."""


class TokenRequest(Wire):
    """Make a token that is valid for `seconds`, a minute to 90 days. Without a name it gets one."""

    role: GivenRole
    seconds: Annotated[float, Field(ge=60.0, le=90 * 86_400.0, allow_inf_nan=False)] = 8 * 3600.0
    name: Name | None = None
    actor: Line = "operator"


class NewToken(Reply):
    """A new token: the only answer that has its text."""

    name: str
    role: str
    seconds: float
    token: str = Field(repr=False)


class TokenView(Reply):
    """A token without its text."""

    name: str
    role: str
    state: Literal["valid", "expired", "revoked"]
    made_by: str
    made_at: str
    expires_at: str
