"""Checkpoints read without torch: the zip file that `torch.save` writes, with tensors of float32 in it."""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ringrift.errors import CorruptData, IncompatibleModel, NotFound
from ringrift.nets.planes import MOVE_KINDS, PLANES, SCALARS
from ringrift.onnx.listing import read_listing

FORMAT = 1
_ENCODING = {"planes": PLANES, "scalars": SCALARS, "move_kinds": MOVE_KINDS}
_UNREADABLE = (
    zipfile.BadZipFile, zlib.error, EOFError, ValueError, LookupError, TypeError, AttributeError,
    OSError, RuntimeError, NotImplementedError, RecursionError, OverflowError,
)  # fmt: skip
"""What comes of bytes that `torch.save` did not write."""
Weights = dict[str, npt.NDArray[np.float32]]


def read_checkpoint(path: Path, expected_sha256: str, config_key: str) -> tuple[int, int, Weights]:
    """Return blocks, channels and weights of a checkpoint of one config.

    Errors as of `ringrift.nets.checkpoint.load_checkpoint`: `NotFound`, `CorruptData`, `IncompatibleModel`.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise NotFound(f"cannot read checkpoint {path}: {error.strerror}") from None
    found = hashlib.sha256(data).hexdigest()
    if found != expected_sha256:
        raise CorruptData(
            f"checkpoint {path} has SHA-256 {found[:12]}, expected {expected_sha256[:12]}",
            hint="fetch the file again",
        )
    try:
        content = _content(data)
        version, shape = content["format"], dict(content["architecture"])
        made_for, weights = content["metadata"].get("config"), dict(content["weights"])
    except _UNREADABLE:
        raise CorruptData(f"{path} is not a checkpoint") from None
    if version != FORMAT:
        raise IncompatibleModel(f"checkpoint {path} has format {version!r}, not {FORMAT}")
    if made_for != config_key:
        raise IncompatibleModel(f"checkpoint {path} is for {made_for}, not for {config_key}")
    if shape != {**_ENCODING, "blocks": shape.get("blocks"), "channels": shape.get("channels")}:
        raise IncompatibleModel(f"checkpoint {path} was made for another input encoding", hint="retrain it")
    if not all(isinstance(array, np.ndarray) and np.isfinite(array).all() for array in weights.values()):
        raise CorruptData(f"weights of {path} are not finite", hint="the training run diverged")
    return int(shape["blocks"]), int(shape["channels"]), weights


def _content(data: bytes) -> Any:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        (listing,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise ValueError("packed, so that its size is not known")
        folder = listing.removesuffix("data.pkl")
        if archive.read(f"{folder}byteorder") != b"little":
            raise ValueError("big-endian weights")

        def storage(key: str, count: int) -> npt.NDArray[np.float32]:
            return np.frombuffer(archive.read(f"{folder}data/{key}"), np.dtype("<f4"), count)

        return read_listing(archive.read(listing), storage)
