"""Moves and histories written as JSON and read again are the same."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from ringrift.errors import BadInput, IllegalMove
from ringrift.game import moves as m
from ringrift.game.config import GameConfig
from ringrift.game.play import Game
from ringrift.notation.gamestate import dump_game, load_game
from ringrift.notation.keys import key_of, move_of
from ringrift.notation.movejson import move_from_json, move_to_json
from ringrift.notation.replay import read_records
from tests.game.games import choose

SAMPLE = Path(__file__).resolve().parents[1] / "data" / "traces"


def reread(game: Game) -> Game:
    return load_game(json.loads(json.dumps(dump_game(game))))


def test_the_history_keeps_the_moves_from_before_loading():
    game = Game.new(GameConfig("hex8", 2))
    generator = random.Random(1)
    for _ in range(30):
        game.apply(choose(game.legal().tolist(), generator))
    other = reread(game)
    other.apply(int(other.legal()[0]))
    history = dump_game(other)["moveHistory"]
    assert history[:30] == dump_game(game)["moveHistory"]
    assert [move["moveNumber"] for move in history] == list(range(1, 32))


KEY_LETTERS = {
    *("P", "SP", "NP", "SW", "M", "C", "CC", "SC", "NM", "RL1", "RF", "RS", "SR"),
    *("PL", "LO", "NL", "E", "T", "ST", "NT", "FE"),
}


def recorded_moves() -> Iterator[tuple[Game, int, str]]:
    """Yield each ply of the small sample games: the game before it, the move and its key."""
    for path in sorted(SAMPLE.glob("*8-*.jsonl.gz")):
        for record in read_records(path):
            game = Game.new(GameConfig(record["board"], record["players"]), swap=record["swapRule"])
            for key in record["mv"]:
                move = move_of(game, key)
                yield game, move, key
                game.apply(move)


def test_every_recorded_move_survives_as_json_with_its_choices():
    seen = set()
    for game, move, key in recorded_moves():
        described = move_to_json(game, move)
        seen.add(key.partition(":")[0])
        assert None not in described.values()
        assert move_from_json(game, json.loads(json.dumps(described))) == move
        assert key.startswith(key_of(game, move))
    assert seen >= KEY_LETTERS


def test_both_options_and_every_window_of_a_recovery_survive_as_json():
    game = recovering_game()
    windows = {"RL2:3,1>3,0=0,0/1,0/2,0/3,0", "RL2:3,1>3,0=1,0/2,0/3,0/4,0"}
    payers = {"RL1:3,1>3,0@5,5", "RL1:3,1>3,0@6,6"}
    moves = {key: move_of(game, key) for key in windows | payers}
    assert len(set(moves.values())) == 4
    for key, move in moves.items():
        described = move_to_json(game, move)
        assert move_from_json(game, described) == move, key
    del described["recoveryOption"]
    assert m.move_count(move_from_json(game, {**described, "option": 2})) == 2
    for wrong in ({"collapsePositions": []}, {"extractionStacks": ["0,0"]}, {"recoveryMode": "fallback"}):
        with pytest.raises(IllegalMove):
            option = 2 if "collapsePositions" in wrong else 1
            move_from_json(game, {**described, "recoveryOption": option, **wrong})


def recovering_game() -> Game:
    state = dump_game(Game.new(GameConfig("square8", 2)))
    stack = {"rings": [2, 1], "stackHeight": 2, "capHeight": 1, "controllingPlayer": 2}
    state["board"]["stacks"] = {"5,5": stack, "6,6": stack}
    state["board"]["markers"] = {key: {"player": 1} for key in ("0,0", "1,0", "2,0", "4,0", "3,1")}
    for player in state["players"]:
        player["ringsInHand"] = 0
    return load_game({**state, "currentPhase": "movement"})


WRONG_MOVES = [
    ({}, "move.type: missing"),
    ({"type": "castle"}, "move.type: 'castle' is not one of"),
    ({"player": "1"}, "move.player: expected an integer"),
    ({"to": None}, "move.to: missing"),
    ({"to": {"x": 3}}, "move.to.y: missing"),
    ({"to": {"x": 30, "y": 3}}, "move.to: (30, 3) is not on square8"),
    ({"placementCount": 4}, "move.placementCount: 4 is not in 1..3"),
    ({"type": "move_stack"}, "move.from: missing"),
    ({"type": "process_line"}, "move.formedLines: missing"),
    (
        {"type": "choose_territory_option", "disconnectedRegions": [3]},
        "disconnectedRegions[0]: expected an obj",
    ),
]


@pytest.mark.parametrize(("change", "problem"), WRONG_MOVES, ids=[problem for _, problem in WRONG_MOVES])
def test_a_malformed_move_is_refused_with_the_field_named(change, problem):
    game = Game.new(GameConfig("square8", 2))
    move = {"type": "place_ring", "player": 1, "to": {"x": 3, "y": 3}, **change} if change else {}
    with pytest.raises(BadInput) as refused:
        move_from_json(game, move)
    assert problem in refused.value.message


@pytest.mark.parametrize(
    "change", [{"player": 2}, {"type": "no_line_action"}, {"type": "forced_elimination"}], ids=str
)
def test_a_move_that_is_not_legal_is_refused(change):
    game = Game.new(GameConfig("square8", 2))
    with pytest.raises(IllegalMove):
        move_from_json(game, {"type": "place_ring", "player": 1, "to": {"x": 3, "y": 3}, **change})


def test_a_placement_without_a_count_places_one_ring():
    game = Game.new(GameConfig("square8", 2))
    move = move_from_json(game, {"type": "place_ring", "player": 1, "to": {"x": 3, "y": 3}})
    assert key_of(game, move) == "P:3,3*1"


@pytest.mark.parametrize(
    "key", ["", "P:3,3", "P:3,3*4", "NP ", "M:3,3", "T:", "@", "RL2:1,1>1,2@0,0", "x" * 999]
)
def test_text_that_is_no_key_is_refused_as_such(key):
    with pytest.raises(BadInput, match="not a move key"):
        move_of(Game.new(GameConfig("square8", 2)), key)


@pytest.mark.parametrize("key", ["P:8,8*1", "NP", "SW", "M:0,0>1,1", "RL1:0,0>1,1@9,9", "T:0,0", "FE:0,0"])
def test_a_key_outside_the_legal_set_is_refused(key):
    with pytest.raises(IllegalMove, match="not legal here"):
        move_of(Game.new(GameConfig("square8", 2)), key)


def test_square_boards_carry_no_z_and_hex_boards_always_do():
    for board, axes in (("square8", {"x", "y"}), ("hex8", {"x", "y", "z"})):
        game = Game.new(GameConfig(board, 2))
        for key in ("P:0,0*1", "M:0,0>1,0"):
            described = move_to_json(game, move_of(game, key))
            assert set(described["to"]) == axes
            game.apply(move_of(game, key))
        assert move_to_json(game, move_of(game, "NL"))["to"] == {"x": 0, "y": 0}
        state = dump_game(game)
        assert all(set(stack["position"]) == axes for stack in state["board"]["stacks"].values())
