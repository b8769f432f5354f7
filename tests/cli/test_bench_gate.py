"""`bench gate`: its fast arithmetic is the test's own, its worlds have the strength they say, it can fail."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from typer.testing import CliRunner

from ringrift.cli import benchgate
from ringrift.cli.bench import app
from ringrift.learning import gates, sprt

PLAYERS = pytest.mark.parametrize("players", [2, 3, 4])


def registered(players: int, max_blocks: int = 400) -> sprt.Test:
    return sprt.Test(0.0, 50.0, 0.05, 0.05, players, max_blocks)


@PLAYERS
def test_ratios_of_many_gates_are_those_of_the_test_one_by_one(players: int) -> None:
    random, test = np.random.default_rng(players), registered(players)
    counts = random.integers(0, 40, size=(200, players + 1)).astype(float)
    counts[::3, 0] = 0
    counts[::7, -1] = 0
    counts[::5] //= 8
    counts[:, 1] += 1
    alone = [sprt.log_likelihood_ratio(test, tuple(row)) for row in counts]
    assert gates.log_likelihood_ratios(test, counts) == pytest.approx(alone, abs=1e-9)


@PLAYERS
@pytest.mark.parametrize("world", gates.WORLDS, ids=lambda world: world.name)
@pytest.mark.parametrize("elo", [-60.0, 0.0, 50.0])
def test_a_world_has_the_strength_that_was_asked(players: int, world: gates.World, elo: float) -> None:
    found = gates.block_distribution(players, elo, world)
    scores = np.arange(players + 1) / players
    mean = float(found @ scores)
    deviation = math.sqrt(float(found @ scores**2) - mean**2)
    assert found.sum() == pytest.approx(1.0)
    assert (mean - 1 / players) / deviation * sprt.NORMALISED / math.sqrt(players) == pytest.approx(
        elo, abs=1e-6
    )


@PLAYERS
@pytest.mark.parametrize("even", [False, True])
def test_gates_end_where_the_test_ends_them(players: int, even: bool) -> None:
    test, decide = registered(players, max_blocks=60), sprt.decide_even if even else sprt.decide
    wins = np.random.default_rng(7).choice(players + 1, size=(60, 25))
    accepted, ended = gates._play(test, wins, even=even)
    for number in range(25):
        verdict, block = decide(test, [0] * (players + 1)), 0
        while verdict.verdict == "continue":
            block += 1
            verdict = decide(test, sprt.tally(players, wins[:block, number].tolist()))
        decided = 0 if verdict.reason.startswith("undecided") else block
        assert (bool(accepted[number]), int(ended[number])) == (verdict.verdict == "accept", decided)


@pytest.mark.parametrize(
    ("purpose", "strict"), [("superiority", False), ("non-inferiority", False), ("non-inferiority", True)]
)
def test_the_registered_tests_keep_their_bounds(purpose: str, strict: bool) -> None:
    """A small part of `ringrift-ctl bench gate`, with four standard deviations of slack."""
    number = 100 if strict else 250
    test = benchgate._registered(4, strict)[purpose]
    assert (test.alpha, test.beta) == ((0.001, 0.001) if strict else (0.05, 0.05))
    slack = 4 * math.sqrt(test.alpha * (1 - test.alpha) / number)
    wrong = gates.operating_point(test, gates.WORLDS[1], test.elo0, number, seed=3)
    right = gates.operating_point(test, gates.WORLDS[1], test.elo1, number, seed=3)
    assert wrong.share < test.alpha + slack and right.share > 1 - test.beta - slack


def test_the_curve_is_printed_and_an_error_rate_beyond_its_bound_is_exit_status_1(monkeypatch) -> None:
    monkeypatch.setattr(gates, "WORLDS", gates.WORLDS[:1])
    arguments = ["gate", "--gates", "100", "--players", "4", "--ends"]
    done = CliRunner().invoke(app, [*arguments, "--json"])
    superior, inferior, mirror = json.loads(done.stdout)
    assert done.exit_code == (0 if all(curve["kept"] for curve in (superior, inferior, mirror)) else 1)
    assert [point["accepted"] > 50 for point in mirror["points"]] == [True, False]
    assert [point["elo"] for point in superior["points"]] == [0.0, 50.0]
    assert [point["elo"] for point in inferior["points"]] == [-100.0, 0.0]
    short = sprt.Test(0.0, 50.0, 0.05, 0.05, 4, 20)
    monkeypatch.setattr(benchgate, "_registered", lambda players, strict, file: {"superiority": short})
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 1
    assert "NOT within its bounds" in " ".join(done.stdout.split())


def test_other_seats_are_refused() -> None:
    assert CliRunner().invoke(app, ["gate", "--players", "5"]).exit_code == 2
