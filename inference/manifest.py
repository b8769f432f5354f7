"""What to serve: `manifest.json` beside the files that it names.

    {"format": 1, "generation": 3, "deployment": "d-17",
     "models": {"hex8_2p": {"file": "canonical_hex8_2p.pth", "sha256": "...", "generation": 2}}}

The folder of models holds it directly, or holds a symlink `current` to the folder that does. Replacing the
symlink is how a deployment swaps. `generation` of an entry counts the champions of that config.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ringrift.errors import BadInput, NotFound, UnknownConfig
from ringrift.game.config import GameConfig

FORMAT = 1
MANIFEST = "manifest.json"
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Entry:
    """One model that must be served."""

    config: GameConfig
    path: Path
    sha256: str
    generation: int


@dataclass(frozen=True)
class Manifest:
    """A whole set of models. `digest` identifies the manifest's text."""

    folder: Path
    generation: int
    deployment: str
    entries: tuple[Entry, ...]
    digest: str


def locate(models: Path) -> Path:
    """Return the folder that is meant now: where `current` leads if it exists, else `models` itself."""
    current = models / "current"
    return current.resolve() if current.is_symlink() or current.exists() else models


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a folder.

    Raises `NotFound` without one, `BadInput` naming the entry that is wrong; files are not looked at.
    """
    path = folder / MANIFEST
    try:
        data = path.read_bytes()
    except OSError as error:
        reason = error.strerror or "cannot be read"
        raise NotFound(f"no manifest at {path}: {reason}", hint="deploy models to this service") from None
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path} is no JSON: {error}") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise BadInput(f"{path}: format must be {FORMAT}")
    models = content.get("models")
    if not isinstance(models, dict) or not models:
        raise BadInput(f"{path}: models is missing or empty", hint="deploy models to this service")
    return Manifest(
        folder=folder,
        generation=_count(path, "generation", content.get("generation")),
        deployment=str(content.get("deployment", "")),
        entries=tuple(_entry(path, key, models[key]) for key in sorted(models)),
        digest=hashlib.sha256(data).hexdigest(),
    )


def _entry(path: Path, key: str, value: Any) -> Entry:
    try:
        config = GameConfig.parse(key)
    except UnknownConfig as error:
        raise BadInput(f"{path}: models: {error.line()}") from None
    if not isinstance(value, dict):
        raise BadInput(f"{path}: models.{key} is no object")
    name = f"canonical_{key}.pth"
    if value.get("file") != name:
        raise BadInput(f"{path}: models.{key}.file is {value.get('file')!r}, it must be {name!r}")
    sha256 = value.get("sha256")
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        raise BadInput(f"{path}: models.{key}.sha256 is no SHA-256")
    generation = _count(path, f"models.{key}.generation", value.get("generation"))
    return Entry(config, path.parent / name, sha256, generation)


def _count(path: Path, name: str, value: Any) -> int:
    if type(value) is not int or value < 0:
        raise BadInput(f"{path}: {name} is no whole number from 0")
    return value
