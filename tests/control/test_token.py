"""The operator's token file: whatever stands in its place ends in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from ringrift.control.home import operator_token
from ringrift.errors import EnvironmentProblem


def test_bytes_that_are_no_text_are_no_token(tmp_path: Path) -> None:
    path = tmp_path / "operator.token"
    path.write_bytes(b"\xff\xfe long enough to be a token")
    path.chmod(0o600)
    with pytest.raises(EnvironmentProblem, match="holds no token"):
        operator_token(tmp_path)


def test_a_folder_in_the_place_of_the_token_is_named(tmp_path: Path) -> None:
    (tmp_path / "operator.token").mkdir(mode=0o700)
    with pytest.raises(EnvironmentProblem, match=r"operator\.token cannot be used: Is a directory"):
        operator_token(tmp_path)
