"""Where the hosts live: network namespaces behind a slow switch, or loopback addresses where root is missing.

Everything is made inside the namespaces that `enter` gave this process, so that the machine sees none of it
and nothing is left when the process ends.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

_INSIDE = "RINGRIFT_CHAOS_INSIDE"
_UNSHARE = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
_CLONE_NEWNET = 0x40000000


def enter(module: str, arguments: list[str]) -> None:
    """Become `module` in namespaces of its own; return when that has come true or where none can be had.

    bash is the first process in there, since somebody has to collect the processes that nobody else does.
    """
    if inside() or not possible():
        return
    inner = [sys.executable, "-m", module, *arguments]
    shell = ["bash", "-c", '"$@"; status=$?; exit $status', "bash"]
    os.execvpe(_UNSHARE[0], [*_UNSHARE, *shell, *inner], {**os.environ, _INSIDE: "1"})


def possible() -> bool:
    """Tell whether this user can make namespaces."""
    try:
        return subprocess.run([*_UNSHARE, "ip", "link"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def inside() -> bool:
    """Tell whether this process lives in namespaces of its own."""
    return bool(os.environ.get(_INSIDE))


class Loopback:
    """Hosts on 127.77.0.0/16: no delay and no cable to pull, so that a cut ends the host's server instead."""

    latency = 0.0

    def address(self, index: int) -> str:
        return f"127.77.{index // 250}.{index % 250 + 1}"

    def join(self, index: int) -> contextlib.AbstractContextManager[None]:
        """Start what belongs to a host within this."""
        return contextlib.nullcontext()

    def set_link(self, index: int, up: bool) -> None:
        """Do nothing: there is no link."""


class Namespaces:
    """One namespace per host at 10.99.0.0/16, a bridge, and the relay between it and this process."""

    def __init__(self, hosts: int, latency: float) -> None:
        """`latency` is the round trip in seconds."""
        self.latency = latency
        run = Path("/run/netns")
        run.mkdir(exist_ok=True)
        _call("mount", "-t", "tmpfs", "tmpfs", str(run))
        _batch(
            None, ["link set lo up", "netns add switch", *(f"netns add h{index}" for index in range(hosts))]
        )
        pid = os.getpid()
        lines = [
            "link add near type veth peer name far",
            f"link add relay type veth peer name eth0 netns {pid}",
        ]
        lines += ["link add br0 type bridge", "link set far master br0"]
        for index in range(hosts):
            lines += [
                f"link add v{index} type veth peer name eth0 netns h{index}",
                f"link set v{index} master br0",
            ]
        lines += [f"link set {name} up" for name in ("near", "far", "relay", "br0")]
        _batch("switch", [*lines, *(f"link set v{index} up" for index in range(hosts))])
        _batch(None, ["addr add 10.99.255.1/16 dev eth0", "link set eth0 up"])
        for index in range(hosts):
            lines = [f"addr add {self.address(index)}/16 dev eth0", "link set eth0 up", "link set lo up"]
            _batch(f"h{index}", lines)
        relay = [sys.executable, str(Path(__file__).with_name("relay.py")), "relay", "near", str(latency / 2)]
        with _joined("switch"):
            subprocess.Popen(relay)

    def address(self, index: int) -> str:
        return f"10.99.{index // 250}.{index % 250 + 1}"

    def join(self, index: int) -> contextlib.AbstractContextManager[None]:
        """Let this thread, and what it starts, be in a host's namespace."""
        return _joined(f"h{index}")

    def set_link(self, index: int, up: bool) -> None:
        """Pull a host's cable, or plug it in."""
        _batch("switch", [f"link set v{index} {'up' if up else 'down'}"])


@contextlib.contextmanager
def _joined(name: str) -> Iterator[None]:
    with Path("/proc/thread-self/ns/net").open() as own, Path(f"/run/netns/{name}").open() as other:
        _setns(other.fileno())
        try:
            yield
        finally:
            _setns(own.fileno())


def _setns(descriptor: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def _call(*argv: str, text: str = "") -> None:
    subprocess.run(argv, input=text, text=True, check=True)


def _batch(namespace: str | None, lines: list[str]) -> None:
    where = ["-n", namespace] if namespace else []
    _call("ip", *where, "-batch", "-", text="\n".join(lines) + "\n")
