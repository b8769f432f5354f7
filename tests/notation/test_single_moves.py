"""Single-move vectors of the older engines: one position, one move, the state right after it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from ringrift.errors import IllegalMove
from ringrift.game import moves as m
from ringrift.notation.canonical import canonical_state
from ringrift.notation.gamestate import load_game
from ringrift.notation.movejson import move_from_json

PATH = Path(__file__).resolve().parents[1] / "data" / "single_moves.jsonl.gz"
with gzip.open(PATH, "rt") as lines:
    VECTORS = {vector["vector"]["id"]: vector for vector in map(json.loads, lines)}

BREAKS_A_RULE = {
    "territory.square_region_then_elim.step1_region": "nothing bounds the cells that are claimed",
    "territory.square_two_regions_then_elim.step1_regionB": "nothing bounds the cells that are claimed",
    "territory.square19_two_regions_then_elim.step1_regionB": "nothing bounds the cells that are claimed",
    "chain_capture.depth3.segment3.square8": "a stack of five jumps only four cells",
    "chain_capture.depth3.segment3.square19": "a stack of five jumps only four cells",
    "chain_capture.depth3.segment1.hexagonal": "a stack of three jumps only two cells",
    "chain_capture.depth3.segment3.hexagonal": "a stack of five jumps only two cells",
    "hex_edge_case.edge_chain.segment2.hexagonal": "a stack of three jumps only two cells",
}
"""Vectors whose move is not legal; the older engines apply what they are given without judging it."""


def state_of(vector: dict) -> dict:
    """Return the position; the vectors count the size of the large hexagon in an older way."""
    state = vector["vector"]["input"]["state"]
    if state["board"]["type"] == "hexagonal":
        state = {**state, "board": {**state["board"], "size": 25}}
    return state


def with_claimed_region(state: dict, move: dict) -> dict:
    """Add the history entry from which an owed elimination is inferred; the vectors leave it out."""
    claim = {
        "type": "choose_territory_option",
        "player": move["player"],
        "disconnectedRegions": [{"spaces": []}, {"spaces": []}],
    }
    return {**state, "moveHistory": [claim]}


def reduced(state: dict) -> dict:
    return {key: state[key] for key in ("cp", "ph", "ss", "el", "hd", "te", "sk", "mk", "co")}


@pytest.mark.parametrize("name", [name for name in VECTORS if name not in BREAKS_A_RULE])
def test_the_state_after_a_single_move_is_as_recorded(name):
    state, move = state_of(VECTORS[name]), VECTORS[name]["vector"]["input"]["move"]
    if move["type"] == m.MOVE_NAMES[m.ELIMINATE]:
        state = with_claimed_region(state, move)
    game = load_game(state)
    game.apply(move_from_json(game, move))
    assert reduced(canonical_state(game)) == VECTORS[name]["after"]


@pytest.mark.parametrize("name", sorted(BREAKS_A_RULE))
def test_a_move_that_breaks_a_rule_is_refused(name):
    game = load_game(state_of(VECTORS[name]))
    with pytest.raises(IllegalMove):
        move_from_json(game, VECTORS[name]["vector"]["input"]["move"])
