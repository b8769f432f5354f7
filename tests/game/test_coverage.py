"""The rules as plain Python play the same games, and a small set of them runs nearly every line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.game.interpreted import digest, games

pytest.importorskip("coverage", reason="the dev extra brings it")

ROOT = Path(__file__).resolve().parents[2]
LEAST_PERCENT = 95.0
NO_RULES = ("_jit.py", "warmup.py", "replay.py")
"""Modules of `ringrift.game` that hold no rule: compiling, and the reading of records."""


def coverage(data: Path, *arguments: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "coverage", arguments[0], f"--data-file={data}", *arguments[1:]],
        env={**os.environ, **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_plain_python_plays_the_same_games_and_runs_nearly_every_line_of_the_rules(tmp_path, capsys):
    data, report = tmp_path / "data", tmp_path / "report.json"
    omitted = ",".join(f"*/ringrift/game/{name}" for name in NO_RULES)
    run = ("--source=ringrift.game", f"--omit={omitted}", "-m", "tests.game.interpreted", "--examples")
    played = coverage(data, "run", *run, NUMBA_DISABLE_JIT="1").splitlines()
    expected = [f"{name}: {digest(game)}" for name, game in games().items()]
    assert played[-len(expected) :] == expected
    coverage(data, "json", "-o", str(report))
    with capsys.disabled():
        print(f"\n{coverage(data, 'report', '-m')}")
    measured = json.loads(report.read_text())
    assert len(measured["files"]) >= 20
    assert measured["totals"]["percent_covered"] >= LEAST_PERCENT
