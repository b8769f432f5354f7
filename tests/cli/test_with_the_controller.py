"""The real controller over SQLite, started and stopped from the shell."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner, Result

from ringrift.client.home import ControllerRecord, is_alive

CTL = [sys.executable, "-m", "ringrift.cli.main"]


def ctl(home: Path, *words: str) -> Result:
    """Run a command line for a home in this process."""
    from ringrift.cli.main import app

    return CliRunner().invoke(app, list(words), prog_name="ringrift-ctl", env={"RINGRIFT_HOME": str(home)})


def up(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `up --detach` as its own process, as a person does."""
    environment = os.environ | {"RINGRIFT_HOME": str(home)}
    command = [*CTL, "up", "--detach", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, object]]]:
    home = tmp_path_factory.mktemp("c") / "h"
    found = up(home, "--port", "0", "--json")
    assert found.returncode == 0, found.stderr
    yield home, json.loads(found.stdout)
    ctl(home, "down")


def test_up_detach_waits_until_the_controller_answers(started) -> None:
    home, told = started
    found = ctl(home, "status", "--json")
    assert json.loads(found.stdout)["controller"]["pid"] == told["pid"]


def test_a_second_up_says_that_it_runs_already(started) -> None:
    home, told = started
    found = ctl(home, "up", "--json")
    assert found.exit_code == 0
    assert json.loads(found.stdout) == {"url": told["url"], "pid": told["pid"], "started": False}
    assert "already running" in found.stderr


def test_a_backup_is_taken_listed_and_restored_on_another_home(started, tmp_path: Path) -> None:
    home, _ = started
    place, new = str(tmp_path / "backups"), str(tmp_path / "new")
    taken = ctl(home, "backup", "--to", place, "--json")
    assert taken.exit_code == 0, taken.stderr
    told = json.loads(taken.stdout)
    assert told["state"] == "verified" and told["place"] == place
    assert [row["id"] for row in json.loads(ctl(home, "backup", "list", "--json").stdout)] == [told["id"]]
    plan = ctl(home, "restore", place, "--home", new, "--dry-run", "--json")
    assert json.loads(plan.stdout)["id"] == told["id"] and not Path(new).exists()
    done = ctl(home, "restore", place, "--home", new, "--json")
    assert done.exit_code == 0 and json.loads(done.stdout)["id"] == told["id"]
    assert "the SSH key is not in the backup" in done.stderr
    again = ctl(home, "restore", place, "--home", new)
    assert again.exit_code == 4 and "is not empty" in again.stderr
    refused = ctl(home, "backup", "--to", "ftp://host/x")
    assert refused.exit_code == 2, refused.stderr
    assert ctl(home, "restore", str(tmp_path / "none"), "--home", new).exit_code == 5


def test_retention_shows_what_would_go_and_asks_before_it_does(started) -> None:
    home, _ = started
    plan = ctl(home, "retention", "--dry-run", "--json")
    assert json.loads(plan.stdout)["deleted"] == 0
    assert ctl(home, "retention").exit_code == 4
    assert ctl(home, "retention", "--yes", "--json").exit_code == 0


def test_every_reading_verb_understands_the_real_answers(started) -> None:
    home, _ = started
    for line in ("hosts list", "configs list", "models list", "jobs list", "evaluate list", "targets list",
                 "games list", "events", "why hex8_2p", "configs show hex8_2p", "audit verify",
                 "doctor"):  # fmt: skip
        found = ctl(home, *line.split(), "--json")
        assert found.exit_code == 0, (line, found.stderr)
        assert json.loads(found.stdout) is not None


def test_a_config_is_enabled_and_the_event_says_by_whom(started) -> None:
    home, _ = started
    assert ctl(home, "configs", "enable", "hex8_2p").exit_code == 0
    events = json.loads(ctl(home, "events", "--json").stdout)
    assert any(event["subject"] == "hex8_2p" and event["actor"].endswith("(shell)") for event in events)
    assert ctl(home, "audit", "verify").exit_code == 0


def test_a_promotion_without_evidence_is_refused_with_status_four(started) -> None:
    home, _ = started
    found = ctl(home, "promote", "hex8_2p", "--yes")
    assert (found.exit_code, found.stderr.strip().splitlines()[-1][:15]) == (4, "error: hex8_2p:")


def test_a_host_that_does_not_answer_is_unreachable(started) -> None:
    home, _ = started
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        found = ctl(home, "hosts", "add", "nobody", "--ssh", f"ring@127.0.0.1:{port}")
    assert found.exit_code == 6, found.stderr


def test_a_port_in_use_is_told_with_status_nine(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        found = up(tmp_path / "h", "--port", str(taken.getsockname()[1]))
    assert found.returncode == 9
    assert "cannot be used" in found.stderr
    assert not (tmp_path / "h" / "run" / "controller.json").exists()


def test_down_stops_exactly_the_recorded_process(tmp_path: Path) -> None:
    home = tmp_path / "h"
    pid = json.loads(up(home, "--port", "0", "--json").stdout)["pid"]
    record = ControllerRecord(pid, time.time(), "")
    assert is_alive(record)
    assert json.loads(ctl(home, "down", "--json").stdout) == {"stopped": True, "pid": pid}
    assert not is_alive(record)
    assert json.loads(ctl(home, "down", "--json").stdout) == {"stopped": False, "pid": None}


def test_down_never_signals_a_process_that_only_has_the_recorded_id(tmp_path: Path) -> None:
    bystander = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE
    )
    run = tmp_path / "h" / "run"
    run.mkdir(parents=True)
    born = psutil.Process(bystander.pid).create_time()
    record = {"pid": bystander.pid, "started": born - 600, "url": "http://127.0.0.1:9"}
    (run / "controller.json").write_text(json.dumps(record))
    assert ctl(tmp_path / "h", "down").exit_code == 0
    assert bystander.poll() is None
    bystander.communicate(b"")
