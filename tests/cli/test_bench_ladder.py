"""`bench ladder`: the test keeps its error rates, stronger levels are accepted, and a weaker one is not."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from typer.testing import CliRunner

from ringrift.cli.bench import app
from ringrift.errors import BadInput
from ringrift.game.config import GameConfig
from ringrift.learning import rungs
from ringrift.players import ladder

SQUARE = GameConfig.parse("square8_2p")


@pytest.mark.parametrize(("players", "low", "high"), [(2, 0.6, 0.7), (3, 3 / 7, 7 / 13), (4, 1 / 3, 0.4375)])
def test_more_seats_ask_for_the_same_odds_against_each_opponent(players, low, high) -> None:
    assert rungs.share_of(rungs.ODDS0, players) == pytest.approx(low)
    assert rungs.share_of(rungs.ODDS1, players) == pytest.approx(high)


@pytest.mark.parametrize("players", [2, 3, 4])
def test_error_rates_are_kept_at_the_odds_of_both_hypotheses(players: int) -> None:
    """Wald's test on independent games: 600 simulated pairs each, four standard deviations of slack."""
    random, tests = np.random.default_rng(players), 600
    slack = 4 * math.sqrt(rungs.ERROR * (1 - rungs.ERROR) / tests)
    for odds, wrong in ((rungs.ODDS0, "accept"), (rungs.ODDS1, "reject")):
        won = random.random((tests, 2000)) < rungs.share_of(odds, players)
        errors = sum(_decided(row, players) == wrong for row in won)
        assert errors / tests <= rungs.ERROR + slack


def _decided(won, players: int) -> str:
    for games in range(players, len(won) + 1, players):
        found = rungs.verdict(rungs.ratio(int(won[:games].sum()), games, players))
        if found != "undecided":
            return found
    return "undecided"


def test_a_search_beats_random_moves_and_the_same_seed_plays_the_same_games() -> None:
    arguments = ["ladder", "--config", "square8_2p", "--level", "3", "--json"]
    first, second = (CliRunner().invoke(app, arguments) for _ in range(2))
    (rung,), (again,) = json.loads(first.stdout), json.loads(second.stdout)
    assert first.exit_code == 0
    assert (rung["verdict"], rung["higher"], rung["lower"]) == ("accept", 3, 1)
    assert rung["share"] > rung["wanted"] == pytest.approx(0.6)
    assert rung | {"seconds": 0} == again | {"seconds": 0}


def test_a_level_that_is_no_stronger_is_rejected_with_exit_status_1(monkeypatch) -> None:
    monkeypatch.setitem(ladder._TABLE, 3, ladder._TABLE[1])
    done = CliRunner().invoke(app, ["ladder", "--config", "square8_2p", "--level", "3"])
    assert done.exit_code == 1
    assert "reject" in done.stdout


def test_too_few_games_decide_nothing() -> None:
    found = rungs.climb(SQUARE, 3, None, most_games=8, seed=1, report=lambda _: None)
    assert found.games < 20
    assert found.verdict == "undecided"


def test_what_cannot_be_tested_is_refused() -> None:
    with pytest.raises(BadInput, match="needs a model"):
        rungs.climb(SQUARE, 5, None, most_games=8, seed=1, report=lambda _: None)
    with pytest.raises(BadInput, match="no level 2 below"):
        rungs.climb(SQUARE, 2, None, most_games=8, seed=1, report=lambda _: None)
    assert CliRunner().invoke(app, ["ladder", "--level", "2"]).exit_code == 2
