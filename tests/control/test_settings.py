"""Settings: documented defaults, bounds, and no misspelt name that is silently a default."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from ringrift.control.settings import SECTIONS, Settings, load_settings, parse_settings
from ringrift.errors import BadInput, EnvironmentProblem


def test_the_defaults_are_those_of_operations() -> None:
    found = Settings()
    assert (found.agents.beat_seconds, found.agents.stale_seconds, found.agents.down_seconds) == (15, 45, 90)
    assert (found.agents.restarts, found.agents.attempts, found.selfplay.reserve) == (3, 3, 0.4)
    assert (found.training.min_positions, found.training.max_data_age_hours) == (5000, 24)


def test_no_file_means_all_defaults(tmp_path: Path) -> None:
    assert load_settings(tmp_path) == Settings()


def test_a_file_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[training]\nmin_positions = 20000\nlearning_rate = 1\n")
    found = load_settings(tmp_path)
    assert found.training.min_positions == 20000 and found.training.learning_rate == 1
    assert found.selfplay == Settings().selfplay


def test_every_default_is_within_its_own_bounds() -> None:
    for section in SECTIONS:
        values = getattr(Settings(), section.name)
        assert is_dataclass(values)
        for item in fields(values):
            if item.type == "str":
                continue
            assert item.metadata["low"] <= getattr(values, item.name) <= item.metadata["high"], item.name


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[trainings]\n", "unknown section [trainings]"),
        ("min_positions = 5\n", "unknown section [min_positions]"),
        ("[training]\nmin_position = 5\n", "unknown setting training.min_position"),
        ("[training]\nmin_positions = 0\n", "training.min_positions is 0, must be between 1 and"),
        ("[training]\nmin_positions = 2.5\n", "training.min_positions must be an integer"),
        ("[training]\nmin_positions = true\n", "training.min_positions must be an integer"),
        ('[training]\nlearning_rate = "fast"\n', "training.learning_rate must be a number"),
        ("[training]\nlearning_rate = nan\n", "training.learning_rate is nan"),
        ("[agents]\nbeat_seconds = 60.0\n", "beat_seconds < stale_seconds < down_seconds"),
        ("[agents]\nlease_seconds = 20.0\n", "lease_seconds must be more than two beats"),
        ("[evaluation]\nelo0 = 80.0\n", "evaluation.elo0 is a number of the gate's policy now"),
        ("[evaluation]\nmax_blocks = 80\n", "evaluation.max_blocks is a number of the gate's policy now"),
        ("[evaluation]\npolicy = 5\n", "evaluation.policy must be a short text"),
        ("[training\n", "is not valid TOML"),
    ],
)
def test_what_is_wrong_is_refused_with_file_and_key(tmp_path: Path, text: str, fault: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text)
    with pytest.raises(BadInput) as refused:
        load_settings(tmp_path)
    assert str(path) in refused.value.message and fault in refused.value.message


def test_an_unreadable_file_is_an_environment_problem(tmp_path: Path) -> None:
    (tmp_path / "config.toml").mkdir()
    with pytest.raises(EnvironmentProblem, match="cannot be read"):
        load_settings(tmp_path)


def test_a_section_must_be_a_table() -> None:
    with pytest.raises(BadInput, match="unknown section"):
        parse_settings({"training": 5}, "here")
