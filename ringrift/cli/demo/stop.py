"""Stop everything that the demo started: controller, agents, service, SSH servers; each by recorded id."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from hosts.layout import services
from ringrift.cli.demo import sshd
from ringrift.cli.demo.place import HOSTS, Place
from ringrift.cli.demo.shell import console, ctl
from ringrift.client.home import is_alive, read_record
from ringrift.errors import RingRiftError

STOP_SECONDS = 60.0


def stop_everything(place: Place) -> None:
    """Stop the demo's processes, those above first; safe to call again and on a half-made demo.

    Raises `RingRiftError` that names what would not stop, after trying all.
    """
    left = [*_stop_controller(place)]
    for host in HOSTS:
        left += _stop_services(Path(services(str(place.install_root(host)))), host)
        folder = place.host_folder(host) / "sshd"
        if folder.exists():
            sshd.stop(folder)
    if left:
        raise RingRiftError(f"still running: {', '.join(left)}", hint="make clean-demo")


def _stop_controller(place: Place) -> list[str]:
    record = read_record()
    if record is None or not is_alive(record):
        return []
    try:
        ctl(place, "down")
    except RingRiftError as error:
        console.print(error.line(), markup=False)
        return ["the controller"]
    return []


def _stop_services(folder: Path, host: str) -> list[str]:
    """Stop the supervised programs of one host; return those that would not."""
    left = []
    for state in sorted(folder.glob("*.json")):
        name = state.stem
        argv = [sys.executable, "-m", "agents.supervisor", "stop", "--dir", str(folder), "--name", name]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=STOP_SECONDS, check=False)
        if done.returncode:
            console.print(done.stderr.strip(), markup=False)
            left.append(f"{name} on {host}")
    return left
