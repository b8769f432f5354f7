"""The one way to compile a function of the engine, of the players and of the nets.

`jit` is `numba.njit` with three decisions that hold everywhere:

* Code is generated for the generic CPU of the architecture, so that a compile cache made on one host is
  valid on every other host of that architecture.
* The cache stamp covers every source file of the compiled packages. numba's own stamp covers only the file of
  the function, so that after an edit in another file its callers would go on returning the old results.
* The stamp also covers the numba version, the optimisation level and the bounds-check flag.

The cache lies beside the source (`ringrift/__pycache__/jit`) and survives copying the tree. Where that folder
cannot be written it lies below the user's cache folder. `NUMBA_CACHE_DIR` overrides both, and
`NUMBA_DISABLE_JIT=1` runs everything as plain Python.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba.core import config as numba_config
from numba.core.caching import CompileResultCacheImpl, FunctionCache, _CacheLocator

numba_config.CPU_NAME = "generic"
numba_config.CPU_FEATURES = ""

PACKAGE = Path(__file__).resolve().parent.parent
COMPILED_PACKAGES = ("game", "players", "nets")

compiled: list[Any] = []
"""Every dispatcher made by `jit` in this process, in order of definition."""


@cache
def cache_stamp() -> str:
    """Return the SHA-256 of everything that may change the machine code of any compiled function."""
    digest = hashlib.sha256()
    settings = (numba.__version__, numba_config.OPT, numba_config.BOUNDSCHECK, numba_config.CPU_NAME)
    digest.update(repr(settings).encode())
    for name in COMPILED_PACKAGES:
        for path in sorted((PACKAGE / name).rglob("*.py")):
            digest.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0")
            digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()


@cache
def cache_folder() -> Path:
    """Return the folder of the compile cache; it exists and can be written when this returns."""
    if numba_config.CACHE_DIR:
        folder = Path(numba_config.CACHE_DIR) / "ringrift"
    else:
        folder = PACKAGE / "__pycache__" / "jit"
        if not _can_write(folder):
            home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
            folder = Path(home) / "ringrift" / "jit" / cache_stamp()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _can_write(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


class _PackageLocator(_CacheLocator):  # type: ignore[misc]
    """Put every function's cache into one folder, under one stamp for the whole package."""

    def __init__(self, py_func: Callable[..., Any], py_file: str) -> None:
        module = py_func.__module__.rpartition("ringrift.")[2]
        self._name = module.replace(".", "-")
        self._line = py_func.__code__.co_firstlineno

    def get_cache_path(self) -> str:
        return str(cache_folder())

    def get_source_stamp(self) -> str:
        return cache_stamp()

    def get_disambiguator(self) -> str:
        return f"{self._name}-{self._line}"

    @classmethod
    def from_function(cls, py_func: Callable[..., Any], py_file: str) -> _PackageLocator:
        return cls(py_func, py_file)


class _PackageCacheImpl(CompileResultCacheImpl):  # type: ignore[misc]
    _locator_classes = [_PackageLocator]


class _PackageCache(FunctionCache):  # type: ignore[misc]
    _impl_class = _PackageCacheImpl


def jit(function: Callable[..., Any]) -> Any:
    """Compile `function` on its first call, or load it from the package's cache."""
    dispatcher = numba.njit(nogil=True, error_model="numpy")(function)
    if numba_config.DISABLE_JIT:
        return dispatcher
    dispatcher._cache = _PackageCache(function)
    compiled.append(dispatcher)
    return dispatcher


def disable_compile() -> None:
    """Turn a forgotten specialisation into an error instead of a silent half minute of compiling."""
    for dispatcher in compiled:
        dispatcher.disable_compile()
