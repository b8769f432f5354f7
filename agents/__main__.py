"""`python -m agents run --root DIR [--slots N]`: the agent of one host.

Exit statuses are those of `ringrift.errors`; 7 means that the controller does not accept the enrolment token.
SIGTERM ends it within seconds; a successor takes up what was running.
"""

from __future__ import annotations

import argparse
import fcntl
import logging
import logging.handlers
import os
import signal
import sys
import threading
import time
from pathlib import Path

from agents.connection import Backoff, Connection
from agents.controller import Controller, enrol
from agents.identity import (
    Identity,
    enrolled_with,
    load_identity,
    load_or_make_key,
    public_text,
    save_identity,
)
from agents.job import RUNNER
from agents.loop import Agent
from agents.settings import AgentFile, Layout, erase_token, load_settings
from ringrift.errors import AccessRefused, Conflict, EnvironmentProblem, Replaced, RingRiftError, Unreachable
from ringrift.protocol.agent import EnrolRequest

log = logging.getLogger("agents")

_LOG_BYTES = 2 << 20
_LOG_FILES = 3
_MAX_SLOTS = 64


def main(arguments: list[str]) -> int:
    """Run the agent; return its exit status, with one line on stderr for an error."""
    options = _parse(arguments)
    log.addHandler(logging.NullHandler())
    layout = Layout(options.root.absolute())
    try:
        _run(layout, options.slots, options.runner)
    except RingRiftError as error:
        return _end(error.line(), error.exit_status)
    except OSError as error:
        return _end(str(error), EnvironmentProblem.exit_status)
    return 0


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m agents", description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    run = verbs.add_parser("run", help="work for the controller until stopped")
    run.add_argument("--root", type=Path, required=True, help="the host's folder, as provisioned")
    run.add_argument("--slots", type=int, default=1, choices=range(1, _MAX_SLOTS + 1), metavar="1..64")
    run.add_argument("--runner", default=RUNNER, help="module:function that computes jobs")
    return parser.parse_args(arguments)


def _run(layout: Layout, slots: int, runner: str) -> None:
    settings = load_settings(layout)
    layout.prepare()
    with layout.lock.open("w") as lock:
        _hold(lock.fileno(), layout)
        _log_to(layout.log)
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        connection = Connection(layout.controller)
        identity = _enrolled(layout, settings, connection, stopping)
        if identity is not None:
            agent = Agent(layout, settings, Controller(connection, identity), slots, runner, stopping)
            log.info("agent %s on %s begins, release %s", identity.agent, settings.host, settings.release)
            try:
                agent.run()
            except Replaced:
                # Started anew it would take the place back, and both would do so for ever.
                layout.identity.replace(layout.replaced)
                raise
            log.info("agent ends")


def _hold(lock: int, layout: Layout) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Conflict(f"another agent works in {layout.root}", hint="one agent per root") from None


def _log_to(path: Path) -> None:
    """Log to a rotating file, in UTC; a full disk must not disturb the agent."""
    handler = logging.handlers.RotatingFileHandler(path, maxBytes=_LOG_BYTES, backupCount=_LOG_FILES)
    formatter = logging.Formatter("%(asctime)sZ %(levelname)s %(threadName)s %(message)s")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logging.raiseExceptions = False
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("httpx").setLevel(logging.WARNING)


def _enrolled(
    layout: Layout, settings: AgentFile, connection: Connection, stopping: threading.Event
) -> Identity | None:
    """Return who we are, enrolling first if there is a new token; None when stopped meanwhile.

    Safe to repeat after a crash anywhere: the key is stored before it is first sent, the name before the
    token is erased, and a token that gave the stored name already is not shown again.
    """
    token = settings.token
    if token is not None and not enrolled_with(layout, token):
        request = EnrolRequest(
            token=token, host=settings.host, public_key=public_text(load_or_make_key(layout))
        )
        name = _ask_for_name(connection, request, stopping)
        if name is None:
            return None
        save_identity(layout, name, token)
    if token is not None:
        erase_token(layout)
    identity = load_identity(layout)
    if identity is None:
        raise _stranger(layout)
    return identity


def _stranger(layout: Layout) -> AccessRefused:
    if layout.replaced.exists():
        why = f"a later start of the same agent took the place of the one in {layout.root}"
    else:
        why = f"{layout.root} has neither a token nor an identity"
    return AccessRefused(why, hint="provision this host")


def _ask_for_name(connection: Connection, request: EnrolRequest, stopping: threading.Event) -> str | None:
    backoff = Backoff()
    while not stopping.is_set():
        try:
            return enrol(connection, request).agent
        except Unreachable as error:
            log.info("enrolment waits: %s", error.line())
            connection.wait_for_change(backoff.next(), stopping)
        except AccessRefused as error:
            line = f"the controller does not accept the enrolment token of {request.host}: {error.message}"
            raise AccessRefused(line, hint="provision this host again for a new token") from None
    return None


def _end(line: str, status: int) -> int:
    log.error(line)
    sys.stderr.write(f"error: {line}\n")
    return status


if __name__ == "__main__":
    os.umask(0o077)
    sys.exit(main(sys.argv[1:]))
