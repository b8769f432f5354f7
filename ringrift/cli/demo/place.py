"""Where the demo lives: one folder with the controller's home and two hosts, nothing outside of it."""

from __future__ import annotations

import getpass
import json
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from ringrift.errors import EnvironmentProblem

HOSTS = {"alpha": "127.0.0.2", "beta": "127.0.0.3"}
"""The two hosts and their loopback addresses; Linux answers on the whole of 127.0.0.0/8."""
TARGET = "demo"
TARGET_HOST = "beta"


@dataclass(frozen=True)
class Place:
    """Paths and ports of one demo. Ports are chosen once and kept, so that a second run finds its fleet."""

    root: Path
    ports: dict[str, int]

    @property
    def home(self) -> Path:
        """The controller's RINGRIFT_HOME."""
        return self.root / "controller"

    def host_folder(self, host: str) -> Path:
        return self.root / "hosts" / host

    def install_root(self, host: str) -> Path:
        """Our folder on a host: the `--root` of `hosts add`."""
        return self.host_folder(host) / "ringrift"

    def address(self, host: str) -> str:
        return _address(host)

    def login(self, host: str) -> str:
        """`user@address:port`, as `hosts add --ssh` takes it."""
        return f"{getpass.getuser()}@{self.address(host)}:{self.ports[host]}"


def open_place(root: Path) -> Place:
    """Find or make the demo's folder; ports are free ones of this machine, remembered in `demo.json`."""
    root.mkdir(parents=True, exist_ok=True)
    record = root / "demo.json"
    if record.exists():
        return Place(root, _read_ports(record))
    ports = {name: free_port(_address(name)) for name in HOSTS}
    ports |= {"controller": free_port("127.0.0.1"), TARGET: free_port("127.0.0.1")}
    draft = record.with_suffix(".new")
    draft.write_text(json.dumps({"ports": ports}, indent=2))
    draft.replace(record)
    return Place(root, ports)


def free_port(address: str) -> int:
    """Return a TCP port that nobody listens on at `address` right now."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def _address(host: str) -> str:
    return HOSTS[host] if sys.platform == "linux" else "127.0.0.1"


def _read_ports(record: Path) -> dict[str, int]:
    try:
        ports = json.loads(record.read_text())["ports"]
        return {name: int(ports[name]) for name in (*HOSTS, "controller", TARGET)}
    except (ValueError, KeyError, TypeError) as error:
        raise EnvironmentProblem(f"{record} is damaged", hint="make clean-demo and run it again") from error
