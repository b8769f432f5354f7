"""What errors are over HTTP, without a web framework: a status per branch of the tree, a body, headers."""

from __future__ import annotations

import logging

from ringrift.errors import (
    AccessRefused,
    BadInput,
    CorruptData,
    EnvironmentProblem,
    Forbidden,
    NotFound,
    PartialFailure,
    Refused,
    RingRiftError,
    SessionUnknown,
    Unreachable,
    UsageError,
)
from ringrift.protocol.sessions import CHALLENGE_HEADER

STATUS: tuple[tuple[type[RingRiftError], int], ...] = (
    (BadInput, 422),
    (UsageError, 400),
    (Refused, 409),
    (NotFound, 404),
    (Forbidden, 403),
    (AccessRefused, 401),
    (Unreachable, 502),
    (PartialFailure, 502),
    (CorruptData, 422),
    (EnvironmentProblem, 503),
)
"""First match wins; anything else is a 500."""
_log = logging.getLogger("ringrift.api")


def status_of(error: RingRiftError) -> int:
    """Return the HTTP status of an error."""
    return next((status for cls, status in STATUS if isinstance(error, cls)), 500)


def body_of(error: RingRiftError) -> dict[str, dict[str, str]]:
    """Return what the body of the answer says."""
    return {"error": {"code": error.code, "message": error.message, "hint": error.hint}}


def headers_of(error: RingRiftError) -> dict[str, str]:
    """Return the headers of the answer that belong to the error."""
    return {CHALLENGE_HEADER: error.challenge} if isinstance(error, SessionUnknown) else {}


def told(error: Exception, request: str) -> RingRiftError:
    """Return what a caller is told of any failure; one that nobody expected is logged and says nothing."""
    if isinstance(error, RingRiftError):
        return error
    _log.error("%s failed: %s: %s", request, type(error).__name__, error)
    _log.debug("%s", request, exc_info=error)
    return RingRiftError("the controller failed on this request", hint="see logs/controller.log")
