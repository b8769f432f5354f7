"""The outer edge of `ringrift-ctl`: every way to end becomes one line and a documented exit status."""

from __future__ import annotations

import errno
import io
import os
import sys
import time
import traceback
from contextlib import suppress
from typing import Any

import typer
from typer.core import TyperGroup

from ringrift.errors import EnvironmentProblem, RingRiftError, UsageError

EXIT_CODES = (
    (0, "done"),
    (1, "an unexpected failure; the details are in RINGRIFT_HOME/logs/cli.log"),
    (2, "usage: the request itself is wrong"),
    (3, "some hosts or targets failed, the others are done"),
    (4, "refused by a rule or not confirmed; nothing was changed"),
    (5, "no host, model, job or file of that name"),
    (6, "the controller or a host does not answer"),
    (7, "a login, token or host key was not accepted"),
    (8, "corrupt data: a hash, checksum or structure is wrong"),
    (9, "the machine: port in use, disk full, database newer than the code"),
    (130, "interrupted"),
)
EPILOG = "Exit codes: " + " · ".join(f"{number} {meaning}" for number, meaning in EXIT_CODES)


_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ENAMETOOLONG, errno.EIO)
"""Errors of the operating system that are the machine's and not ours."""


class Front(TyperGroup):
    """The root command group. Its `main` never lets a traceback reach the terminal."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run a command line and leave with its exit status."""
        kwargs["standalone_mode"] = False
        try:
            _prepare_streams()
            result = super().main(*args, **kwargs)
            sys.stdout.flush()
        except (typer.Abort, KeyboardInterrupt):
            raise _leave("interrupted", 130) from None
        except RingRiftError as error:
            raise _leave(f"error: {error.line()}", error.exit_status) from None
        except typer.TyperException as error:
            raise _leave(f"error: {_usage_line(error)}", error.exit_code) from None
        except BrokenPipeError:
            _drop_output()
            raise SystemExit(1) from None
        except Exception as problem:
            if isinstance(problem, OSError) and problem.errno in _MACHINE:
                where = problem.filename or "what was to be written"
                line = EnvironmentProblem(
                    f"{where}: {problem.strerror}", hint="see `ringrift-ctl doctor`"
                ).line()
                raise _leave(f"error: {line}", EnvironmentProblem.exit_status) from None
            raise _leave(f"error: {_unexpected(problem)}", 1) from None
        raise SystemExit(result if isinstance(result, int) else 0)


def _prepare_streams() -> None:
    """Refuse to work for nobody, and print what the terminal's encoding lacks as escapes."""
    if sys.stdout is None:
        raise EnvironmentProblem("the standard output is closed", hint="redirect it to a file or /dev/null")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _drop_output() -> None:
    """Send what standard output still holds nowhere: else the interpreter tries it again as it ends."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _leave(line: str, status: int) -> SystemExit:
    from ringrift.client.display import plain

    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        _drop_output()
    if sys.stderr is None:
        return SystemExit(status)
    sys.stderr.write(plain(line) + "\n")
    return SystemExit(status)


def _usage_line(error: typer.TyperException) -> str:
    """Return a wrong command line's message with the help that fits the command."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "ringrift-ctl"
    text = " ".join(error.format_message().split())
    return UsageError(text, hint=f"see `{command} --help`").line()


def _unexpected(problem: Exception) -> str:
    """Log what happened and return the line that says where."""
    from ringrift.client.home import home

    path = home() / "logs" / "cli.log"
    what = f"unexpected {type(problem).__name__}: {problem}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(handle, "a", encoding="utf-8") as log:
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S%z")
            log.write(f"{stamp} {sys.argv[1:3]}\n{''.join(traceback.format_exception(problem))}\n")
    except OSError as refusal:
        return f"{what} - no details kept: {path} cannot be written ({refusal.strerror})"
    return f"{what} - the details are in {path}"
