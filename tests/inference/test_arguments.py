"""Wrong arguments of the service end in one line and status 2, before anything heavy is imported."""

from __future__ import annotations

import pytest

from inference.__main__ import main


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--models", "x", "--port", "abc"], "--port"),
        (["--models", "x", "--nonsense"], "--nonsense"),
        (["--models", "x", "--workers", "0"], "--workers"),
        (["--models", "x", "--expect", "hex9_2p"], "hex9_2p"),
        ([], "--models"),
    ],
)
def test_a_wrong_argument_is_one_line_that_names_it(
    arguments: list[str], named: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RINGRIFT_MODELS_PATH", raising=False)
    assert main(arguments) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert told.count("\n") == 1
    assert named in told


def test_a_wrong_variable_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORT", "abc")
    assert main(["--models", "x"]) == 2
    assert "PORT is 'abc'" in capsys.readouterr().err
