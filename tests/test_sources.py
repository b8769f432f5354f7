"""What no source of the product may hold."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("ringrift", "hosts", "agents", "inference", "tui", "alembic")


def sources() -> Iterator[tuple[str, str]]:
    """Yield path and text of every source that is installed somewhere."""
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*")):
            if path.suffix in (".py", ".sh", ".ini", ".toml", ".mako"):
                yield str(path.relative_to(ROOT)), path.read_text()


def holding(pattern: str) -> list[str]:
    return [name for name, text in sources() if re.search(pattern, text)]


def test_the_sources_are_found() -> None:
    assert len(list(sources())) > 200 and "agents/loop.py" in holding("def ")


@pytest.mark.parametrize(
    "pattern", [r"\bpkill\b", r"\bkillall\b", r"\bpgrep\b", r"process_iter", r"\bpidof\b"]
)
def test_no_source_ends_a_process_by_its_name(pattern: str) -> None:
    assert holding(pattern) == []


def test_no_source_waits_in_a_way_that_loses_a_cancellation() -> None:
    assert holding(r"asyncio\.wait_for\(") == []


@pytest.mark.parametrize(
    "pattern",
    [
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----\n\w",
        r"\bAKIA[0-9A-Z]{16}\b",
        r"\bgh[pousr]_\w{30}",
        r"(?i)(password|secret|api_key|token)\s*=\s*[\"'][^\"'\s{}]{16,}[\"']",
    ],
)
def test_no_source_holds_a_secret(pattern: str) -> None:
    assert holding(pattern) == []
