"""Checkpoints: one `.pth` file, named and trusted by the SHA-256 of its bytes.

A file holds `{"format", "architecture", "metadata", "weights"}` written by `torch.save`; the same weights and
metadata give the same bytes. Reading checks the hash of the very bytes that are then parsed.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import torch

from ringrift.errors import BadInput, CorruptData, EnvironmentProblem, IncompatibleModel, NotFound
from ringrift.game.config import GameConfig
from ringrift.nets.network import ArchConfig, RingRiftNet

FORMAT = 1
UNREADABLE = (
    RuntimeError, pickle.UnpicklingError, zipfile.BadZipFile, EOFError, ValueError, LookupError, TypeError,
    AttributeError,
)  # fmt: skip
"""What `torch.load` raises for bytes that it did not write."""

METADATA = ("config", "parent", "dataset", "recipe")
"""Entries that metadata must have; more are allowed. `parent` and `dataset` are a SHA-256 or None."""


def save_checkpoint(path: Path, net: RingRiftNet, metadata: dict[str, Any]) -> str:
    """Write the net atomically and return the SHA-256 of the file.

    `metadata` must be JSON-like and hold `METADATA`; `BadInput` names what is missing, `CorruptData` refuses
    weights that are not finite, `EnvironmentProblem` tells that the disk did not take the file.
    """
    missing = [name for name in METADATA if name not in metadata]
    if missing:
        raise BadInput(f"checkpoint metadata lacks {', '.join(missing)}")
    GameConfig.parse(metadata["config"])
    _check_finite(net, str(path))
    content = {
        "format": FORMAT,
        "architecture": net.arch.to_dict(),
        "metadata": _plain(metadata),
        "weights": {name: tensor.detach().cpu().contiguous() for name, tensor in net.state_dict().items()},
    }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    _write(path, buffer.getvalue())
    return hashlib.sha256(buffer.getvalue()).hexdigest()


def load_checkpoint(path: Path, expected_sha256: str, config_key: str) -> tuple[RingRiftNet, dict[str, Any]]:
    """Read a checkpoint; return the net in evaluation mode and its metadata, `architecture` and `format` too.

    Errors: `NotFound` no such file; `CorruptData` other bytes than expected, or not a checkpoint;
    `IncompatibleModel` made for another config, by another format version, or of an unknown architecture.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise NotFound(f"cannot read checkpoint {path}: {error.strerror}") from error
    digest = hashlib.sha256(data).hexdigest()
    if digest != expected_sha256:
        raise CorruptData(
            f"checkpoint {path} has SHA-256 {digest[:12]}, expected {expected_sha256[:12]}",
            hint="fetch the file again",
        )
    content = _parse(data, path)
    made_for = content["metadata"].get("config")
    if made_for != config_key:
        raise IncompatibleModel(f"checkpoint {path} is for {made_for}, not for {config_key}")
    arch = ArchConfig.from_dict(content["architecture"])
    if arch != ArchConfig(blocks=arch.blocks, channels=arch.channels):
        raise IncompatibleModel(f"checkpoint {path} was made for another input encoding", hint="retrain it")
    net = RingRiftNet(arch)
    try:
        net.load_state_dict(content["weights"], strict=True)
    except RuntimeError as error:
        raise IncompatibleModel(f"the weights in {path} are not those of its architecture") from error
    _check_finite(net, str(path))
    described = {"architecture": arch.to_dict(), "format": FORMAT}
    return net.eval(), {**content["metadata"], **described}


def _plain(metadata: dict[str, Any]) -> dict[str, Any]:
    """Return metadata as plain JSON values with sorted keys, so that equal metadata are equal bytes."""
    try:
        plain: dict[str, Any] = json.loads(json.dumps(metadata, sort_keys=True, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise BadInput(f"checkpoint metadata is not plain JSON: {error}") from error
    return plain


def _check_finite(net: RingRiftNet, where: str) -> None:
    for name, tensor in net.state_dict().items():
        if not torch.isfinite(tensor).all():
            raise CorruptData(f"weights {name} of {where} are not finite", hint="the training run diverged")


def _parse(data: bytes, path: Path) -> dict[str, Any]:
    try:
        content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        raise CorruptData(f"{path} is not a checkpoint") from error
    wanted = {"format": int, "architecture": dict, "metadata": dict, "weights": dict}
    if not isinstance(content, dict) or set(content) != set(wanted):
        raise CorruptData(f"{path} is not a checkpoint of RingRift")
    if content["format"] != FORMAT:
        raise IncompatibleModel(f"checkpoint {path} has format {content['format']!r}, not {FORMAT}")
    for name, kind in wanted.items():
        if not isinstance(content[name], kind):
            raise CorruptData(f"entry {name} of checkpoint {path} is malformed")
    return content


def _write(path: Path, data: bytes) -> None:
    """Put the file in place as a whole or not at all, on disk when this returns."""
    path = Path(path)
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise EnvironmentProblem(f"cannot write checkpoint {path}: {error.strerror}") from error
