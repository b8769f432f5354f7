"""The controller's logs: one line per record, on stderr and in a file that is rotated."""

from __future__ import annotations

import logging
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path

from ringrift.text import printable

_BYTES = 10 << 20
_FILES = 5


class OneLine(logging.Formatter):
    """`time level name message`, line breaks folded, so that a record is always one harmless line."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s", "%Y-%m-%dT%H:%M:%S%z")

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line."""
        return printable(super().format(record).replace("\n", " | "))


def configure_logs(home: Path, level: int = logging.INFO) -> list[logging.Handler]:
    """Send the logs of our packages to stderr and `logs/controller.log`; return the handlers to close."""
    handlers: list[logging.Handler] = [
        logging.StreamHandler(sys.stderr),
        RotatingFileHandler(home / "logs" / "controller.log", maxBytes=_BYTES, backupCount=_FILES),
    ]
    for handler in handlers:
        handler.setFormatter(OneLine())
    for name in ("ringrift", "hosts", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.setLevel(level if name != "uvicorn.error" else logging.WARNING)
        logger.propagate = False
        logger.handlers = list(handlers)
    return handlers


def close_logs(handlers: list[logging.Handler]) -> None:
    """Undo `configure_logs`."""
    for name in ("ringrift", "hosts", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers = [handler for handler in logger.handlers if handler not in handlers]
        logger.propagate = True
    for handler in handlers:
        handler.close()
