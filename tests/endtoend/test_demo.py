"""The demo as a newcomer runs it, with the controller and an agent killed at bad moments."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

pytestmark = [pytest.mark.endtoend, pytest.mark.timeout(1500)]
WAIT_SECONDS = 900.0


class Demo:
    """One demo in a folder of its own, driven through `ringrift-ctl`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder.with_suffix(".log")

    @property
    def environment(self) -> dict[str, str]:
        clean = {key: value for key, value in os.environ.items() if not key.startswith("RINGRIFT_")}
        return clean | {"RINGRIFT_HOME": str(self.folder / "controller")}

    def ctl(self, *words: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "ringrift.cli.main", *words]
        return subprocess.run(
            argv, env=self.environment, capture_output=True, text=True, timeout=900, check=False
        )

    def start(self) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-m", "ringrift.cli.main", "demo", "--keep", "--folder", str(self.folder)]
        return subprocess.Popen(argv, stdout=self.log.open("ab"), stderr=subprocess.STDOUT)

    def status(self) -> dict[str, Any] | None:
        done = self.ctl("status", "--json")
        return json.loads(done.stdout) if done.returncode == 0 else None

    def jobs(self, kind: str) -> list[dict[str, Any]]:
        done = self.ctl("jobs", "list", "--json")
        listed = json.loads(done.stdout) if done.returncode == 0 else []
        return [job for job in listed if job["kind"] == kind]

    def kill_controller(self) -> None:
        record = json.loads((self.folder / "controller" / "run" / "controller.json").read_text())
        os.kill(record["pid"], signal.SIGKILL)
        psutil.wait_procs([psutil.Process(record["pid"])] if psutil.pid_exists(record["pid"]) else [], 10)

    def restart_controller(self) -> None:
        port = json.loads((self.folder / "demo.json").read_text())["ports"]["controller"]
        done = self.ctl("up", "--detach", "--port", str(port))
        assert done.returncode == 0, done.stderr

    def kill_agent(self, host: str) -> int:
        state = json.loads((self.folder / "hosts" / host / "ringrift/run/services/agent.json").read_text())
        os.kill(state["child"]["pid"], signal.SIGKILL)
        return int(state["child"]["pid"])


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    place = Demo(tmp_path / "demo")
    yield place
    done = place.ctl("demo", "--clean", "--folder", str(place.folder))
    assert done.returncode == 0, done.stderr
    assert not place.folder.exists()


def wait_for(happened: Callable[[], bool], what: str, run: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + WAIT_SECONDS
    while not happened():
        assert run.poll() is None, f"the demo ended before {what}:\n{log.read_text()[-3000:]}"
        assert time.monotonic() < end, f"{what} did not happen:\n{log.read_text()[-3000:]}"
        time.sleep(0.5)


def running(demo: Demo, kind: str) -> bool:
    return any(job["state"] == "leased" and job["host"] for job in demo.jobs(kind))


def test_the_demo_ends_with_a_served_move_though_controller_and_agent_are_killed_twice(demo: Demo) -> None:
    run = demo.start()
    wait_for(lambda: running(demo, "selfplay"), "self-play began", run, demo.log)
    demo.kill_agent("alpha")
    demo.kill_controller()
    demo.restart_controller()
    wait_for(lambda: running(demo, "evaluate"), "evaluation began", run, demo.log)
    demo.kill_controller()
    demo.kill_agent("beta")
    demo.restart_controller()
    assert run.wait(WAIT_SECONDS) == 0, demo.log.read_text()[-3000:]

    status = demo.status()
    assert status is not None
    receipts = status["receipts"]
    assert receipts["games_receipted"] == receipts["games_stored"] > 0
    assert receipts["games_refused"] == 0
    audit = demo.ctl("audit", "verify", "--json")
    assert audit.returncode == 0
    assert json.loads(audit.stdout)["sound"] is True

    again = demo.start()
    assert again.wait(300) == 0, demo.log.read_text()[-3000:]
    assert "has a champion already" in demo.log.read_text()
