"""One host: its sshd, its small disk, its agent's processes, and all the harm that can come to them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from ringrift.cli.demo import sshd
from tests.chaos import network
from tests.chaos.network import Loopback, Namespaces

DISK_BYTES = 48 << 20
_LEFT_BYTES = 1 << 20
"""A filled disk has so much left, so that it is full and not broken."""
STUB = Path(__file__).with_name("stub")


def make_interpreter(folder: Path, seconds: float) -> Path:
    """Return an interpreter with the packages of this one, whose jobs are stand-ins that take so long."""
    env = folder / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(env)], check=True)
    site = next((env / "lib").glob("python3*/site-packages"))
    packages = Path(psutil.__file__).parents[1]
    lines = [f"import site; site.addsitedir({str(packages)!r})", str(STUB), "import chaos_stub"]
    (site / "chaos.pth").write_text("\n".join(lines) + "\n")
    (env / "seconds").write_text(str(seconds))
    return env / "bin" / "python"


@dataclass
class Machine:
    """Host number `index`; `folder` is its disk, where it has one of its own."""

    name: str
    index: int
    folder: Path
    net: Loopback | Namespaces
    kernels: Path
    server: sshd.Sshd | None = None
    kinds: tuple[str, ...] = ("selfplay",)

    @property
    def root(self) -> Path:
        return self.folder / "ringrift"

    @property
    def address(self) -> str:
        return self.net.address(self.index)

    def start(self, public_key: str) -> None:
        """Bring disk, compiled kernels, the agent's kinds and sshd into being."""
        self.folder.mkdir(parents=True)
        if network.inside():
            size = f"size={DISK_BYTES}"
            subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(self.folder)], check=True)
        (self.root / "cache").mkdir(parents=True)
        (self.root / "cache" / "numba").symlink_to(self.kernels)
        (self.root / "agent").mkdir(mode=0o700)
        settings = self.root / "agent" / "agent.json"
        settings.write_text(json.dumps({"host": self.name, "kinds": list(self.kinds)}))
        settings.chmod(0o600)
        (self.folder / "public_key").write_text(public_key)
        self.serve()

    def serve(self) -> None:
        """Have sshd running."""
        port = self.server.port if self.server else 22 if network.inside() else 0
        public = (self.folder / "public_key").read_text()
        _in_thread(self.net, self.index, lambda: self._serve(port, public))

    def _serve(self, port: int, public: str) -> None:
        self.server = sshd.start(
            self.folder / "sshd", self.address, port, public, settings=["LogLevel ERROR"]
        )

    def cut(self) -> None:
        """Cut the link; connections are not closed but silent, as when a cable is pulled."""
        if network.inside():
            self.net.set_link(self.index, up=False)
        else:
            sshd.stop(self.folder / "sshd")

    def mend(self) -> None:
        """Make a cut link whole."""
        if network.inside():
            self.net.set_link(self.index, up=True)
        else:
            self.serve()

    def change_key(self) -> None:
        """Show another host key from now on, as after a reinstallation."""
        sshd.stop(self.folder / "sshd")
        (self.folder / "sshd" / "host_key").unlink()
        self.serve()

    def fill_disk(self) -> None:
        """Use up the disk."""
        free = os.statvfs(self.folder).f_bavail * os.statvfs(self.folder).f_frsize
        with (self.folder / "filler").open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(1, free - _LEFT_BYTES))

    def free_disk(self) -> None:
        """Give the room back."""
        (self.folder / "filler").unlink()

    def kill_agent(self) -> None:
        """Kill the agent; its supervisor goes on."""
        self._kill("child")

    def power_off(self) -> None:
        """Kill supervisor, agent and job at once, as by a reboot of a machine that nothing starts again."""
        self._kill("supervisor", "child")

    def agent(self) -> psutil.Process | None:
        """Return the agent's process while it runs."""
        return next(iter(self._processes("child")), None)

    def _kill(self, *names: str) -> None:
        for process in list(self._processes(*names)):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)

    def _processes(self, *names: str) -> Iterator[psutil.Process]:
        """Yield the recorded processes that still run this host's programs."""
        try:
            state: dict[str, Any] = json.loads((self.root / "run" / "services" / "agent.json").read_bytes())
        except (OSError, ValueError):
            return
        for name in names:
            with contextlib.suppress(psutil.Error, KeyError, TypeError):
                process = psutil.Process(state[name]["pid"])
                if str(self.root) in " ".join(process.cmdline()) and process.status() != psutil.STATUS_ZOMBIE:
                    yield process


def _in_thread(net: Loopback | Namespaces, index: int, work: Callable[[], None]) -> None:
    """Do work in a thread that has joined a host's namespace; namespaces belong to threads."""
    problem: list[BaseException] = []

    def run() -> None:
        try:
            with net.join(index):
                work()
        except BaseException as error:
            problem.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if problem:
        raise problem[0]
