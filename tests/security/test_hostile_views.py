"""Whatever hosts tell a controller: no table, no JSON and no screen passes on more than visible text."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from functools import cache
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from tests.cli import double, sample
from tests.cli.conftest import address as address
from tests.cli.conftest import own_home as own_home
from tests.cli.conftest import run as run
from tests.cli.conftest import world as world
from tests.tui.conftest import start as start

ESCAPES = "\x1b]0;owned\x07\x1b[2J\x9b5n\u202e\u2066\x7f\U000e0041\u2028"
HOSTILE = f"-oProxyCommand=x; $(touch owned) `id`\r\n{ESCAPES}[bold]x[/bold]" + "y" * 3000
HIDDEN = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
READ = (
    "status", "hosts list", "hosts show cpu-01", "hosts history cpu-01", "hosts keys cpu-01", "hosts export",
    "hosts authorities list", "configs list", "configs show hex8_2p", "models list", "jobs list",
    "evaluate list", "targets list", "games list", "events", "why cpu-01", "audit verify", "doctor",
    "promote hex8_2p --dry-run", "deploy-inference --dry-run",
)  # fmt: skip


def harmless(text: str) -> bool:
    return all(c == "\n" or unicodedata.category(c) not in HIDDEN for c in text)


@cache
def takes_text(cls: type[BaseModel], name: str) -> bool:
    """Tell whether a field may be any text."""
    field = cls.model_fields[name]
    try:
        TypeAdapter(Annotated[field.annotation, *field.metadata, None]).validate_python(HOSTILE)
    except ValidationError:
        return False
    return True


def poisoned(value: Any) -> Any:
    """Return a view with hostile text in each field that may be any text."""
    if isinstance(value, BaseModel):
        given = {
            name: HOSTILE if isinstance(old, str) and takes_text(type(value), name) else poisoned(old)
            for name, old in dict(value).items()
        }
        return value.model_copy(update=given)
    if isinstance(value, dict):
        return {key: HOSTILE if isinstance(old, str) else poisoned(old) for key, old in value.items()}
    if isinstance(value, list):
        return [poisoned(item) for item in value]
    return value


@pytest.fixture
def liar(world: double.World, monkeypatch: pytest.MonkeyPatch) -> double.World:
    """The double, telling hostile text in every answer."""
    answer: Callable[..., Any] = double._answer
    monkeypatch.setattr(double, "_answer", lambda *given: poisoned(answer(*given)))
    return world


@pytest.mark.parametrize("line", READ)
def test_no_table_and_no_json_passes_on_what_is_invisible(line: str, run, liar) -> None:
    for more in ([], ["--json"]):
        found = run(*line.split(), *more)
        assert found.exception is None or isinstance(found.exception, SystemExit), found.exception
        assert harmless(found.stdout), line
        assert harmless(found.stderr), line
        if more and found.stdout:
            assert json.loads(found.stdout) is not None


def test_json_keeps_its_meaning(run, liar) -> None:
    found = json.loads(run("hosts", "list", "--json").stdout)
    assert {host["reason"] for host in found} == {HOSTILE}


def test_an_error_of_a_hostile_controller_is_one_harmless_line(run, world) -> None:
    world.fail("GET", "/v1/status", 409, "refused", HOSTILE, HOSTILE)
    found = run("status")
    assert found.exit_code == 4 and harmless(found.stderr) and found.stderr.count("\n") == 1


async def test_no_screen_passes_on_what_is_invisible(liar, start) -> None:
    async with start(ready="hosts") as terminal:
        for keys in (("1",), ("2",), ("3",), ("1", "enter"), ("escape", "2", "enter"), ("escape", "?")):
            await terminal.press(*keys)
            assert all(harmless(line) for line in terminal.lines), keys
            assert len(terminal.lines) == 40 and {len(line) for line in terminal.lines} <= {120}
        liar.fail("GET", "/v1/status", 409, "refused", HOSTILE, HOSTILE)
        terminal.app.feed.wake()
        await terminal.settle()
        assert all(harmless(line) for line in terminal.lines)


def test_the_sample_is_hostile_indeed() -> None:
    told = poisoned(sample.status())
    assert {host.name for host in told.hosts} == {HOSTILE} and not harmless(told.hosts[0].reason)
    assert not harmless(ESCAPES)
