from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agents.processes import Process
from agents.supervision import RotatingLog

REPOSITORY = Path(__file__).resolve().parents[2]
SLEEP = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(3600)"]


class Supervisor:
    """Calls the supervisor's command line on one folder."""

    def __init__(self, folder):
        self.folder = folder

    def call(self, verb, *argv, options=(), environment=None):
        command = [
            sys.executable,
            "-m",
            "agents.supervisor",
            verb,
            "--dir",
            str(self.folder),
            "--name",
            "svc",
        ]
        command += ["--pause", "0.01", "--longest-pause", "0.05", *options]
        if argv:
            command += ["--", *argv]
        return subprocess.run(
            command,
            cwd=REPOSITORY,
            env={**os.environ, **(environment or {})},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def answer(self, verb, *argv, **more):
        done = self.call(verb, *argv, **more)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("\n") == 1
        return json.loads(done.stdout)

    def log(self):
        path = self.folder / "svc.log"
        return path.read_text() if path.exists() else ""


@pytest.fixture
def supervisor(tmp_path):
    made = Supervisor(tmp_path / "service")
    yield made
    made.call("stop", options=["--grace", "0.1"])


def test_start_runs_the_program_in_the_background_and_logs_what_it_prints(supervisor, eventually):
    status = supervisor.answer("start", *SLEEP)
    assert status["state"] == "running"
    assert status["argv"] == SLEEP
    assert Process.of(status["pid"]) is not None
    eventually(lambda: "up\n" in supervisor.log(), "the program's output")
    assert supervisor.answer("status") == status


def test_starting_the_same_program_again_changes_nothing(supervisor):
    first = supervisor.answer("start", *SLEEP)
    assert supervisor.answer("start", *SLEEP) == first


def test_starting_another_program_replaces_the_first(supervisor):
    first = supervisor.answer("start", *SLEEP)
    second = supervisor.answer("start", *SLEEP, "other")
    assert second["pid"] != first["pid"]
    assert Process.of(first["pid"]) is None
    assert Process.of(first["supervisor"]) is None


def test_another_release_on_the_import_path_replaces_the_program(supervisor, tmp_path):
    first = supervisor.answer("start", *SLEEP)
    second = supervisor.answer("start", *SLEEP, environment={"PYTHONPATH": str(tmp_path)})
    assert second["pid"] != first["pid"]
    assert Process.of(first["pid"]) is None


def test_a_program_that_crashed_is_started_again_and_counted(supervisor, eventually):
    first = supervisor.answer("start", *SLEEP)
    os.kill(first["pid"], signal.SIGKILL)
    eventually(lambda: supervisor.answer("status")["restarts"] == 1, "the restart")
    second = supervisor.answer("status")
    assert second["supervisor"] == first["supervisor"]
    assert second["pid"] not in (first["pid"], None)
    assert second["last_exit"] == -signal.SIGKILL


def test_pauses_between_restarts_grow_up_to_the_longest(supervisor, eventually):
    supervisor.answer(
        "start", sys.executable, "-c", "raise SystemExit(3)", options=["--longest-pause", "0.04"]
    )
    eventually(lambda: supervisor.log().count("restarting in") >= 4, "four restarts")
    pauses = [line.split()[-2] for line in supervisor.log().splitlines() if "restarting in" in line]
    assert pauses[:4] == ["0.01", "0.02", "0.04", "0.04"]
    assert "ended with exit status 3" in supervisor.log()


def test_stop_ends_the_program_and_what_it_started(supervisor, tmp_path, eventually):
    script = (
        "import pathlib, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(3600)'])\n"
        "pathlib.Path(sys.argv[1]).write_text(str(child.pid))\n"
        "time.sleep(3600)\n"
    )
    status = supervisor.answer("start", sys.executable, "-c", script, str(tmp_path / "grandchild"))
    eventually(
        lambda: (tmp_path / "grandchild").exists() and (tmp_path / "grandchild").read_text(), "its pid"
    )
    grandchild = int((tmp_path / "grandchild").read_text())
    stopped = supervisor.answer("stop")
    assert stopped["state"] == "stopped"
    for pid in (status["pid"], status["supervisor"], grandchild):
        eventually(lambda pid=pid: Process.of(pid) is None, f"the end of {pid}")
    assert supervisor.answer("stop")["state"] == "stopped"


def test_a_program_that_ignores_sigterm_is_killed_after_the_grace(supervisor, eventually):
    script = (
        "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(3600)"
    )
    status = supervisor.answer("start", sys.executable, "-c", script, options=["--grace", "0.1"])
    eventually(lambda: "deaf" in supervisor.log(), "the program")
    supervisor.answer("stop", options=["--grace", "0.1"])
    assert Process.of(status["pid"]) is None
    assert "ended with signal 9" in supervisor.log()


def test_stop_never_signals_a_process_that_was_born_at_another_time(supervisor):
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
    try:
        supervisor.answer("start", *SLEEP)
        supervisor.answer("stop")
        state = json.loads((supervisor.folder / "svc.json").read_text())
        impostor = {"pid": stranger.pid, "born": state["supervisor"]["born"]}
        state |= {"supervisor": impostor, "child": impostor, "state": "running"}
        (supervisor.folder / "svc.json").write_text(json.dumps(state))
        assert supervisor.answer("status")["state"] == "stopped"
        supervisor.answer("stop")
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has PR_SET_PDEATHSIG")
def test_the_program_does_not_outlive_a_killed_supervisor_and_start_works_again(supervisor, eventually):
    first = supervisor.answer("start", *SLEEP)
    os.kill(first["supervisor"], signal.SIGKILL)
    eventually(lambda: Process.of(first["pid"]) is None, "the end of the program")
    assert supervisor.answer("status")["state"] == "stopped"
    assert supervisor.answer("start", *SLEEP)["state"] == "running"


def test_a_program_that_cannot_be_started_is_one_clear_line(supervisor):
    done = supervisor.call("start", "/no/such/program")
    assert done.returncode == 9
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "/no/such/program" in done.stderr
    assert supervisor.answer("status")["state"] == "stopped"


@pytest.mark.parametrize(
    ("verb", "argv", "options"),
    [("start", [], []), ("stop", ["x"], []), ("start", ["x"], ["--name", "../x"])],
)
def test_a_wrong_command_line_is_one_clear_line(supervisor, verb, argv, options):
    done = supervisor.call(verb, *argv, options=options)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def test_status_of_a_service_that_never_was_says_stopped(supervisor):
    assert supervisor.answer("status")["state"] == "stopped"


def test_the_log_never_grows_beyond_two_files_of_its_limit(tmp_path):
    log = RotatingLog(tmp_path / "svc.log", limit=100)
    for number in range(20):
        log.write(f"line {number:03d} {'x' * 20}\n".encode())
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["svc.log", "svc.log.1"]
    assert all(path.stat().st_size <= 100 for path in tmp_path.iterdir())
    assert "line 019" in (tmp_path / "svc.log").read_text()


def test_a_log_that_cannot_be_written_does_not_end_the_program(tmp_path):
    RotatingLog(tmp_path / "missing" / "svc.log").write(b"lost\n")
    assert list(tmp_path.iterdir()) == []
