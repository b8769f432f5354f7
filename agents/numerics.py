"""Under what equal seeds give equal games: the processor and the libraries that compute."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import os
import platform
import subprocess
import sys
from functools import cache
from pathlib import Path

_LIBRARIES = ("torch", "numpy", "numba", "llvmlite")
_TELLING = ("vendor_id", "flags", "CPU implementer", "CPU part", "Features")
"""Lines of /proc/cpuinfo on which libraries choose the code that they run."""


@cache
def numeric_class() -> str:
    """Return one line that is equal on two hosts exactly if the same job gives the same bits on both.

    It errs on the side of difference. Nothing that computes is imported for it.
    """
    libc = "".join(platform.libc_ver()) or platform.release()
    versions = [f"{name}-{_version(name)}" for name in _LIBRARIES]
    threads = os.environ.get("RINGRIFT_TORCH_THREADS", "1")
    return " ".join([platform.machine(), _processor(), libc, *versions, f"threads-{threads}"])[:200]


def _version(library: str) -> str:
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(library)
    return "none"


def _processor() -> str:
    """Return eight hexadecimal digits for what the processor can do."""
    if sys.platform == "darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        text = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    else:
        text = _telling_lines()
    return f"cpu-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _telling_lines() -> str:
    found: dict[str, str] = {}
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() in _TELLING:
                found.setdefault(name.strip(), " ".join(sorted(value.split())))
    return repr(sorted(found.items()))
