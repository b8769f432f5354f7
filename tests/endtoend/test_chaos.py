"""`make chaos` at the size of a test: three hosts, each kind of trouble, the controller killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.endtoend, pytest.mark.timeout(600)]
REPOSITORY = Path(__file__).resolve().parents[2]
INVENTORY = REPOSITORY / "tests" / "data" / "inventory.yaml"


def test_a_fleet_in_trouble_loses_no_game_and_looks_as_it_is() -> None:
    argv = [sys.executable, "-m", "tests.chaos.run", "--inventory", str(INVENTORY), "--short"]
    done = subprocess.run(argv, cwd=REPOSITORY, capture_output=True, text=True, timeout=580, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "every promise was kept" in done.stdout
    for promise in (
        "operator's view is right",
        "games lost after receipt",
        "games counted twice",
        "audit verify",
    ):
        assert f"kept   {promise}" in done.stdout
