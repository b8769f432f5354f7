"""A net in onnxruntime, and its judgement of leaves."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ringrift.errors import EnvironmentProblem, IncompatibleModel
from ringrift.game.config import GameConfig
from ringrift.game.geometry import geometry
from ringrift.nets import features
from ringrift.nets.grid import grid
from ringrift.onnx.checkpoint import read_checkpoint
from ringrift.onnx.graph import graph
from ringrift.players.search.forest import Leaves

try:
    import onnxruntime
except ImportError:
    raise EnvironmentProblem(
        "the engine onnx needs onnxruntime, which is not installed",
        hint="install it with `pip install 'ringrift[inference,onnx]'`, or use the engine torch",
    ) from None

CHUNK = 16
"""Most positions per call. A position's result does not depend on how many there are (tested bit for bit)."""


class Shape(NamedTuple):
    """What `ArchConfig` says of a net that may differ."""

    blocks: int
    channels: int


class OnnxNet:
    """A verified checkpoint, on one CPU thread. May be used by several threads at once."""

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

    def evaluator(self, config: GameConfig) -> OnnxEvaluator:
        """Return what judges leaves by this net; not for several threads."""
        return OnnxEvaluator(self, config)


class OnnxEvaluator:
    """Values and priors of a net, an `Evaluator` as `ringrift.players.search.net_evaluator` is one."""

    def __init__(self, net: OnnxNet, config: GameConfig) -> None:
        self.run = net.session.run
        self.geo = geometry(config.board)
        self.cells = grid(config.board).cells
        self.orientations = np.zeros(CHUNK, np.int64)
        self.buffers = features.new_buffers(config.board, CHUNK, CHUNK * self.geo.max_moves)

    def evaluate(self, states: npt.NDArray[np.void], leaves: Leaves, count: int) -> None:
        """Judge the first `count` leaves."""
        for first in range(0, count, CHUNK):
            self._evaluate_chunk(states, leaves, first, min(first + CHUNK, count))

    evaluate_roots = evaluate

    def _evaluate_chunk(self, states: npt.NDArray[np.void], leaves: Leaves, first: int, last: int) -> None:
        begin, end = int(leaves.offsets[first]), int(leaves.offsets[last])
        nodes, moves = leaves.node[first:last], leaves.moves[begin:end]
        offsets = leaves.offsets[first : last + 1] - begin
        into = self.buffers
        features.encode_into(self.geo, self.cells, self.orientations, states, nodes, moves, offsets, into)
        inputs = {name: getattr(into, name)[: last - first] for name in ("planes", "scalars")}
        inputs |= {name: getattr(into, name)[: end - begin] for name in ("kinds", "cells", "rows")}
        relative, logits = self.run(None, inputs)
        leaves.logits[begin:end] = logits
        features.to_absolute(states, nodes, relative, leaves.values[first:last])
