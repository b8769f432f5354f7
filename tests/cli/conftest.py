"""Fixtures: an own RINGRIFT_HOME for every test, the double, and a way to run command lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from typer import testing
from typer.testing import CliRunner, Result

from ringrift.cli import follow
from tests.cli.double import TOKEN, World, served

Run = Callable[..., Result]

testing._get_command = cache(testing._get_command)  # type: ignore[attr-defined]
"""To read the signatures of all commands takes longer than most of them run."""


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep every test away from the real home and from the network around it."""
    for name in ("RINGRIFT_URL", "RINGRIFT_TOKEN", "RINGRIFT_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RINGRIFT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(follow, "POLL_SECONDS", 0.01)
    return tmp_path / "home"


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[World, str]]:
    world = World()
    with served(world) as url:
        yield world, url


@pytest.fixture
def world(address: tuple[World, str], monkeypatch: pytest.MonkeyPatch) -> World:
    """A fresh world behind a running double; the environment points to it."""
    world, url = address
    world.__init__()  # type: ignore[misc]
    monkeypatch.setenv("RINGRIFT_URL", url)
    monkeypatch.setenv("RINGRIFT_TOKEN", TOKEN)
    return world


@pytest.fixture
def run() -> Run:
    """Run `ringrift-ctl` in this process; stdout and stderr are kept apart."""

    def invoke(*arguments: str, answer: str | None = None) -> Result:
        from ringrift.cli.main import app

        return CliRunner().invoke(app, list(arguments), input=answer, prog_name="ringrift-ctl")

    return invoke
