"""What to serve: `manifest.json` beside the files that it names.

    {"format": 3, "generation": 3, "deployment": "d-17", "expires_at": null,
     "models": {"hex8_2p": {"file": "canonical_hex8_2p.pth", "sha256": "...", "generation": 2,
                            "evaluation": "...", "golden": {...}}}}

The folder of models holds it directly, or holds a symlink `current` to the folder that does. Replacing the
symlink is how a deployment swaps. `generation` of an entry counts the champions of that config, `evaluation`
is the test that its champion passed, `golden` what its net says (`ringrift.golden`). `expires_at` is seconds
since 1970, or null for never. In format 2, of the release before, an entry need not have `golden`.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference.trust import check_signature, read_limited
from ringrift.errors import BadInput, Refused, UnknownConfig
from ringrift.game.config import GameConfig
from ringrift.golden import Golden, read_golden

FORMAT = 3
FORMAT_BEFORE = 2
MANIFEST = "manifest.json"
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Entry:
    """One model that must be served."""

    config: GameConfig
    path: Path
    sha256: str
    generation: int
    evaluation: str | None
    golden: Golden | None
    """None only in a manifest of the format before."""


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


def read_manifest(folder: Path, trusted: Path | None) -> Manifest:
    """Read the manifest of a folder, once a key in the file `trusted` is seen to have signed it.

    None for `trusted` asks for no signature. Raises `NotFound` without a manifest, what `check_signature`
    raises, `Refused` for one that has expired, and `BadInput` naming the entry that is wrong; the models'
    files are not looked at.
    """
    path = folder / MANIFEST
    data = read_limited(path, "manifest", "deploy models to this service")
    if trusted is not None:
        check_signature(path, data, trusted)
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path} is no JSON: {error}") from None
    if not isinstance(content, dict) or content.get("format") not in (FORMAT, FORMAT_BEFORE):
        raise BadInput(f"{path}: format must be {FORMAT} or {FORMAT_BEFORE}")
    models = content.get("models")
    if not isinstance(models, dict) or not models:
        raise BadInput(f"{path}: models is missing or empty", hint="deploy models to this service")
    _refuse_expired(path, content.get("expires_at"))
    return Manifest(
        folder=folder,
        generation=_count(path, "generation", content.get("generation")),
        deployment=str(content.get("deployment", "")),
        entries=tuple(_entry(path, key, models[key], content["format"]) for key in sorted(models)),
        digest=hashlib.sha256(data).hexdigest(),
    )


def _entry(path: Path, key: str, value: Any, version: int) -> Entry:
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
    evaluation = value.get("evaluation")
    if evaluation is not None and not isinstance(evaluation, str):
        raise BadInput(f"{path}: models.{key}.evaluation is no text")
    golden = _golden(path, config, value, version)
    return Entry(config, path.parent / name, sha256, generation, evaluation, golden)


def _golden(path: Path, config: GameConfig, entry: dict[str, Any], version: int) -> Golden | None:
    found = entry.get("golden")
    if found is None and version == FORMAT_BEFORE:
        return None
    try:
        return read_golden(found, config)
    except BadInput as error:
        raise BadInput(f"{path}: models.{config.key}.{error.message}") from None


def _refuse_expired(path: Path, value: Any) -> None:
    if value is None:
        return
    if type(value) not in (int, float):
        raise BadInput(f"{path}: expires_at is no number of seconds")
    if not time.time() < value:
        raise Refused(f"{path} expired at {value} s since 1970", hint="deploy again")


def _count(path: Path, name: str, value: Any) -> int:
    if type(value) is not int or value < 0:
        raise BadInput(f"{path}: {name} is no whole number from 0")
    return value
