from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
LIST_MODULES = "import {module}, sys, json; print(json.dumps(sorted(sys.modules)))"


def modules_after_importing(module, *flags):
    command = [sys.executable, *flags, "-c", LIST_MODULES.format(module=module)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_the_agents_own_process_imports_nothing_that_computes():
    found = modules_after_importing("agents.__main__")
    assert "agents.loop" in found
    heavy = ("numpy", "numba", "torch", "ringrift.learning", "ringrift.control", "sqlalchemy")
    assert [name for name in heavy if name in found] == []


@pytest.mark.parametrize("module", ["agents.supervisor", "agents.processes", "agents.files"])
def test_the_supervisor_runs_without_any_installed_package(module):
    found = modules_after_importing(module, "-S")
    outside = {name.split(".")[0] for name in found} - sys.stdlib_module_names - {"__main__"}
    assert outside <= {"agents", "ringrift"}


def test_the_agent_decides_nothing_by_the_date_of_its_host():
    """Only the supervisor, which tells people since when something runs, looks at the wall clock."""
    wall = {"time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "datetime.today", "date.today"}
    found = set()
    for path in sorted((REPOSITORY / "agents").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and ast.unparse(node).removeprefix("datetime.") in wall:
                found.add((path.name, ast.unparse(node)))
            if isinstance(node, ast.ImportFrom) and node.module in ("time", "datetime"):
                found.add((path.name, node.module))
    assert {name for name, _ in found} <= {"supervisor.py", "supervision.py"}
