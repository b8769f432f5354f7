"""`bench engine`: what it counts is right, what it prints is complete, and wrong requests are refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ringrift.errors import EnvironmentProblem
from ringrift.game.config import GameConfig
from ringrift.game.play import Game
from ringrift.game.playout import playout

HEX8 = GameConfig("hex8", 2)


def test_every_way_of_playing_counts_the_same_plies() -> None:
    from ringrift.bench.kernels import settled_games, stepped_games, timed_games

    seed, games = 5, 3
    alone = []
    for number in range(games):
        game = Game.new(HEX8)
        alone.append(int(playout(game.geo, game.states, 0, game.scratch, seed + number)))
    game = Game.new(HEX8)
    verbs = (game.geo, game.states.copy(), game.states, game.scratch, seed, games)
    sizes = np.zeros(game.geo.max_moves + 1, np.int64)
    phases = np.zeros((8, 3), np.int64)
    assert settled_games(*verbs) == sum(alone)
    ending = game.states.tobytes()
    assert stepped_games(*verbs, sizes) == sizes.sum() == sum(alone)
    assert game.states.tobytes() == ending
    timed_games(*verbs, np.zeros(2, np.int64), phases)
    assert phases[:, 0].sum() == sum(alone)
    assert game.states.tobytes() == ending
    assert (phases[phases[:, 0] > 0] > 0).all()


def test_the_figures_are_complete_and_agree_with_each_other(run) -> None:
    asked = ("--config", "hex8_2p", "--config", "square8_3p", "--seconds", "0.05", "--threads", "2", "--json")
    result = run("bench", "engine", *asked)
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert [speed["config"] for speed in report["speeds"]] == ["hex8_2p", "square8_3p"]
    for speed in report["speeds"]:
        assert speed["stepped"] > 0
        assert speed["settled"] > 0
        assert 0 < speed["decisions"] < speed["plies"]
        assert 2 <= speed["legal_median"] <= speed["legal_p99"]
        assert sum(cost["share"] for cost in speed["phases"]) == pytest.approx(1)
        names = {cost["phase"] for cost in speed["phases"]}
        assert {"ring_placement", "movement", "line_processing"} <= names
    for scaling in report["scaling"]:
        assert scaling["threads"] == 2
        assert scaling["ratio"] == pytest.approx(scaling["together"]["plies"] / scaling["alone"]["plies"])
    startup = report["startup"]
    assert startup["load_seconds"] > 0
    assert startup["memory"] > 20e6
    assert startup["compile_seconds"] is None


def test_the_tables_name_every_figure(run) -> None:
    result = run("bench", "engine", "--config", "square8_2p", "--seconds", "0.05")
    assert result.exit_code == 0, result.stderr
    for word in ("stepped", "settled", "plies/game", "p99", "territory_processing", "apply us", "resident"):
        assert word in result.stdout
    assert "threads" not in result.stdout


@pytest.mark.parametrize(
    ("option", "value"), [("--config", "square9_2p"), ("--seconds", "0"), ("--threads", "0")]
)
def test_a_wrong_request_is_refused_before_anything_runs(run, option: str, value: str) -> None:
    result = run("bench", "engine", option, value)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1


def test_without_the_rules_packages_it_says_what_to_install() -> None:
    program = """
import sys
sys.modules["numba"] = None
sys.argv = ["ringrift-ctl", "bench", "engine"]
from ringrift.cli.main import main
main()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == EnvironmentProblem.exit_status
    assert done.stderr.startswith("error: numba is not installed - pip install")


def test_a_cold_start_gets_an_empty_cache_that_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    from ringrift.bench import startup

    caches: list[Path] = []

    def started(config: str, **environment: str) -> tuple[float, int]:
        if not environment:
            return 0.5, 7
        caches.append(Path(environment["NUMBA_CACHE_DIR"]))
        assert list(caches[-1].iterdir()) == []
        return 30.0, 9

    monkeypatch.setattr(startup, "_start", started)
    found = startup.measure_startup("hex8_2p", cold=True)
    assert found == startup.Startup(load_seconds=0.5, memory=7, compile_seconds=30.0)
    assert not caches[0].exists()


def test_a_process_that_cannot_load_the_rules_is_told_in_one_line() -> None:
    from ringrift.bench.startup import measure_startup

    with pytest.raises(EnvironmentProblem, match="unknown config 'nope'"):
        measure_startup("nope", cold=False)
