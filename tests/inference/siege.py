"""`make hostile`: hostile requests against a real service, which must bear them all and go on serving.

    python -m tests.inference.siege --requests 100000 --seed 1

Prints one line of JSON. Exit status 1 with the first faults when one was answered by a 5xx other than the
documented overload, when a whole request got no answer, or when the service lost memory or descriptors.
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
import tempfile
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from tests.inference.hostile import Hostile, request

SENDERS = 8
HELD = 40
"""Connections that are left hanging at a time, beside the senders'."""
WARM = 0.2
"""Share of the requests before memory is first looked at: every board and player was used then."""
GROWTH = 24 << 20
"""Bytes that the service may hold more at the end than after the warm share, however many were sent."""
SPARE = 4
"""Descriptors that it may have open more at the end than before."""
_TIMEOUT = 90.0


class Siege:
    """Sends the requests of a seed to a service and keeps what was wrong with the answers."""

    def __init__(self, url: str, seed: int) -> None:
        host, _, port = url.removeprefix("http://").partition(":")
        self.address = host, int(port)
        self.url = url
        self.seed = seed
        self.statuses: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.faults: list[str] = []
        self._held: list[socket.socket] = []
        self._guard = threading.Lock()

    def send(self, numbers: range) -> None:
        with ThreadPoolExecutor(SENDERS) as pool:
            for _ in pool.map(self._one, numbers):
                pass

    def release(self) -> None:
        """Hang up on the connections that were left open."""
        while self._held:
            self._held.pop().close()

    def _one(self, number: int) -> None:
        hostile = request(self.seed, number)
        try:
            head = self._exchange(hostile)
        except TimeoutError:
            head = b"timeout"
        except OSError:
            # The other side hung up while this one still sent: its answer may be lost.
            head = b"" if not hostile.whole else b"reset"
        self._judge(number, hostile, head)

    def _exchange(self, hostile: Hostile) -> bytes:
        """Return the beginning of the answer, nothing where none came."""
        line = socket.create_connection(self.address, timeout=_TIMEOUT)
        if hostile.hold:
            line.sendall(hostile.data)
            with self._guard:
                self._held.append(line)
                late = self._held.pop(0) if len(self._held) > HELD else None
            if late is not None:
                late.close()
            return b""
        with line:
            line.sendall(hostile.data)
            if not hostile.whole:
                line.shutdown(socket.SHUT_WR)
            head = line.recv(4096)
            while line.recv(65536):
                pass
            return head

    def _judge(self, number: int, hostile: Hostile, head: bytes) -> None:
        status = head[9:12].decode("ascii", "replace") if head.startswith(b"HTTP/1.1 ") else head.decode()
        overload = status == "503" and b"retry-after: 1" in head.lower()
        wrong = status.startswith("5") and not overload
        silent = hostile.whole and not head.startswith(b"HTTP/1.1 ")
        with self._guard:
            self.kinds[hostile.kind] += 1
            self.statuses[status or "hung up"] += 1
            if wrong or silent or status == "timeout":
                self.faults.append(f"{hostile.kind} {self.seed}-{number}: {status or 'no answer'}")


def holds(service) -> tuple[int, int]:
    """Return the service's resident bytes, and its open descriptors beside those of this very question."""
    lines = httpx.get(f"{service.url}/metrics", timeout=60).text.splitlines()
    memory = next(line for line in lines if line.startswith("process_resident_memory_bytes "))
    descriptors = Path(f"/proc/{service.process.pid}/fd")
    return int(float(memory.split()[1])), len(list(descriptors.iterdir())) if descriptors.exists() else 0


def besiege(service, requests: int, seed: int) -> dict:
    """Send `requests` requests to a running service; return what came back and what it held."""
    siege = Siege(service.url, seed)
    _, descriptors = holds(service)
    siege.send(range(int(requests * WARM)))
    memory, _ = holds(service)
    siege.send(range(int(requests * WARM), requests))
    siege.release()
    # The service hears of the released ones one after the other, while it answers this.
    after, remaining = min((holds(service) for _ in range(20)), key=lambda held: held[1])
    if after - memory > GROWTH:
        siege.faults.append(f"memory grew by {(after - memory) >> 20} MiB")
    if remaining > descriptors + SPARE:
        siege.faults.append(f"{remaining} descriptors are open, {descriptors} were before")
    return {
        "requests": requests,
        "seed": seed,
        "kinds": dict(sorted(siege.kinds.items())),
        "statuses": dict(sorted(siege.statuses.items())),
        "memory_warm": memory,
        "memory_end": after,
        "descriptors": [descriptors, remaining],
        "faults": siege.faults,
    }


def main(arguments: list[str]) -> int:
    """Start a service with twelve models, besiege it, and tell how it went."""
    from ringrift.game.config import ALL_CONFIGS
    from tests.inference.conftest import Deployment, Service, Shelf, free_port

    parser = argparse.ArgumentParser(prog="python -m tests.inference.siege")
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        shelf = Path(name) / "shelf"
        shelf.mkdir()
        deployment = Deployment(Path(name) / "target", Shelf(shelf))
        deployment.deploy({config.key: 0 for config in ALL_CONFIGS})
        port = free_port()
        service = Service(deployment.folder, "--port", str(port), log=Path(name) / "log")
        try:
            service.wait_until_listening(f"http://127.0.0.1:{port}").wait_until_healthy()
            report = besiege(service, options.requests, options.seed)
            report["healthy"] = service.health()["status"] == "healthy"
            report["tracebacks"] = service.log.read_text().count("Traceback")
        finally:
            report_status = service.stop()
    sys.stdout.write(json.dumps({**report, "faults": report["faults"][:20], "ended": report_status}) + "\n")
    bad = report["faults"] or not report["healthy"] or report["tracebacks"] or report_status
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
