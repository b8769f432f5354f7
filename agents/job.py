"""The job process: `python -m agents.job ASSIGNMENT_DIR PARENT_PID [--runner module:function]`.

Runs one assignment and appends what the job emits to `events.jsonl`. It dies with the agent that started it.
What fails is told in the last line of its output and by its exit status: that of the error's class,
`DISK_FULL` when no space is left, `OUT_OF_MEMORY` when an allocation was refused.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agents.files import append_line, is_disk_full, sha256_of
from agents.processes import end_with_parent
from agents.spool import Spool
from ringrift.errors import BadInput, RingRiftError

RUNNER = "ringrift.learning.jobs:run_job"
DISK_FULL = 74
"""Exit status (the EX_IOERR of sysexits) by which the agent knows a full disk even when no log fits on it."""
OUT_OF_MEMORY = 71
"""Exit status (EX_OSERR) of a job that could not get the memory it asked for."""
_PROGRESS_SECONDS = 1.0
_NICENESS = 5
"""Jobs give way to sshd, the agent and a served model on the same host."""

Runner = Callable[..., None]


class EventFile:
    """Appends a job's events: results durably, progress at most once a second."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._next_progress = 0.0

    def emit(self, event: dict[str, Any]) -> None:
        """Write one event; raise `BadInput` for one that the contract does not know."""
        if event.get("type") == "progress":
            self._progress(event)
        elif event.get("type") == "result":
            artifacts = [self._artifact(path) for path in event["artifacts"]]
            append_line(self._spool.events, {**event, "artifacts": artifacts})
        else:
            raise BadInput(f"the job emitted an unknown event {event.get('type')!r}")

    def _progress(self, event: dict[str, Any]) -> None:
        now = time.monotonic()
        if now < self._next_progress and event.get("done") != event.get("total"):
            return
        self._next_progress = now + _PROGRESS_SECONDS
        append_line(self._spool.events, event, durable=False)

    def _artifact(self, path: str) -> dict[str, Any]:
        outputs = self._spool.outputs.resolve()
        file = (outputs / path).resolve()
        if not file.is_relative_to(outputs) or not file.is_file():
            raise BadInput(f"the job emitted {path!r}, which is no file among its outputs")
        return {
            "path": str(file.relative_to(outputs)),
            "sha256": sha256_of(file),
            "size": file.stat().st_size,
        }


def run(spool: Spool, runner: Runner) -> None:
    """Run the assignment of `spool` in this process, skipping the sequences that are done."""
    assignment = spool.assignment
    kind = str(assignment.spec.get("kind"))
    runner(kind, assignment.spec, spool.inputs, spool.outputs, spool.done(), EventFile(spool).emit)


def main(arguments: list[str]) -> int:
    """Run the job named on the command line; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m agents.job")
    parser.add_argument("folder", type=Path)
    parser.add_argument("parent", type=int)
    parser.add_argument("--runner", default=RUNNER)
    options = parser.parse_args(arguments)
    _tie_to(options.parent)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        spool = Spool.load(options.folder)
        run(spool, _load(options.runner))
    except RingRiftError as error:
        return _tell(error.line(), DISK_FULL if is_disk_full(error) else error.exit_status)
    except MemoryError:
        return _tell("out of memory", OUT_OF_MEMORY)
    except OSError as error:
        if is_disk_full(error):
            return _tell(str(error), DISK_FULL)
        raise
    return 0


def _tell(line: str, status: int) -> int:
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
    return status


def _load(runner: str) -> Runner:
    module, _, name = runner.partition(":")
    found: Runner = getattr(importlib.import_module(module), name)
    return found


def _tie_to(parent: int) -> None:
    """Die with the agent: by the kernel on Linux, elsewhere by a thread that looks once a second."""
    end_with_parent(parent)
    os.nice(_NICENESS)
    _offer_to_the_kernel()
    if sys.platform != "linux":
        threading.Thread(target=_leave_when_orphaned, args=(parent,), daemon=True).start()


def _offer_to_the_kernel() -> None:
    """When the host's memory runs out, let the kernel (Linux) take a job before sshd or the agent."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def _leave_when_orphaned(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
