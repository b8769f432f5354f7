"""The listing in a checkpoint, `data.pkl`, as data: a program of few operations that is walked, never run.

`torch.save` writes it in the form of a pickle. Here its operations make dictionaries, lists, tuples, numbers,
texts and arrays of float32, and nothing else can be named.
"""

from __future__ import annotations

import math
import pickletools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Storage = npt.NDArray[np.float32]
_MAP, _TENSOR, _FLOATS = "collections OrderedDict", "torch._utils _rebuild_tensor_v2", "torch FloatStorage"
_LITERALS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_PLAIN = ("BINUNICODE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT")
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class _Name(str):
    """One of the three names that a listing may hold."""


class _Mark:
    """Where the items of a tuple, list or dictionary begin."""


def read_listing(content: bytes, storage: Callable[[str, int], Storage]) -> Any:
    """Return what a listing says; `storage` gives the numbers of a storage by its key and their count.

    Raises `ValueError`, `LookupError` or `TypeError` for anything that `torch.save` does not write.
    """
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    for operation, argument, _ in pickletools.genops(content):
        name = operation.name
        if name in ("BINPUT", "LONG_BINPUT"):
            memo[argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
        elif name in _PLAIN:
            stack.append(argument)
        elif name == "STOP":
            return stack.pop()
        elif name != "PROTO":
            _build(name, argument, stack, storage)
    raise ValueError("the listing has no end")


def _build(name: str, argument: Any, stack: list[Any], storage: Callable[[str, int], Storage]) -> None:
    """Do an operation that puts something together."""
    if name in _LITERALS:
        stack.append(_LITERALS[name])
    elif name == "MARK":
        stack.append(_Mark())
    elif name in ("EMPTY_DICT", "EMPTY_LIST"):
        stack.append({} if name == "EMPTY_DICT" else [])
    elif name == "TUPLE":
        stack.append(tuple(_since_mark(stack)))
    elif name in _TUPLES:
        stack.append(tuple(reversed([stack.pop() for _ in range(_TUPLES[name])])))
    elif name in ("SETITEM", "SETITEMS"):
        items = [stack.pop(), stack.pop()][::-1] if name == "SETITEM" else _since_mark(stack)
        _of(dict, stack).update(zip(items[::2], items[1::2], strict=True))
    elif name in ("APPEND", "APPENDS"):
        items = [stack.pop()] if name == "APPEND" else _since_mark(stack)
        _of(list, stack).extend(items)
    elif name == "GLOBAL" and argument in (_MAP, _TENSOR, _FLOATS):
        stack.append(_Name(argument))
    elif name == "REDUCE":
        given, made = stack.pop(), stack.pop()
        stack.append(_made(made, given))
    elif name == "BINPERSID":
        kind, numbers, key, _, count = stack.pop()
        if (kind, type(numbers), numbers) != ("storage", _Name, _FLOATS) or not key.isdecimal():
            raise ValueError("no storage of float32")
        stack.append(storage(key, count))
    else:
        raise ValueError(f"{name} {argument} does not belong into a checkpoint")


def _since_mark(stack: list[Any]) -> list[Any]:
    items: list[Any] = []
    while not isinstance(stack[-1], _Mark):
        items.append(stack.pop())
    stack.pop()
    return items[::-1]


def _of(kind: type, stack: list[Any]) -> Any:
    if type(stack[-1]) is not kind:
        raise TypeError(f"no {kind.__name__}")
    return stack[-1]


def _made(name: Any, given: Any) -> Any:
    """Return what a call stands for: an empty dictionary, or a tensor."""
    if type(name) is _Name and name == _MAP and given == ():
        return {}
    if type(name) is _Name and name == _TENSOR:
        return _tensor(*given[:4])
    raise ValueError("a call that does not belong into a checkpoint")


def _tensor(storage: Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> Storage:
    """Return a tensor's numbers; its strides may be those of channels-last memory."""
    counts = (0, offset, *shape, *strides)
    if not isinstance(storage, np.ndarray) or len(shape) != len(strides) or min(counts) < 0:
        raise ValueError("no tensor")
    last = offset + sum((size - 1) * step for size, step in zip(shape, strides, strict=True))
    if math.prod(shape) == 0 or last >= len(storage):
        raise ValueError("a tensor beyond its storage")
    steps = [4 * step for step in strides]
    return np.lib.stride_tricks.as_strided(storage[offset:], shape, steps, writeable=False)
