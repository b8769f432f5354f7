"""The fingerprint and its hash against the test values of section 7.4."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from ringrift.game.config import GameConfig
from ringrift.game.play import Game
from ringrift.notation.canonical import canonical_state, state_hash
from ringrift.notation.fingerprint import fingerprint, fingerprint_text, hash_text
from ringrift.notation.gamestate import dump_game, load_game
from ringrift.notation.keys import move_of

SAMPLES = Path(__file__).resolve().parents[3] / "shared" / "api" / "samples" / "positions.jsonl.gz"


def test_the_hash_of_a_single_letter():
    assert hash_text("a") == "501c2ba782c97901"


def test_the_start_of_a_game():
    game = Game.new(GameConfig("square8", 2))
    assert fingerprint_text(game) == "1:ring_placement:active:0#1:18:0:0|2:18:0:0###"
    assert fingerprint(game) == "64d970e91e560723"


def test_the_start_has_the_hash_of_the_golden_games():
    assert state_hash(canonical_state(Game.new(GameConfig("square8", 2)))) == "6816cbd9c75af2f3"


def test_hex_keys_carry_three_coordinates_and_parts_are_sorted_as_text():
    game = Game.new(GameConfig("hex8", 2))
    for key in ("P:0,0*1", "M:0,0>2,0", "NL", "NT", "P:-1,0*1", "M:-1,0>-3,0"):
        game.apply(move_of(game, key))
    stacks, markers = fingerprint_text(game).split("#")[2:4]
    assert stacks == "-3,0,3:2:1:1|2,0,-2:1:1:1"
    assert markers == "-1,0,1:2|0,0,0:1"


def test_a_finished_game_has_no_player():
    state = dump_game(Game.new(GameConfig("square8", 2)))
    game = load_game({**state, "gameStatus": "abandoned"})
    assert fingerprint_text(game).startswith("0:game_over:abandoned:0#")


@pytest.mark.skipif(not SAMPLES.is_file(), reason="no samples; put them into ../shared/api/samples")
def test_positions_of_the_game_server_have_the_fingerprint_that_it_wrote():
    compared = 0
    with gzip.open(SAMPLES, "rt") as lines:
        for line in lines:
            state = json.loads(line)["move_request"]["game_state"]
            history = state.get("history")
            if history:
                assert fingerprint_text(load_game(state)) == history[-1]["stateHashAfter"]
                compared += 1
    assert compared > 30
