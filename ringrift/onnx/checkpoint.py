"""Checkpoints read without torch: the zip file that `torch.save` writes, with tensors of float32 in it."""

from __future__ import annotations

import hashlib
import io
import math
import pickle
import pickletools
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ringrift.errors import CorruptData, IncompatibleModel, NotFound
from ringrift.nets.planes import MOVE_KINDS, PLANES, SCALARS

FORMAT = 1
_ENCODING = {"planes": PLANES, "scalars": SCALARS, "move_kinds": MOVE_KINDS}
_UNREADABLE = (
    pickle.UnpicklingError, zipfile.BadZipFile, EOFError, ValueError, LookupError, TypeError, AttributeError,
    OSError, RuntimeError, NotImplementedError, RecursionError, OverflowError,
)  # fmt: skip
"""What `pickle` and `zipfile` raise for bytes that `torch.save` did not write."""
_OPERATIONS = frozenset({
    "PROTO", "STOP", "MARK", "EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3",
    "SETITEM", "SETITEMS", "APPEND", "APPENDS", "BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET",
    "BINUNICODE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "NONE", "NEWTRUE", "NEWFALSE",
    "GLOBAL", "REDUCE", "BINPERSID",
})  # fmt: skip
_MEMO = 1_000_000
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
        content = _unpickled(data)
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


def _unpickled(data: bytes) -> Any:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        (listing,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
        folder = listing.removesuffix("data.pkl")
        if archive.read(f"{folder}byteorder") != b"little":
            raise ValueError("big-endian weights")
        content = archive.read(listing)
        _refuse_strange(content)
        return _Reader(archive, folder, content).load()


def _refuse_strange(content: bytes) -> None:
    """Let only those operations through that `torch.save` uses, so that none can ask for endless memory."""
    for operation, argument, _ in pickletools.genops(content):
        if operation.name not in _OPERATIONS or (operation.name.endswith("PUT") and argument > _MEMO):
            raise pickle.UnpicklingError(f"{operation.name} does not belong into a checkpoint")


class _Reader(pickle.Unpickler):
    """Makes dictionaries, numbers, texts and arrays; anything else is refused."""

    def __init__(self, archive: zipfile.ZipFile, folder: str, content: bytes) -> None:
        super().__init__(io.BytesIO(content))
        self._archive, self._folder = archive, folder

    def find_class(self, module: str, name: str) -> Any:
        known: dict[tuple[str, str], Any] = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _tensor,
            ("torch", "FloatStorage"): np.dtype("<f4"),
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"{module}.{name} does not belong into a checkpoint")
        return known[module, name]

    def persistent_load(self, pid: Any) -> Any:
        kind, dtype, key, _, count = pid
        if kind != "storage" or not isinstance(dtype, np.dtype) or not str(key).isdigit():
            raise pickle.UnpicklingError("no storage of float32")
        return np.frombuffer(self._archive.read(f"{self._folder}data/{key}"), dtype, count)


def _tensor(storage: Any, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any) -> Any:
    """Return a tensor's numbers; its strides may be those of channels-last memory."""
    if len(shape) != len(strides) or min((0, *shape, *strides, offset)) < 0:
        raise ValueError("no tensor")
    last = offset + sum((size - 1) * step for size, step in zip(shape, strides, strict=True))
    if math.prod(shape) == 0 or last >= len(storage):
        raise ValueError("a tensor beyond its storage")
    steps = [4 * step for step in strides]
    return np.lib.stride_tricks.as_strided(storage[offset:], shape, steps, writeable=False)
