"""The command line as it presents itself: help, verbs, exit codes, and what it imports for that."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ringrift.cli.front import EXIT_CODES
from ringrift.errors import error_classes

HEAVY = ("torch", "numba", "numpy", "sqlmodel", "sqlalchemy", "asyncssh", "textual", "fastapi", "httpx")
DOCUMENT = Path(__file__).parents[2] / "docs" / "CLI.md"
VERBS = (
    "up", "down", "status", "tui", "doctor", "demo", "why", "events", "audit", "records", "hosts", "jobs",
    "configs", "models", "evaluate", "promote", "rollback", "deploy-inference", "targets", "engine", "bench",
    "games", "replay", "play", "alerts", "batches", "backup", "restore", "retention",
)  # fmt: skip


def test_help_names_every_verb_and_imports_nothing_heavy() -> None:
    program = f"""
import json, sys
sys.argv = ["ringrift-ctl", "--help"]
from ringrift.cli.main import main
try:
    main()
except SystemExit as leave:
    code = leave.code
sys.stderr.write(json.dumps([code, [name for name in {HEAVY!r} if name in sys.modules]]))
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert json.loads(found.stderr) == [0, []]
    for verb in VERBS:
        assert f" {verb} " in found.stdout
    assert "Exit codes" in found.stdout


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb: str, run) -> None:
    result = run(verb, "--help")
    assert result.exit_code == 0
    assert f"ringrift-ctl {verb}" in result.stdout


def test_without_a_verb_the_help_is_shown(run) -> None:
    result = run()
    assert result.exit_code == 0
    assert "Usage: ringrift-ctl" in result.stdout


def test_version_is_printed(run) -> None:
    from ringrift import __version__

    assert run("--version").stdout.strip() == __version__


def test_every_exit_status_of_the_error_tree_is_documented() -> None:
    documented = {number for number, _ in EXIT_CODES}
    assert {cls.exit_status for cls in error_classes().values()} <= documented


def test_the_document_lists_the_same_exit_codes_as_the_help() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for number, meaning in EXIT_CODES:
        assert f"| {number} | {meaning} |" in text


def test_the_document_names_every_verb() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for verb in VERBS:
        assert f"`{verb}" in text
