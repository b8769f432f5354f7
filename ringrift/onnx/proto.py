"""As much of the ONNX format as one graph needs, written as protocol buffers (onnx.proto, IR version 10)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

FLOAT, INT64 = 1, 7
IR, OPSET = 10, 18
_INT, _INTS = 2, 7
Dimensions = Sequence[int | str]


def tensor(name: str, array: npt.NDArray[np.float32] | npt.NDArray[np.int64]) -> bytes:
    """Return a TensorProto; `array` holds float32 or int64."""
    kind = FLOAT if array.dtype == np.float32 else INT64
    dims = b"".join(_number(1, size) for size in array.shape)
    return dims + _number(2, kind) + _text(8, name) + _bytes(9, np.ascontiguousarray(array).tobytes())


def node(kind: str, inputs: Iterable[str], output: str, attributes: dict[str, int | list[int]]) -> bytes:
    """Return a NodeProto with one output."""
    told = b"".join(_bytes(5, _attribute(*item)) for item in attributes.items())
    return b"".join(_text(1, name) for name in inputs) + _text(2, output) + _text(4, kind) + told


def value(name: str, kind: int, dimensions: Dimensions) -> bytes:
    """Return the ValueInfoProto of an input or output; a dimension is a number or a name."""
    shape = b"".join(
        _bytes(1, _number(1, size) if isinstance(size, int) else _text(2, size)) for size in dimensions
    )
    return _text(1, name) + _bytes(2, _bytes(1, _number(1, kind) + _bytes(2, shape)))


def model(
    nodes: Sequence[bytes], tensors: Sequence[bytes], inputs: Sequence[bytes], outputs: Sequence[bytes]
) -> bytes:
    """Return the ModelProto of a graph."""
    parts = [(1, nodes), (5, tensors), (11, inputs), (12, outputs)]
    graph = _text(2, "net") + b"".join(_bytes(field, item) for field, items in parts for item in items)
    return _number(1, IR) + _bytes(7, graph) + _bytes(8, _text(1, "") + _number(2, OPSET))


def _attribute(name: str, given: int | list[int]) -> bytes:
    if isinstance(given, int):
        return _text(1, name) + _number(3, given) + _number(20, _INT)
    return _text(1, name) + b"".join(_number(8, item) for item in given) + _number(20, _INTS)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _number(field: int, number: int) -> bytes:
    return _varint(field << 3) + _varint(number)


def _bytes(field: int, data: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _text(field: int, text: str) -> bytes:
    return _bytes(field, text.encode())
