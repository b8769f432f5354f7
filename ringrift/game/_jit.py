"""The one way to compile a function of the engine, of the players and of the nets.

`jit` is `numba.njit` with five decisions that hold everywhere:

* Code is generated for the generic CPU of the architecture, so that a compile cache made on one host is
  valid on every other host of that architecture.
* The cache stamp covers every source file of the function's package and of the packages below it. numba's
  own stamp covers only the file of the function, so that after an edit in another file its callers would go
  on returning the old results.
* A call with a constant (`f(x, 0)`) or a narrow integer uses the same machine code as any other call. numba
  alone would compile the function again for every constant and every width.
* Code runs without numba's reference counting. Counting the arrays of a board's tables at every call took
  most of the time; without it, a function that allocates does not compile.
* The stamp also covers the numba version, the optimisation level and the bounds-check flag.

The cache lies beside the source (`ringrift/__pycache__/jit`) and survives copying the tree. Where that folder
cannot be written it lies below the user's cache folder. `NUMBA_CACHE_DIR` overrides both, and
`NUMBA_DISABLE_JIT=1` runs everything as plain Python.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from functools import cache, cached_property
from pathlib import Path
from typing import Any, ClassVar

import numba
from numba.core import config as numba_config
from numba.core import types
from numba.core.caching import CompileResultCacheImpl, FunctionCache, _CacheLocator
from numba.core.runtime import nrtdynmod

numba_config.CPU_NAME = "generic"
numba_config.CPU_FEATURES = ""

PACKAGE = Path(__file__).resolve().parent.parent
LAYERS = ("game", "nets", "players")
"""Packages with compiled functions; each imports only those before it."""

KEPT_STAMPS = 4
"""How many versions of one package's cache are kept, so that a few processes may run different sources."""

compiled: list[Any] = []
"""Every dispatcher made by `jit` in this process, in order of definition."""

_compile_allocator = nrtdynmod.compile_nrt_functions


class _LateAllocator:
    """numba's memory functions, compiled when something is linked with them; nothing of ours is.

    Compiling them at every start took 20 MB and a tenth of the time until the first legal set.
    """

    def __init__(self, context: Any) -> None:
        self._context = context

    @cached_property
    def _library(self) -> Any:
        return _compile_allocator(self._context)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._library, name)


nrtdynmod.compile_nrt_functions = _LateAllocator


@cache
def cache_stamp(layer: str) -> str:
    """Return the SHA-256 of everything that may change the machine code of a function of that package."""
    below = LAYERS[: LAYERS.index(layer) + 1]
    digest = hashlib.sha256()
    settings = (numba.__version__, numba_config.OPT, numba_config.BOUNDSCHECK, numba_config.CPU_NAME)
    digest.update(repr(settings).encode())
    for name in below:
        for path in sorted((PACKAGE / name).rglob("*.py")):
            digest.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0")
            digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()


@cache
def cache_folder(layer: str) -> Path:
    """Return the folder of that package's compiled code; it exists and can be written when this returns."""
    folder = _cache_root() / f"{layer}-{cache_stamp(layer)[:24]}"
    if not folder.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _prune(folder)
    return folder


def _cache_root() -> Path:
    if numba_config.CACHE_DIR:
        return Path(numba_config.CACHE_DIR) / "ringrift"
    beside = PACKAGE / "__pycache__" / "jit"
    try:
        beside.mkdir(parents=True, exist_ok=True)
        if os.access(beside, os.W_OK):
            return beside
    except OSError:
        pass  # a read-only installation
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "ringrift" / "jit"


def _prune(newest: Path) -> None:
    """Remove the oldest caches of the package; a process that still uses one only has to compile again."""
    layer = newest.name.rpartition("-")[0]
    folders = sorted(newest.parent.glob(f"{layer}-*"), key=lambda path: path.stat().st_mtime)
    for folder in folders[:-KEPT_STAMPS]:
        shutil.rmtree(folder, ignore_errors=True)


def _layer_of(function: Callable[..., Any]) -> str:
    return function.__module__.removeprefix("ringrift.").partition(".")[0]


class _PackageLocator(_CacheLocator):
    """Put the functions of one package into one folder, under one stamp."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._layer = _layer_of(function)
        self._name = f"{function.__module__.replace('.', '-')}-{function.__code__.co_firstlineno}"

    def get_cache_path(self) -> str:
        return str(cache_folder(self._layer))

    def get_source_stamp(self) -> str:
        return cache_stamp(self._layer)

    def get_disambiguator(self) -> str:
        return self._name

    @classmethod
    def from_function(cls, py_func: Callable[..., Any], py_file: str) -> _PackageLocator:
        return cls(py_func)


class _PackageCacheImpl(CompileResultCacheImpl):
    _locator_classes: ClassVar[list[type[Any]]] = [_PackageLocator]


class _PackageCache(FunctionCache):
    _impl_class = _PackageCacheImpl


def jit(function: Callable[..., Any]) -> Any:
    """Compile `function` on its first call, or load it from the package's cache.

    Functions of other packages than `LAYERS` (of a test, say) are compiled but not kept.
    """
    dispatcher = numba.njit(nogil=True, error_model="numpy", _nrt=False)(function)
    if numba_config.DISABLE_JIT:
        return dispatcher
    _share_specialisation(dispatcher)
    if _layer_of(function) in LAYERS:
        dispatcher._cache = _PackageCache(function)
    compiled.append(dispatcher)
    return dispatcher


def _plain(argument: Any) -> Any:
    """Return the type of any such value: no constants, and one width for integers."""
    argument = types.unliteral(argument)
    narrow = isinstance(argument, types.Integer) and argument.bitwidth < 64
    return types.int64 if narrow else argument


def _share_specialisation(dispatcher: Any) -> None:
    """Resolve calls from compiled code by the plain types of the arguments; numba converts the values."""
    resolve = dispatcher.get_call_template

    def resolve_plainly(args: tuple[Any, ...], kws: dict[str, Any]) -> Any:
        return resolve(
            tuple(_plain(value) for value in args), {name: _plain(value) for name, value in kws.items()}
        )

    dispatcher.get_call_template = resolve_plainly


def disable_compile() -> None:
    """Turn a forgotten specialisation into an error instead of a silent half minute of compiling.

    To be called after warming up: functions that nothing has called yet may still be loaded or compiled.
    """
    for dispatcher in compiled:
        if dispatcher.signatures:
            dispatcher.disable_compile()
