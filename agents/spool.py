"""One assignment on disk: what is asked, what the job told, what the controller acknowledged.

    spool/<assignment>/assignment.json   written whole before the folder gets its name
                       inputs/<sha256>   hard links into the cache
                       outputs/          artifacts of the job, deleted after their receipt
                       events.jsonl      what the job emitted; only the job writes it
                       receipts.jsonl    acknowledged sequences; only the agent writes it
                       job.log           what the job printed
                       process.json      the job's process, so that a successor can end it
                       running.json      how long the job has run, over all agents

Everything needed to go on after a crash is here. The job recomputes exactly the sequences that have neither
a complete event nor a receipt.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from agents.files import (
    append_line,
    cut_torn_end,
    is_disk_full,
    read_lines,
    sha256_of,
    sync_folder,
    write_atomic,
    write_json,
)
from ringrift.errors import CorruptData
from ringrift.protocol.agent import Assignment

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_UNFINISHED = ".new-"
LOG_LIMIT = 8 << 20
"""Bytes that a job's log may reach; then its older half is cut off."""


@dataclass(frozen=True)
class Artifact:
    """A file below `outputs/`, its hash and its size when the job handed it over."""

    path: str
    sha256: str
    size: int


@dataclass(frozen=True)
class UnitResult:
    """One finished sequence as the job told it."""

    sequence: int
    payload: dict[str, Any]
    artifacts: tuple[Artifact, ...]


class Spool:
    """The folder of one assignment."""

    def __init__(self, folder: Path, assignment: Assignment) -> None:
        self.folder = folder
        self.assignment = assignment

    @classmethod
    def create(cls, spools: Path, assignment: Assignment) -> Spool:
        """Make the folder of a new assignment; it appears whole or not at all, and replaces an older one."""
        if not _NAME.fullmatch(assignment.assignment):
            raise CorruptData(f"the controller sent an impossible assignment name {assignment.assignment!r}")
        fresh = spools / f"{_UNFINISHED}{assignment.assignment}"
        shutil.rmtree(fresh, ignore_errors=True)
        for name in ("inputs", "outputs"):
            (fresh / name).mkdir(parents=True)
        write_json(fresh / "assignment.json", assignment.model_dump(mode="json"))
        folder = spools / assignment.assignment
        shutil.rmtree(folder, ignore_errors=True)
        fresh.rename(folder)
        sync_folder(spools)
        return cls(folder, assignment)

    @classmethod
    def load(cls, folder: Path) -> Spool:
        """Read what `create` made; raise `CorruptData` when it is damaged."""
        try:
            data = json.loads((folder / "assignment.json").read_bytes())
            return cls(folder, Assignment.model_validate(data))
        except (OSError, ValueError, ValidationError):
            raise CorruptData(f"{folder} holds no readable assignment") from None

    @property
    def inputs(self) -> Path:
        return self.folder / "inputs"

    @property
    def outputs(self) -> Path:
        return self.folder / "outputs"

    @property
    def events(self) -> Path:
        return self.folder / "events.jsonl"

    @property
    def receipts_file(self) -> Path:
        return self.folder / "receipts.jsonl"

    @property
    def log(self) -> Path:
        return self.folder / "job.log"

    @property
    def process(self) -> Path:
        return self.folder / "process.json"

    @property
    def running(self) -> Path:
        return self.folder / "running.json"

    def receipts(self) -> set[int]:
        """Return the sequences that the controller acknowledged to this agent."""
        lines, _ = read_lines(self.receipts_file)
        return {line["sequence"] for line in lines if isinstance(line.get("sequence"), int)}

    def acknowledge(self, result: UnitResult) -> bool:
        """Note durably that a result has its receipt, then delete its artifacts; False if it was not noted.

        On a full disk the artifacts, which the controller holds now, go first to make room.
        """
        line = {"sequence": result.sequence}
        noted = _append_if_room(self.receipts_file, line)
        for artifact in result.artifacts:
            (self.outputs / artifact.path).unlink(missing_ok=True)
        return noted or _append_if_room(self.receipts_file, line)

    def done(self) -> set[int]:
        """Return the sequences that need not be computed: acknowledged, or waiting in this spool."""
        events, _ = read_lines(self.events)
        told = {event["sequence"] for event in events if event.get("type") == "result"}
        return set(self.assignment.done) | self.receipts() | told

    def repair(self) -> None:
        """After a crash, drop torn last lines and every unacknowledged result whose artifacts are damaged."""
        cut_torn_end(self.receipts_file)
        events = cut_torn_end(self.events)
        acknowledged = self.receipts()
        kept = [event for event in events if self._is_sound(event, acknowledged)]
        if len(kept) < len(events):
            lines = [json.dumps(event, separators=(",", ":")) + "\n" for event in kept]
            write_atomic(self.events, "".join(lines).encode())

    def bound_log(self) -> None:
        """Cut the older half off a job's log that has grown too long; the job appends, so nothing tears."""
        with contextlib.suppress(OSError):
            if self.log.stat().st_size > LOG_LIMIT:
                with self.log.open("r+b") as file:
                    file.seek(-LOG_LIMIT // 2, 2)
                    kept = file.read()
                    file.seek(0)
                    file.write(kept)
                    file.truncate()

    def drop(self) -> None:
        """Delete the folder; under its final name it is gone at once, also after a crash."""
        hidden = self.folder.with_name(f"{_UNFINISHED}{self.folder.name}")
        shutil.rmtree(hidden, ignore_errors=True)
        with contextlib.suppress(FileNotFoundError):
            self.folder.rename(hidden)
        shutil.rmtree(hidden, ignore_errors=True)

    def _is_sound(self, event: dict[str, Any], acknowledged: set[int]) -> bool:
        if event.get("type") != "result" or event["sequence"] in acknowledged:
            return True
        return all(self._is_intact(artifact) for artifact in parse_result(event).artifacts)

    def _is_intact(self, artifact: Artifact) -> bool:
        path = self.outputs / artifact.path
        return path.is_file() and path.stat().st_size == artifact.size and sha256_of(path) == artifact.sha256


def parse_result(event: dict[str, Any]) -> UnitResult:
    """Read a result event as `agents.job` wrote it."""
    artifacts = tuple(Artifact(**artifact) for artifact in event["artifacts"])
    return UnitResult(event["sequence"], event["payload"], artifacts)


def found_spools(spools: Path) -> list[Path]:
    """Return the folders of assignments that were begun, oldest first; half-made ones are deleted."""
    for folder in spools.glob(f"{_UNFINISHED}*"):
        shutil.rmtree(folder, ignore_errors=True)
    folders = [path for path in spools.iterdir() if path.is_dir()]
    return sorted(folders, key=lambda path: path.stat().st_mtime)


def _append_if_room(path: Path, value: dict[str, Any]) -> bool:
    try:
        append_line(path, value)
    except OSError as error:
        if not is_disk_full(error):
            raise
        return False
    return True
