"""The network of `ringrift.nets.network` as an ONNX graph, operation by operation."""

from __future__ import annotations

from typing import Any

import numpy as np

from ringrift.errors import IncompatibleModel
from ringrift.nets.planes import MOVE_ROLES, PLANES, SCALARS, SEATS
from ringrift.onnx import proto
from ringrift.onnx.checkpoint import Weights

_AREA_CENTRE, _AREA_SCALE = 14.0, 10.0


def graph(weights: Weights, blocks: int, channels: int) -> bytes:
    """Return the model: `Inputs` by name to `value` (B, 4), chances of the relative seats, and `logits` (M,).

    Raises `IncompatibleModel` when the weights are not exactly those of this shape.
    """
    made = _Graph(weights)
    try:
        value, logits = _network(made, blocks, channels)
    except KeyError as missing:
        raise IncompatibleModel(f"the checkpoint has no weights {missing}") from None
    if made.unused:
        raise IncompatibleModel(f"the checkpoint has weights of no layer: {min(made.unused)}")
    return made.finish(value, logits)


class _Graph:
    """Nodes and tensors on the way; every method returns the name of what it adds."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self.unused = set(weights)
        self._nodes: list[bytes] = []
        self._tensors: list[bytes] = []

    def op(self, kind: str, *inputs: str, **attributes: int | list[int]) -> str:
        name = f"t{len(self._nodes)}"
        self._nodes.append(proto.node(kind, inputs, name, attributes))
        return name

    def constant(self, array: Any) -> str:
        name = f"c{len(self._tensors)}"
        self._tensors.append(proto.tensor(name, array))
        return name

    def ints(self, *numbers: int) -> str:
        return self.constant(np.array(numbers, np.int64))

    def number(self, number: float) -> str:
        return self.constant(np.float32(number))

    def weight(self, name: str) -> str:
        self.unused.discard(name)
        return self.constant(self._weights[name])

    def convolution(self, x: str, name: str, padding: int = 1) -> str:
        weight, bias = self.weight(f"{name}.weight"), self.weight(f"{name}.bias")
        return self.op("Conv", x, weight, bias, pads=[padding] * 4)

    def linear(self, x: str, name: str) -> str:
        return self.op("Gemm", x, self.weight(f"{name}.weight"), self.weight(f"{name}.bias"), transB=1)

    def sum(self, x: str, *axes: int) -> str:
        return self.op("ReduceSum", x, self.ints(*axes), keepdims=0)

    def spread(self, x: str) -> str:
        """(B, C) to (B, C, 1, 1)."""
        return self.op("Unsqueeze", x, self.ints(2, 3))

    def finish(self, value: str, logits: str) -> bytes:
        for name, found in (("value", value), ("logits", logits)):
            self._nodes.append(proto.node("Identity", [found], name, {}))
        real, whole = proto.FLOAT, proto.INT64
        inputs = [
            proto.value("planes", real, ["B", "H", "W", PLANES]),
            proto.value("scalars", real, ["B", SCALARS]),
            proto.value("kinds", whole, ["M"]),
            proto.value("cells", whole, ["M", MOVE_ROLES]),
            proto.value("rows", whole, ["M"]),
        ]
        outputs = [proto.value("value", real, ["B", SEATS]), proto.value("logits", real, ["M"])]
        return proto.model(self._nodes, self._tensors, inputs, outputs)


def _network(g: _Graph, blocks: int, channels: int) -> tuple[str, str]:
    planes = g.op("Transpose", "planes", perm=[0, 3, 1, 2])
    mask = g.op("Slice", planes, g.ints(0), g.ints(1), g.ints(1))
    area = g.sum(mask, 2, 3)
    size = g.op("Div", g.op("Sub", g.op("Sqrt", area), g.number(_AREA_CENTRE)), g.number(_AREA_SCALE))

    def pool(x: str) -> str:
        mean = g.op("Div", g.sum(x, 2, 3), area)
        top = g.op("ReduceMax", x, g.ints(2, 3), keepdims=0)
        return g.op("Concat", mean, g.op("Mul", mean, size), top, axis=1)

    x = g.op("Add", g.convolution(planes, "stem"), g.spread(g.linear("scalars", "stem_scalars")))
    for index in range(blocks):
        y = g.op("Mul", g.op("Relu", x), mask)
        hidden = g.convolution(y, f"blocks.{index}.first")
        if index % 2 == 1:
            hidden = g.op("Add", hidden, g.spread(g.linear(pool(y), f"blocks.{index}.pooling")))
        hidden = g.op("Mul", g.op("Relu", hidden), mask)
        x = g.op("Add", x, g.convolution(hidden, f"blocks.{index}.second"))
    x = g.op("Mul", g.op("Relu", x), mask)
    pooled = pool(x)
    return _value(g, pooled), _policy(g, x, pooled, channels)


def _value(g: _Graph, pooled: str) -> str:
    hidden = g.op("Relu", g.linear(g.op("Concat", pooled, "scalars", axis=1), "value.hidden"))
    seats = g.op("Slice", "scalars", g.ints(0), g.ints(SEATS), g.ints(1))
    absent = g.op("Equal", seats, g.number(0.0))
    logits = g.op("Where", absent, g.number(-np.inf), g.linear(hidden, "value.out"))
    return g.op("Softmax", logits, axis=1)


def _policy(g: _Graph, x: str, pooled: str, channels: int) -> str:
    """Each move's logit, from the vectors of its cells in a table of (B * H * W * roles, channels)."""
    maps = g.op("Transpose", g.convolution(x, "policy.cells", 0), perm=[0, 2, 3, 1])
    table = g.op("Reshape", maps, g.ints(-1, channels))
    shape = g.op("Shape", "planes")
    area = g.op("Mul", g.op("Gather", shape, g.ints(1)), g.op("Gather", shape, g.ints(2)))
    first = g.op("Mul", g.op("Unsqueeze", "rows", g.ints(1)), area)
    cell = g.op("Add", first, g.op("Max", "cells", g.ints(0)))
    roles = g.ints(*range(MOVE_ROLES))
    index = g.op("Add", g.op("Mul", cell, g.ints(MOVE_ROLES)), roles)
    present = g.op("Cast", g.op("GreaterOrEqual", "cells", g.ints(0)), to=proto.FLOAT)
    vectors = g.op("Mul", g.op("Gather", table, index), g.op("Unsqueeze", present, g.ints(2)))
    board = g.op("Gather", g.linear(pooled, "policy.board"), "rows")
    kind = g.op("Gather", g.weight("policy.kind.weight"), "kinds")
    hidden = g.op("Relu", g.op("Add", g.op("Add", g.sum(vectors, 1), kind), board))
    logits = g.sum(g.op("Mul", hidden, g.weight("policy.out")), 1)
    bias = g.op("Squeeze", g.op("Gather", g.weight("policy.kind_bias.weight"), "kinds"), g.ints(1))
    return g.op("Add", logits, bias)
