"""Where a recorded game comes from: a file, or the controller's store by its id."""

from __future__ import annotations

import hashlib
import re
import tempfile
from pathlib import Path

from ringrift.cli.boards.formats import read_recording
from ringrift.cli.boards.recording import Recording
from ringrift.errors import BadInput, CorruptData, NotFound

_ID = re.compile(r"[0-9a-f]{8,64}")


def find_recording(text: str, number: int | None) -> Recording:
    """Return the game that a path or an id names; a file of that name goes first.

    Raises `NotFound`, `BadInput` for an id that fits several games, and what reading a game raises.
    """
    path = Path(text)
    if path.is_file():
        return read_recording(path, number)
    if path.is_dir():
        raise BadInput(f"{text} is a folder", hint="name a file in it")
    if not _ID.fullmatch(text):
        raise NotFound(f"{text[:80]!r} is no file here and no game's id", hint="an id has 8 to 64 hex digits")
    if number is not None:
        raise BadInput("--game picks a game of a file", hint="an id names one game already")
    return _fetched(text)


def _fetched(identity: str) -> Recording:
    from ringrift.cli.boards.shard import from_shard
    from ringrift.cli.output import controller
    from ringrift.client import routes

    with controller() as client:
        found = client.send(routes.game(identity))
        data = client.send(routes.artifact(found.shard))
    with tempfile.TemporaryDirectory() as folder:
        path = save_artifact(Path(folder), found.shard, data)
        return from_shard(path, None, found.game_id)


def save_artifact(folder: Path, sha256: str, data: bytes) -> Path:
    """Write fetched bytes under their hash; `CorruptData` when they are others."""
    if hashlib.sha256(data).hexdigest() != sha256:
        raise CorruptData(f"artifact {sha256[:12]} arrived with other bytes", hint="try again")
    path = folder / sha256
    path.write_bytes(data)
    return path
