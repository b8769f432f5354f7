"""The gate's policy: one strict file, its two error rates, and the tests that it asks for."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ringrift.cli.evaluate import app
from ringrift.control.domain.evaluations import wanted_tests
from ringrift.control.domain.policy import parse_policy
from ringrift.control.policy import packaged_policy, packaged_text, read_policy
from ringrift.control.settings import Settings, load_settings
from ringrift.errors import BadInput, EnvironmentProblem
from tests.control.world import POLICY, small_policy

TEXT = packaged_text().decode()
HEURISTIC = '[[anchors]]\nplayer = "heuristic"\nelo0 = -300.0\nelo1 = -100.0\nmax_blocks = 200\n'


def test_the_one_that_comes_along_holds_unless_settings_name_another(tmp_path: Path) -> None:
    assert load_settings(tmp_path).gate == Settings().gate == packaged_policy()
    (tmp_path / "config.toml").write_text('[evaluation]\npolicy = "mine.toml"\n')
    (tmp_path / "mine.toml").write_text(TEXT.replace('name = "default"', 'name = "mine"'))
    found = load_settings(tmp_path).gate
    assert found.name == "mine" and found.superiority == packaged_policy().superiority
    assert found.sha256 == hashlib.sha256((tmp_path / "mine.toml").read_bytes()).hexdigest()
    assert found.sha256 in found.label and found.sha256 != packaged_policy().sha256


def test_one_that_is_named_and_not_there_is_an_environment_problem(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[evaluation]\npolicy = "mine.toml"\n')
    with pytest.raises(EnvironmentProblem, match=r"mine\.toml cannot be read"):
        load_settings(tmp_path)


def test_five_per_cent_by_default_and_a_tenth_of_one_per_cent_by_one_key() -> None:
    usual = packaged_policy().test(2, "superiority", "model")
    strict = parse_policy(TEXT.replace('errors = "default"', 'errors = "strict"').encode(), "x")
    assert (usual.alpha, usual.beta, usual.max_blocks) == (0.05, 0.05, 1000)
    for purpose in ("superiority", "non-inferiority"):
        test = strict.test(3, purpose, "random")
        assert (test.alpha, test.beta, test.max_blocks) == (0.001, 0.001, 3000)


def test_not_worse_means_above_the_margin_and_anchors_have_bounds_of_their_own() -> None:
    policy = parse_policy((TEXT + HEURISTIC).encode(), "x")
    former = policy.test(2, "non-inferiority", "model")
    assert (former.elo0, former.elo1) == (-100.0, 0.0)
    heuristic = policy.test(2, "non-inferiority", "heuristic")
    assert (heuristic.elo0, heuristic.elo1, heuristic.max_blocks) == (-300.0, -100.0, 200)


def test_a_mirror_test_has_error_rates_of_its_own() -> None:
    for policy in (packaged_policy(), packaged_policy().with_errors("strict")):
        test = policy.test(3, "mirror", "model")
        assert (test.elo0, test.elo1, test.alpha, test.beta, test.max_blocks) == (
            0.0,
            200.0,
            0.001,
            0.05,
            200,
        )


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("version = 1", "version = 2", "version is 2, must be 1"),
        ("version = 1", "", "version is None, must be 1"),
        ('errors = "default"', 'errors = "lax"', "errors: Input should be 'default' or 'strict'"),
        ('name = "default"', "name = 5", "name: "),
        ("margin = 100.0", "margin = 0", "non_inferiority.margin: Input should be greater than 0"),
        ("margin = 100.0", "margins = 100.0", "non_inferiority.margin is missing"),
        ("margin = 100.0", "margin = nan", "non_inferiority.margin: "),
        ("margin = 100.0", "margin = 100.0\nx = 1", "unknown key non_inferiority.x"),
        ("[superiority]", "[superior]", "superiority is missing"),
        ("champions = 3", "champions = true", "non_inferiority.champions: Input should be a valid integer"),
        ("elo1 = 50.0", "elo1 = -50.0", "superiority against a champion: Elo bounds"),
        ("elo1 = 50.0", 'elo1 = "50"', "superiority.elo1: Input should be a valid number"),
        ("alpha = 0.001", "alpha = 0.5", "error_rates.strict.alpha: Input should be less than 0.5"),
        ("elo = 200.0", "elo = 0.0", "mirror.elo: Input should be greater than 0"),
        ("[mirror]", "[glass]", "mirror is missing"),
        ('player = "random"', 'player = "gumbel"', "anchors.0.player: "),
        ("[[anchors]]", "[[anchor]]", "anchors is missing"),
        ("[superiority]", "[superiority", "is not valid TOML"),
    ],
)
def test_what_is_wrong_is_refused_in_one_line_with_the_key(
    tmp_path: Path, old: str, new: str, fault: str
) -> None:
    path = tmp_path / "gate.toml"
    path.write_text(TEXT.replace(old, new, 1))
    with pytest.raises(BadInput) as refused:
        read_policy(path)
    assert str(path) in refused.value.message and fault in refused.value.message
    assert "\n" not in refused.value.line() and refused.value.exit_status == 2


def test_an_anchor_twice_is_refused() -> None:
    with pytest.raises(BadInput, match="a player is named twice"):
        parse_policy((TEXT + HEURISTIC * 2).encode(), "x")


def test_the_verb_prints_the_file_and_checks_one(tmp_path: Path) -> None:
    printed = CliRunner().invoke(app, ["policy", "--toml"])
    path = tmp_path / "gate.toml"
    path.write_text(printed.stdout + HEURISTIC)
    shown = CliRunner().invoke(app, ["policy", str(path)])
    assert shown.exit_code == 0 and "anchor heuristic" in shown.stdout
    path.write_text("version = 3\n")
    refused = CliRunner().invoke(app, ["policy", str(path)])
    assert isinstance(refused.exception, BadInput)


def test_tests_are_the_champion_then_the_cheap_ones_and_nobody_twice() -> None:
    policy = small_policy(HEURISTIC)
    first = wanted_tests(policy, "m", None, ["f1", "f2"])
    assert [(test.purpose, test.opponent) for test in first] == [
        ("superiority", "random"),
        ("mirror", "m"),
        ("non-inferiority", "heuristic"),
        ("non-inferiority", "f1"),
        ("non-inferiority", "f2"),
    ]
    later = wanted_tests(policy, "m", "c", ["f1", "f2", "f3", "f4"])
    assert [test.name for test in later] == [
        "champion", "mirror", "anchor random", "anchor heuristic",
        "former champion 1", "former champion 2", "former champion 3",
    ]  # fmt: skip


def test_an_anchor_that_asks_for_more_than_the_first_champion_showed_is_played() -> None:
    anchor = packaged_policy().anchors[0].model_copy(update={"elo0": 100.0, "elo1": 300.0})
    policy = POLICY.model_copy(update={"anchors": [anchor]})
    assert [test.name for test in wanted_tests(policy, "m", None, [])] == [
        "champion",
        "mirror",
        "anchor random",
    ]
