"""The engine against the oracle, a second implementation of the rules that shares no code with it."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.oracle import lines, movement, territory, victory
from tests.oracle.board import CONFIGS
from tests.oracle.check import play
from tests.oracle.coverage import empty_rows
from tests.oracle.fuzz import Tally, conclude, main
from tests.oracle.golden import replay
from tests.oracle.state import State

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT.parent / "shared" / "traces"
SAMPLE = ROOT / "tests" / "data" / "traces"
RULES = ("board", "state", "movement", "lines", "territory", "victory", "turn", "notation")
SEED = 3
GAMES = {"square8": 150, "hex8": 150, "square19": 2, "hexagonal": 2}


def test_the_oracle_imports_nothing_but_the_standard_library_and_itself():
    modules = ", ".join(f"tests.oracle.{name}" for name in (*RULES, "golden", "starts", "policy", "coverage"))
    code = f"import sys, {modules}; print(*{{name.split('.')[0] for name in sys.modules}})"
    command = [sys.executable, "-c", code]
    loaded = set(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split())
    assert "tests" in loaded
    assert not {"ringrift", "numpy", "numba"} & loaded


def test_the_oracle_replays_the_golden_games_without_a_difference():
    """All of them where they are at hand, else the sample in this repository."""
    paths = sorted((GOLDEN if GOLDEN.is_dir() else SAMPLE).rglob("*.jsonl.gz"))
    assert len(paths) >= len(CONFIGS)
    for path in paths:
        with gzip.open(path, "rt", encoding="utf-8") as records:
            for record in map(json.loads, records):
                assert replay(record) == "", record["id"]


def test_seeded_games_of_every_config_show_every_event_and_no_difference():
    tally = Tally()
    for config in CONFIGS:
        for number in range(GAMES[config[0]]):
            tally.add(play(SEED, number, config))
    assert tally.differences == []
    assert empty_rows(tally.met) == []


def without_spreading(state, region):
    beside = {c for cell in region for c in state.board.adjacent[cell]}
    return {c for c in beside if c in state.markers and c not in region}


def from_the_top(state, cell):
    rings = state.stacks[cell]
    rings.reverse()
    rings.remove(state.player)
    rings.reverse()
    state.eliminated[state.player] += 1


PLANTED = {
    "the second round wins": (victory, "ROUNDS_REQUIRED", 2),
    "claims leave far markers": (territory, "border", without_spreading),
    "extraction from the top": (State, "extract", from_the_top),
    "height decides captures": (movement, "cap_height", len),
    "lines never surface": (lines, "lines", lambda state, seat: []),
    "no rung but the seat": (victory, "stalemate_winner", lambda state: 1),
}


@pytest.mark.parametrize("rule", PLANTED)
def test_a_planted_difference_is_found(rule, monkeypatch):
    assert not play(SEED, 0, ("hex8", 2)).difference
    monkeypatch.setattr(*PLANTED[rule])
    found = (play(SEED, number, ("hex8", 2)).difference for number in range(GAMES["hex8"]))
    difference = next(filter(None, found), "")
    assert difference.startswith(f"hex8_2p, seed {SEED}, game ")
    assert "engine" in difference
    assert json.loads(difference.splitlines()[1])["position"]["sk"] is not None


def test_a_crash_is_a_difference_with_the_game_that_repeats_it(monkeypatch):
    monkeypatch.setattr(movement, "place", lambda state, cell, count: 1 // 0)
    found = (play(SEED, number, ("square8", 3)).difference for number in range(9))
    assert "ZeroDivisionError" in next(filter(None, found), "")


def test_the_command_fails_on_a_difference_and_repeats_a_game(capsys, monkeypatch):
    assert main(["--seed", "1", "--game", "7"]) == 0
    once = capsys.readouterr().out
    assert main(["--seed", "1", "--game", "7"]) == 0
    assert capsys.readouterr().out == once
    assert "0 differences" in once
    tally = Tally()
    tally.differences.append("something differs")
    assert conclude(tally) == 1
    assert "something differs" in capsys.readouterr().out
