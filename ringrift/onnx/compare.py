"""How far onnxruntime is from torch, on the golden positions of a net: evidence for the gate."""

from __future__ import annotations

import importlib.util
import logging
import math
from pathlib import Path

from ringrift.errors import RingRiftError
from ringrift.game.config import GameConfig
from ringrift.golden import Golden, difference, measure

_log = logging.getLogger("ringrift.onnx")
_FARTHEST = 1e9


def compared(path: Path, sha256: str, config: GameConfig, vectors: Golden) -> float | None:
    """Return the largest difference between `vectors`, which torch gave, and what onnxruntime says.

    None where onnxruntime is not installed or cannot compute the checkpoint: nothing was shown then.
    """
    if importlib.util.find_spec("onnxruntime") is None:
        return None
    from ringrift.onnx.net import OnnxNet

    try:
        found, _ = difference(vectors, measure(OnnxNet(path, sha256, config.key), config))
    except RingRiftError as error:
        _log.warning("onnxruntime does not compute %s: %s", sha256[:12], error.line())
        return None
    return found if math.isfinite(found) else _FARTHEST
