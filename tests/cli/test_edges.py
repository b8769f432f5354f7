"""The outer edge: faults of ours, interruption, closed pipes, and the wording of values."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from ringrift.client import display, routes
from ringrift.client.marks import mark
from ringrift.errors import BadInput
from ringrift.protocol.hosts import HostAdd

CTL = [sys.executable, "-m", "ringrift.cli.main"]


def test_a_fault_of_ours_is_one_line_and_its_details_are_in_the_log(
    run, own_home: Path, world, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "status", lambda: 1 // 0)
    result = run("status")
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "unexpected ZeroDivisionError" in result.stderr
    log = own_home / "logs" / "cli.log"
    assert "Traceback" in log.read_text()
    assert log.stat().st_mode & 0o077 == 0


def test_a_home_that_cannot_be_written_loses_the_details_but_not_the_line(
    run, tmp_path: Path, world, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RINGRIFT_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(routes, "status", lambda: 1 // 0)
    result = run("status")
    assert result.exit_code == 1
    assert "no details kept" in result.stderr


def test_ctrl_c_ends_with_130_and_without_a_traceback(own_home: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        silent.settimeout(30)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        environment = os.environ | {"RINGRIFT_URL": url, "RINGRIFT_TOKEN": "t" * 20}
        program = subprocess.Popen(
            [*CTL, "status"],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # nohup and `&` have it ignored
        )
        connection, _ = silent.accept()
        connection.recv(1)
        program.send_signal(signal.SIGINT)
        _, told = program.communicate(timeout=30)
        connection.close()
    assert program.returncode == 130
    assert "Traceback" not in told


def test_a_reader_that_closes_the_pipe_early_gets_no_traceback(world, own_home: Path) -> None:
    program = subprocess.Popen(
        [*CTL, "hosts", "list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert program.stdout is not None
    program.stdout.close()
    assert program.stderr is not None
    told = program.stderr.read()
    program.wait(timeout=30)
    assert "Traceback" not in told


def test_the_console_script_ends_with_the_status_of_the_error(own_home: Path) -> None:
    found = subprocess.run([*CTL, "status"], capture_output=True, text=True, timeout=60)
    assert found.returncode == 6
    assert found.stderr.startswith("error: no controller runs for")


def test_the_terminal_without_a_terminal_is_a_usage_error(run, own_home: Path) -> None:
    result = run("tui")
    assert result.exit_code == 2
    assert "needs a terminal" in result.stderr
    assert not own_home.exists()


def test_doctor_says_what_to_do_about_a_home_without_controller(run, own_home: Path) -> None:
    result = run("doctor")
    assert result.exit_code == 9
    assert "start it with `ringrift-ctl up`" in result.stdout
    assert "not as needed: controller" in result.stderr


def test_doctor_finds_a_token_that_others_can_read(run, own_home: Path) -> None:
    own_home.mkdir()
    (own_home / "operator.token").write_text("x" * 20)
    (own_home / "operator.token").chmod(0o644)
    assert f"chmod 600 {own_home / 'operator.token'}" in run("doctor").stdout


def test_doctor_names_a_database_that_is_newer_than_the_code(run, own_home: Path) -> None:
    own_home.mkdir(parents=True, exist_ok=True)
    with sqlite3.connect(own_home / "ringrift.db") as database:
        database.execute("CREATE TABLE alembic_version (version_num TEXT)")
        database.execute("INSERT INTO alembic_version VALUES ('9999')")
    result = run("doctor")
    assert result.exit_code == 9 and "schema 9999, newer than this code" in result.stdout
    with sqlite3.connect(own_home / "ringrift.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '0001'")
    assert "schema 0001" in run("doctor").stdout


@pytest.mark.parametrize(
    ("file", "content", "status"),
    [
        ("config.toml", "[limits", 2),
        ("config.toml", '[evaluation]\npolicy = "gone.toml"', 9),
        ("restoring", "x", 9),
    ],
)
def test_a_detached_controller_that_cannot_start_ends_with_its_own_exit_code(
    run, own_home: Path, file: str, content: str, status: int
) -> None:
    own_home.mkdir(parents=True, exist_ok=True)
    (own_home / file).write_text(content)
    result = run("up", "--detach", "--port", "0")
    assert result.exit_code == status and "the controller did not start" in result.stderr


def test_doctor_finds_a_database_that_is_none(run, own_home: Path) -> None:
    own_home.mkdir()
    (own_home / "ringrift.db").write_text("not a database at all")
    assert "this is no SQLite file" in run("doctor").stdout


def test_a_request_that_cannot_be_built_names_the_field() -> None:
    with pytest.raises(BadInput, match="slots: 1000 is not allowed"):
        routes.build(
            HostAdd, name="a", user="u", address="h", host_key="k", confirmed_by="fingerprint", slots=1000
        )


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (None, "unknown"),
        (0, "0s"),
        (59.4, "59s"),
        (61, "1m"),
        (3600, "1.0h"),
        (40_000, "11h"),
        (200_000, "2d"),
    ],
)
def test_ages_are_told_in_one_unit(seconds: float | None, told: str) -> None:
    assert display.age(seconds) == told


@pytest.mark.parametrize(
    ("number", "told"),
    [(None, "-"), (0, "0"), (999, "999"), (1234, "1.2k"), (166_458, "166k"), (4_100_000, "4.1M")],
)
def test_counts_stay_short(number: float | None, told: str) -> None:
    assert display.count(number) == told


def test_what_moves_the_cursor_or_reorders_text_is_replaced() -> None:
    assert display.plain("a\x1b[2Jb\u202ec\u200bd\x00e\nf") == "a\ufffd[2Jb\ufffdc\ufffdd\ufffde f"
    assert display.plain("größer ● 漢字") == "größer ● 漢字"
    assert len(display.plain("x" * 10_000)) == 2000


def test_a_state_of_a_newer_controller_is_shown_as_it_came() -> None:
    assert mark("hibernating") == ("?", "hibernating", "dim")


def test_no_two_states_of_one_kind_share_glyph_and_tone() -> None:
    hosts = ("new", "provisioning", "ready", "draining", "quarantined", "unreachable", "retired")
    assert len({mark(state).glyph for state in hosts}) == len(hosts)
