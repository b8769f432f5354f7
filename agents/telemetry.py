"""What the host looks like now. What cannot be measured, or measures as garbage, is None and never zero."""

from __future__ import annotations

import contextlib
import importlib
import math
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]

from ringrift.protocol.agent import Telemetry

_GPU_SECONDS = 3.0


def measure(folder: Path) -> Telemetry:
    """Measure processors, memory, the disk that holds `folder`, and the first GPU that a driver tells of."""
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
    found |= _gpu_by_library() or _gpu_by_command()
    return Telemetry.model_validate({name: value for name, value in found.items() if _is_sane(value)})


def _pair(name: str, used: int, total: int) -> dict[str, int]:
    """Use a pair only when it can be true."""
    return {f"{name}_used": used, f"{name}_total": total} if 0 <= used <= total and total > 0 else {}


def _is_sane(value: Any) -> bool:
    return isinstance(value, str) or (value is not None and math.isfinite(value) and value >= 0)


def _gpu_by_library() -> dict[str, Any]:
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


def _gpu_by_command() -> dict[str, Any]:
    """Ask `nvidia-smi`, which every driver brings along; nothing where there is none or it hangs."""
    if shutil.which("nvidia-smi") is None:
        return {}
    fields = "name,utilization.gpu,memory.used,memory.total"
    command = ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader,nounits", "--id=0"]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, timeout=_GPU_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return {}
    return parse_gpu(asked.stdout)


def parse_gpu(line: str) -> dict[str, Any]:
    """Read `name, percent, MiB used, MiB in all`; what is no number, as `[N/A]`, is left out."""
    name, *figures = [part.strip() for part in line.strip().split(",")]
    if not name or len(figures) != 3:
        return {}
    percent, used, total = (float(figure) if figure.isdecimal() else None for figure in figures)
    found: dict[str, Any] = {"gpu": name[:80]} | ({} if percent is None else {"gpu_percent": percent})
    if used is not None and total is not None:
        found |= _pair("gpu_memory", int(used) << 20, int(total) << 20)
    return found
