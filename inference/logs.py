"""What the service says on stderr: one JSON object a line, or words for a person at a terminal.

    {"time": "2026-11-23T21:16:08.123Z", "level": "info", "event": "request", "method": "POST", "status": 200}

All of it is ASCII on one line, whatever a request said. A log must not keep an answer waiting: where a pipe's
reader leaves no room, or a disk none, a line is dropped, and the next one says how many were. Standard
library only, since the holder of the port logs here too.
"""

from __future__ import annotations

import json
import logging
import os
import select
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ringrift.errors import BadInput

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LEVEL_VARIABLE = "RINGRIFT_LOG_LEVEL"
FORMAT_VARIABLE = "RINGRIFT_LOG_FORMAT"
LEFT = 499
"""The status of a request whose client had gone before an answer began, as others log it."""

log = logging.getLogger("inference")
_LEVELS = ("debug", "info", "warning", "error")
_PROBES = ("/health", "/ready", "/live", "/metrics")
"""Asked every few seconds for ever; told at `debug` only."""
_STDERR = 2
_PATH_LENGTH = 200
_TRACEBACK_LENGTH = 2500
"""Characters of a traceback's end, so that a line is written at once: a pipe takes 4,096 bytes whole."""
_TOLD = "told"


def set_up() -> None:
    """Log to stderr as the environment says; raises `BadInput` for a setting that is none."""
    level = _setting(LEVEL_VARIABLE, "info", _LEVELS)
    formatter = _FORMATS[_setting(FORMAT_VARIABLE, "json", tuple(_FORMATS))]()
    handler = Lines(_STDERR)
    handler.setFormatter(formatter)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def fields(**values: Any) -> dict[str, Any]:
    """Return what `extra` of a logging call takes, so that these values stand beside the event."""
    return {"fields": values}


def tell(scope: Scope, **values: Any) -> None:
    """Add to what is logged of a request when it is over."""
    scope.setdefault(_TOLD, {}).update(values)


class Lines(logging.Handler):
    """Writes a line at once or not at all."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._room = select.poll()
        self._room.register(descriptor, select.POLLOUT)
        self._dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record; called by one thread at a time."""
        if not self._room.poll(0):
            self._dropped += 1
            return
        if self._dropped:
            record.fields = {**_fields_of(record), "dropped": self._dropped}
        try:
            os.write(self._descriptor, self.format(record).encode("ascii", "backslashreplace") + b"\n")
        except OSError:
            self._dropped += 1
        except Exception:
            self.handleError(record)
        else:
            self._dropped = 0


class Json(logging.Formatter):
    """A record as a JSON object: `time` in UTC, `level`, `event`, and the fields of the event."""

    def format(self, record: logging.LogRecord) -> str:
        told = {"time": _time(record), "level": record.levelname.lower(), "event": record.getMessage()}
        return json.dumps({**told, **_all_of(self, record)}, default=str)


class Words(logging.Formatter):
    """A record as words: time, level, event, and `name=value` for its fields."""

    def format(self, record: logging.LogRecord) -> str:
        values = (f"{name}={json.dumps(value, default=str)}" for name, value in _all_of(self, record).items())
        event = json.dumps(record.getMessage())[1:-1]
        return " ".join((_time(record), record.levelname, event, *values))


_FORMATS: dict[str, type[logging.Formatter]] = {"json": Json, "text": Words}


class RequestLog:
    """Tells of every request when it is over: what was asked, what came of it, how long it took."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Carry a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.monotonic(), LEFT

        async def seen(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, seen)
        except Exception:
            status = 500
            raise
        finally:
            _tell(scope, status, time.monotonic() - began)


def _tell(scope: Scope, status: int, seconds: float) -> None:
    level = _level(scope["path"], status)
    if not log.isEnabledFor(level):
        return
    client = scope.get("client")
    request = {"method": scope["method"], "path": scope["path"][:_PATH_LENGTH], "status": status}
    about = {"ms": round(1000 * seconds, 1), "client": client[0] if client else None}
    log.log(level, "request", extra=fields(**request, **about, **scope.get(_TOLD, {})))


def _level(path: str, status: int) -> int:
    if path in _PROBES:
        return logging.DEBUG
    if status == 503:  # told to come again: the service is well
        return logging.WARNING
    return logging.ERROR if status >= 500 else logging.INFO


def _setting(variable: str, default: str, known: tuple[str, ...]) -> str:
    name = os.environ.get(variable, default).lower()
    if name not in known:
        raise BadInput(f"{variable} is {name!r}", hint=f"use one of {', '.join(known)}")
    return name


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def _fields_of(record: logging.LogRecord) -> dict[str, Any]:
    return dict(getattr(record, "fields", {}))


def _all_of(formatter: logging.Formatter, record: logging.LogRecord) -> dict[str, Any]:
    """Return a record's fields, with who else said it and the end of a traceback."""
    found = _fields_of(record)
    if record.name != log.name:
        found["logger"] = record.name
    if record.exc_info:
        found["traceback"] = formatter.formatException(record.exc_info)[-_TRACEBACK_LENGTH:]
    return found
