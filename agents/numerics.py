"""Under what equal seeds give equal games: the processor and the libraries that compute."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import os
import platform
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

_LIBRARIES = ("torch", "numpy", "numba", "llvmlite")
_MAKER = ("vendor_id", "CPU implementer", "CPU part")
_ABLE = ("flags", "Features")
_VECTORS = re.compile(r"(ss?se|avx|fma|f16c|amx|asimd|sve|sme|fp|bf16|i8mm)")
"""Abilities in /proc/cpuinfo by which libraries choose the code that they run."""


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
    found: set[str] = set()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() in _MAKER:
                found.add(" ".join(line.split()))
            elif name.strip() in _ABLE:
                found |= {word for word in value.split() if _VECTORS.match(word)}
    return " ".join(sorted(found))
