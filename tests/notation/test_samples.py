"""Positions that the game server wrote: the same legal moves as its own rule-faithful list."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from ringrift.notation.canonical import canonical_state
from ringrift.notation.fingerprint import fingerprint
from ringrift.notation.gamestate import dump_game, load_game
from ringrift.notation.keys import legal_keys
from ringrift.notation.movejson import move_from_json, move_to_json

PATH = Path(__file__).resolve().parents[3] / "shared" / "api" / "samples" / "positions.jsonl.gz"
SAMPLES: dict[str, dict[str, Any]] = {}
if PATH.is_file():
    with gzip.open(PATH, "rt") as lines:
        SAMPLES = {sample["name"]: sample for sample in map(json.loads, lines)}

pytestmark = pytest.mark.skipif(not SAMPLES, reason="no samples; put them into ../shared/api/samples")

SHORT_LINE = "square8-2p-decision-line"
"""Three markers, a line to the server; R120 asks for four with two players. The server never sends this."""


def position_text(position: dict[str, int]) -> str:
    return ",".join(str(position[axis]) for axis in "xyz" if axis in position)


def listed(move: dict[str, Any]) -> str:
    """Return a move as the samples list it."""
    parts = [move["type"], f"p{move['player']}"]
    if "from" in move:
        parts.append(f"from={position_text(move['from'])}")
    if "captureTarget" in move:
        parts.append(f"over={position_text(move['captureTarget'])}")
    if "formedLines" in move:
        parts.append("line=" + ";".join(map(position_text, move["formedLines"][0]["positions"])))
    elif "disconnectedRegions" in move:
        parts.append("region=" + ";".join(map(position_text, move["disconnectedRegions"][0]["spaces"])))
    elif move["to"] != {"x": 0, "y": 0} or "placementCount" in move or "from" in move:
        parts.append(f"to={position_text(move['to'])}")
    if "placementCount" in move:
        parts.append(f"n={move['placementCount']}")
    return "|".join(parts)


@pytest.mark.parametrize("name", [name for name in SAMPLES if name != SHORT_LINE])
def test_the_legal_set_is_the_rule_faithful_one(name):
    game = load_game(SAMPLES[name]["move_request"]["game_state"])
    moves = [move_to_json(game, move) for move in game.legal().tolist()]
    assert sorted(map(listed, moves)) == sorted(SAMPLES[name]["expect"]["canonical_legal"])


@pytest.mark.skipif(SHORT_LINE not in SAMPLES, reason="no samples")
def test_three_markers_are_no_line_with_two_players():
    assert legal_keys(load_game(SAMPLES[SHORT_LINE]["move_request"]["game_state"])) == ["NL"]


@pytest.mark.parametrize("name", SAMPLES)
def test_the_server_s_own_example_moves_are_understood(name):
    game = load_game(SAMPLES[name]["move_request"]["game_state"])
    canonical = set(SAMPLES[name]["expect"]["canonical_legal"])
    for move in SAMPLES[name]["expect"]["example_moves"]:
        if listed(move) in canonical and name != SHORT_LINE:
            assert listed(move_to_json(game, move_from_json(game, move))) == listed(move)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_position_survives_being_written_and_read(name):
    game = load_game(SAMPLES[name]["move_request"]["game_state"])
    again = load_game(json.loads(json.dumps(dump_game(game))))
    assert canonical_state(again) == canonical_state(game)
    assert fingerprint(again) == fingerprint(game)
    assert legal_keys(again) == legal_keys(game)


@pytest.mark.parametrize("name", SAMPLES)
def test_every_legal_move_survives_being_written_and_read(name):
    game = load_game(SAMPLES[name]["move_request"]["game_state"])
    for move in game.legal().tolist()[::7]:
        assert move_from_json(game, json.loads(json.dumps(move_to_json(game, move)))) == move
