"""A fleet of machines from the sample inventory, its controller, and the figures of bringing it up."""

from __future__ import annotations

import getpass
import platform
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import yaml

from hosts import layout, wheel
from hosts.steps.warmup import STAMP
from ringrift.cli.demo.place import free_port
from tests.chaos import network
from tests.chaos.controller import Controller
from tests.chaos.ledger import Ledger
from tests.chaos.machines import Machine, make_interpreter
from tests.chaos.network import Loopback, Namespaces

REPOSITORY = Path(__file__).resolve().parents[2]
CONFIGS = ("hex8_2p", "square8_2p")
_INSPECTORS = 3
"""Hosts that take inspections; the others only play, since two cores are all that 41 hosts have here."""


@dataclass
class Fleet:
    """Machines by name, and who rules them."""

    controller: Controller
    machines: dict[str, Machine]
    ledger: Ledger
    net: Loopback | Namespaces

    def close(self) -> None:
        """End every process that was started here; in namespaces they end with them."""
        self.ledger.stop()
        self.controller.stop()
        if not network.inside():
            from ringrift.cli.demo import sshd

            for machine in self.machines.values():
                machine.power_off()
                sshd.stop(machine.folder / "sshd")


def build(folder: Path, inventory: Path, hosts: int, latency: float, beat: float, shard: float) -> Fleet:
    """Start machines for the first so many hosts of an inventory, a controller, and import them into it.

    `latency` is a round trip, `beat` between two heartbeats, `shard` what one takes; all in seconds.
    """
    document = yaml.safe_load(inventory.read_text())
    names = list(document["hosts"])[:hosts]
    net = Namespaces(len(names), latency) if network.inside() else Loopback()
    controller = Controller(folder / "controller", free_port("127.0.0.1"))
    controller.prepare(beat)
    controller.start()
    python = make_interpreter(folder, shard)
    kernels = _kernels(folder, controller.home, python)
    machines = {
        name: Machine(name, index, folder / "hosts" / name, net, kernels) for index, name in enumerate(names)
    }
    for machine in list(machines.values())[:: max(2, len(names) // _INSPECTORS)]:
        machine.kinds = ("ingest", "repeat")
    public = (controller.home / "ssh" / "id_ed25519.pub").read_text()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda machine: machine.start(public), machines.values()))
    document["hosts"] = {name: _entry(document["hosts"][name], machines[name], python) for name in names}
    adapted = folder / "hosts.yaml"
    adapted.write_text(yaml.safe_dump(document, sort_keys=False))
    controller.order("hosts", "import", str(adapted))
    return Fleet(controller, machines, Ledger(list(machines.values())), net)


def _entry(entry: dict[str, Any], machine: Machine, python: Path) -> dict[str, Any]:
    """Return a host of the inventory as it stands on this machine; kind, role, provider and spot stay."""
    assert machine.server is not None
    login = {"host": machine.address, "port": machine.server.port, "user": getpass.getuser()}
    return {
        **entry,
        "status": "ready",
        "arch": platform.machine(),
        "gpu": None,
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
        "cpus": psutil.cpu_count(),
        "disk_gb": None,
        "ssh": {**login, "fingerprint": machine.server.fingerprint},
        "install": {"path": str(machine.root), "python": str(python)},
        "network": {"reachability": "direct"},
        "max_parallel_jobs": 1,
    }


def _kernels(folder: Path, home: Path, python: Path) -> Path:
    """Return a folder of compiled kernels for all hosts: those of this checkout, with their stamp."""
    kernels = folder / "kernels"
    kernels.mkdir()
    (kernels / "ringrift").symlink_to(REPOSITORY / "ringrift" / "__pycache__" / "jit")
    # The stamp names the folder by the kernels' digest alone, whatever the root.
    stamp = layout.warm_stamp("/", wheel.build(home).kernels)
    place = kernels / Path(stamp).name
    subprocess.run([str(python), "-I", "-c", STAMP, str(place), str(python), platform.machine()], check=True)
    return kernels


def clean(folder: Path) -> None:
    """Remove a folder that an earlier run left."""
    shutil.rmtree(folder, ignore_errors=True)
