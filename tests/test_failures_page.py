"""`docs/FAILURES.md` is whole, and every test that it names exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "FAILURES.md"
OURS = {"hosts", "jobs", "data", "controller"}
OTHERS = {"learning", "serving"}
NODE = re.compile(r"`(tests/[\w/]+\.py::[\w:]+)`")


def rows(first: str) -> list[list[str]]:
    """Return the cells of the table rows whose first cell matches."""
    lines = [
        line.strip("| \n").split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("|")
    ]
    return [cells for cells in lines if re.fullmatch(first, cells[0])]


@cache
def functions_of(file: str) -> frozenset[str]:
    """Return the names of the functions of a file, in a class as `Class::name`, without importing it."""
    path = ROOT / file
    if not path.is_file():
        return frozenset()
    found: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        members = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        for member in members:
            if isinstance(member, (ast.FunctionDef, ast.AsyncFunctionDef)) and member.name.startswith(
                "test_"
            ):
                found.add(prefix + member.name)
    return frozenset(found)


def test_every_number_is_there_once_and_every_promise() -> None:
    assert [cells[0] for cells in rows(r"\d+")] == [str(number) for number in range(1, 43)]
    assert [cells[0] for cells in rows(r"P\d+")] == [f"P{number}" for number in range(1, 13)]


def test_every_failure_of_ours_and_every_promise_names_a_test() -> None:
    for number, room, what, prevented, shown in rows(r"\d+"):
        assert room in OURS | OTHERS and what and prevented, number
        assert room in OTHERS or NODE.search(shown), f"{number} names no test"
    for promise, _, shown in rows(r"P\d+"):
        assert NODE.search(shown), f"{promise} names no test"


def test_every_named_test_exists() -> None:
    named = NODE.findall(PAGE.read_text())
    assert all(node.rpartition("::")[2].startswith("test_") for node in named)
    assert len(named) >= 60
    missing = [node for node in named if node.partition("::")[2] not in functions_of(node.partition("::")[0])]
    assert missing == []
