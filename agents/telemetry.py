"""What the host looks like now. What cannot be measured, or measures as garbage, is None and never zero."""

from __future__ import annotations

import contextlib
import importlib
import math
import os
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]

from ringrift.protocol.agent import Telemetry


def measure(folder: Path) -> Telemetry:
    """Measure processors, memory, the disk that holds `folder`, and the first GPU if NVML is importable."""
    found: dict[str, Any] = {"cpus": psutil.cpu_count() or None}
    with contextlib.suppress(OSError, AttributeError):
        found["load"] = os.getloadavg()[0]
    with contextlib.suppress(OSError, psutil.Error):
        found["cpu_percent"] = psutil.cpu_percent()
    with contextlib.suppress(OSError, psutil.Error):
        memory = psutil.virtual_memory()
        found |= _pair("memory", memory.total - memory.available, memory.total)
    with contextlib.suppress(OSError):
        disk = psutil.disk_usage(str(folder))
        found |= _pair("disk", disk.total - disk.free, disk.total)
    found |= _gpu()
    return Telemetry.model_validate({name: value for name, value in found.items() if _is_sane(value)})


def _pair(name: str, used: int, total: int) -> dict[str, int]:
    """Use a pair only when it can be true."""
    return {f"{name}_used": used, f"{name}_total": total} if 0 <= used <= total and total > 0 else {}


def _is_sane(value: Any) -> bool:
    return isinstance(value, str) or (value is not None and math.isfinite(value) and value >= 0)


def _gpu() -> dict[str, Any]:
    try:
        nvml: Any = importlib.import_module("pynvml")
    except ImportError:
        return {}
    try:
        nvml.nvmlInit()
        card = nvml.nvmlDeviceGetHandleByIndex(0)
        name = nvml.nvmlDeviceGetName(card)
        memory = nvml.nvmlDeviceGetMemoryInfo(card)
        return {
            "gpu": name if isinstance(name, str) else name.decode(),
            "gpu_percent": float(nvml.nvmlDeviceGetUtilizationRates(card).gpu),
            **_pair("gpu_memory", memory.used, memory.total),
        }
    except nvml.NVMLError:
        return {}
