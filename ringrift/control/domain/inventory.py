"""What a host is declared to be, compared with what a look at it found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

GIGA = 1e9
_SAME_MACHINE = {"amd64": "x86_64", "arm64": "aarch64"}
_VARIANTS = {"ti", "super"}
"""Words that make another GPU of the same number."""

ROOM = {"ram_gb": 0.2, "vram_gb": 0.2, "disk_gb": 0.3}
"""How far a size may be from the declared one, as a share of it: firmware and file systems take their part,
and makers and programs mean 10^9 or 2^30 bytes by the same letters."""


class Declared(Protocol):
    """The part of a host's row that a look can confirm; empty or 0 means not declared."""

    kind: str
    arch: str
    gpu: str
    gpu_count: int
    vram_gb: float
    ram_gb: float
    cpus: int
    disk_gb: float


def declared_differences(host: Declared, facts: Mapping[str, Any]) -> tuple[str, ...]:
    """Return in what a machine differs from its declaration, one line each, none when it fits.

    Facts: `os`, `arch`, `cpus`, `ram_bytes`, `disk_total_bytes`, `gpus` (a list of `name` and `vram_bytes`).
    A fact that is missing or None is unknown, which is no difference.
    """
    lines = [_arch(host.arch, facts.get("arch"))]
    if host.cpus and facts.get("cpus") not in (None, host.cpus):
        lines.append(f"cpus: declared {host.cpus}, found {facts['cpus']}")
    lines.append(_size("ram_gb", host.ram_gb, facts.get("ram_bytes")))
    lines.append(_size("disk_gb", host.disk_gb, facts.get("disk_total_bytes")))
    lines += _gpus(host, facts)
    return tuple(line for line in lines if line)


def _arch(declared: str, found: str | None) -> str:
    same = _SAME_MACHINE.get(declared, declared) == _SAME_MACHINE.get(found or "", found)
    return "" if same or not declared or not found else f"arch: declared {declared}, found {found}"


def _size(field: str, declared: float, octets: float | None) -> str:
    """Return the line of a size in GB that is off by more than its room."""
    if not declared or octets is None:
        return ""
    found = octets / GIGA
    if abs(found - declared) <= ROOM[field] * declared:
        return ""
    return f"{field}: declared {declared:g}, found {found:.0f}"


def _gpus(host: Declared, facts: Mapping[str, Any]) -> list[str]:
    """Compare GPUs; on a Mac only those that are listed, since nothing there lists them for sure."""
    found: list[Mapping[str, Any]] | None = facts.get("gpus")
    undeclared = not host.kind and not host.gpu_count
    if found is None or undeclared or (not found and facts.get("os") == "Darwin"):
        return []
    if len(found) != host.gpu_count:
        declared = f"{host.gpu_count} x {host.gpu}" if host.gpu_count else "none"
        names = ", ".join(str(gpu.get("name")) for gpu in found) or "none"
        return [f"gpu: declared {declared}, found {names}"]
    lines = [
        f"gpu: declared {host.gpu}, found {gpu['name']}" for gpu in found if not _same_gpu(host.gpu, gpu)
    ]
    lines += [line for gpu in found if (line := _size("vram_gb", host.vram_gb, gpu.get("vram_bytes")))]
    return list(dict.fromkeys(lines))


def _same_gpu(declared: str, gpu: Mapping[str, Any]) -> bool:
    """Tell whether a driver's name (`NVIDIA GH200 480GB`) can be of the declared model (`GH200`)."""
    if not declared or not gpu.get("name"):
        return True
    wanted, shown = declared.lower().split(), str(gpu["name"]).lower()
    numbers = [word for word in wanted if any(c.isdigit() for c in word)] or wanted[:1]
    words = set(shown.replace("-", " ").split())
    return all(number in shown for number in numbers) and _VARIANTS & set(wanted) == _VARIANTS & words
