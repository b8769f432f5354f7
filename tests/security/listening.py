"""What a process and its children listen on, as the kernel tells it in /proc/net."""

from __future__ import annotations

import ipaddress
from contextlib import suppress
from pathlib import Path

import psutil

_LISTEN, _ACCEPTS, _UNCONNECTED = "0A", 0x10000, "07"


def listening(pid: int) -> set[str]:
    """Return `tcp ADDRESS:PORT`, `udp ADDRESS:PORT` or `unix PATH` of every socket that takes what comes."""
    process = psutil.Process(pid)
    inodes = {inode for each in (process, *process.children(recursive=True)) for inode in _sockets(each.pid)}
    net = Path(f"/proc/{pid}/net")
    found = set[str]()
    for name, state in (("tcp", _LISTEN), ("tcp6", _LISTEN), ("udp", _UNCONNECTED), ("udp6", _UNCONNECTED)):
        for line in _lines(net / name):
            part = line.split()
            if part[3] == state and part[9] in inodes:
                found.add(f"{name} {_address(part[1])}")
    for line in _lines(net / "unix"):
        part = line.split(maxsplit=7)
        if part[6] in inodes and int(part[3], 16) & _ACCEPTS:
            found.add(f"unix {part[7] if len(part) > 7 else '(no name)'}")
    return found


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines()[1:] if path.exists() else []


def _sockets(pid: int) -> set[str]:
    found = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            target = str(link.readlink())
            if target.startswith("socket:["):
                found.add(target[8:-1])
    return found


def _address(text: str) -> str:
    """Read `0100007F:1F90`: words of four bytes, each in the order of the machine."""
    place, port = text.split(":")
    words = [bytes.fromhex(place[at : at + 8])[::-1] for at in range(0, len(place), 8)]
    return f"{ipaddress.ip_address(b''.join(words))}:{int(port, 16)}"
