"""The encoder of positions without torch: its module names torch, for views that only torch needs."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

_ENCODER, _NETWORK, _TORCH = "ringrift.nets.features", "ringrift.nets.network", "torch"


class _Later(ModuleType):
    """Stands for a module that is imported when something of it is called."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *given: getattr(importlib.import_module(self.__name__), name)(*given)


def encoder() -> ModuleType:
    """Return `ringrift.nets.features`; whoever asks it for torch's views imports torch then."""
    known = sys.modules.get(_ENCODER)
    if known is not None:
        return known
    absent = [name for name in (_TORCH, _NETWORK) if name not in sys.modules]
    sys.modules.update({name: _Later(name) for name in absent})
    try:
        return importlib.import_module(_ENCODER)
    finally:
        for name in absent:
            del sys.modules[name]
