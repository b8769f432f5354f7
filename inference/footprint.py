"""Less to wait for at the start and less memory afterwards; nothing of it changes an answer."""

from __future__ import annotations

import ctypes
import gc

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_LARGE = 4 << 20
"""Bytes. Larger blocks, search trees above all, lie apart: what is not used of them is no memory, and the
rest goes back when they are freed. Smaller ones, a net's buffers, are kept for the next use."""


def rest() -> None:
    """Call before anything heavy is imported: collect no cycles meanwhile, and bound what malloc keeps.

    By itself the GNU C library learns from the first freed tree to keep every such block for ever.
    """
    gc.disable()
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(_M_MMAP_THRESHOLD, _LARGE)
        library.mallopt(_M_TRIM_THRESHOLD, 2 * _LARGE)
        library.mallopt(_M_ARENA_MAX, 1)


def settle() -> None:
    """Call when all is imported and compiled: collect from now on, but never look through that again."""
    gc.freeze()
    gc.enable()


def trim() -> None:
    """Call when models were loaded: give back what loading left unused."""
    library = ctypes.CDLL(None)
    if hasattr(library, "malloc_trim"):
        library.malloc_trim(0)
