"""A net in onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ringrift.errors import EnvironmentProblem, IncompatibleModel
from ringrift.game.config import GameConfig
from ringrift.nets.features import Buffers
from ringrift.onnx.checkpoint import read_checkpoint
from ringrift.onnx.graph import graph
from ringrift.players.search.net_evaluator import Floats, NetEvaluator

try:
    import onnxruntime
except ImportError:
    raise EnvironmentProblem(
        "the engine onnx needs onnxruntime, which is not installed",
        hint="install it with `pip install 'ringrift[onnx]'`, or use the engine torch",
    ) from None


class Shape(NamedTuple):
    """What `ArchConfig` says of a net that may differ."""

    blocks: int
    channels: int


class OnnxNet:
    """A verified checkpoint, on one CPU thread. May be used by several threads at once.

    What it says of a position does not depend on how many are asked with it (tested bit for bit).
    """

    def __init__(self, path: Path, sha256: str, config_key: str) -> None:
        """Raises what `read_checkpoint` raises, and `IncompatibleModel` for weights of another shape."""
        blocks, channels, weights = read_checkpoint(path, sha256, config_key)
        self.arch = Shape(blocks, channels)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False
        options.log_severity_level = 4
        model = graph(weights, blocks, channels)
        try:
            self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception:  # of many classes, all of them onnxruntime's own
            raise IncompatibleModel(f"the weights in {path} are not those of its architecture") from None

    def evaluator(self, config: GameConfig) -> NetEvaluator:
        """Return what judges leaves by this net; not for several threads."""
        return NetEvaluator(self._compute, config)

    def _compute(self, buffers: Buffers, positions: int, moves: int) -> tuple[Floats, Floats]:
        inputs = {name: getattr(buffers, name)[:positions] for name in ("planes", "scalars")}
        inputs |= {name: getattr(buffers, name)[:moves] for name in ("kinds", "cells", "rows")}
        relative, logits = self.session.run(None, inputs)
        return relative, logits
