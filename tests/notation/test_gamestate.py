"""Reading GameState JSON: what is inferred, what is accepted in several spellings, what is refused."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import pytest

from ringrift.errors import BadInput
from ringrift.game.config import GameConfig
from ringrift.game.phases import OVER
from ringrift.game.play import Game
from ringrift.notation.canonical import canonical_state
from ringrift.notation.fields import snake_case
from ringrift.notation.gamestate import dump_game, load_game
from ringrift.notation.keys import legal_keys, move_of


def played(config: str, *keys: str) -> dict[str, Any]:
    """Return the JSON of a game after some moves."""
    game = Game.new(GameConfig.parse(config))
    for key in keys:
        game.apply(move_of(game, key))
    return dump_game(game)


OPENING = ("P:3,3*2", "M:3,3>3,6", "NL", "NT", "P:0,0*3", "M:0,0>4,0", "NL", "NT")


@pytest.fixture
def state() -> dict[str, Any]:
    return played("square8_2p", *OPENING)


def stack(rings: list[int], controller: int, cap: int) -> dict[str, Any]:
    return {"rings": rings, "stackHeight": len(rings), "controllingPlayer": controller, "capHeight": cap}


def to_snake(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key if re.search(r"[\d,]", key) else snake_case(key): to_snake(item)
            for key, item in value.items()
        }
    return [to_snake(item) for item in value] if isinstance(value, list) else value


def test_snake_case_names_and_null_fields_are_understood(state):
    expected = canonical_state(load_game(state))
    assert canonical_state(load_game(to_snake(state))) == expected
    padded = {**state, "winner": None, "mustMoveFromStackKey": None, "lpsTracking": None}
    for entry in padded["board"]["stacks"].values():
        entry["position"]["z"] = None
    assert canonical_state(load_game(padded)) == expected


def test_rings_are_read_top_first_unless_controller_and_cap_say_otherwise(state):
    state["board"]["stacks"] = {"3,6": stack([1, 1, 2], 1, 2), "3,0": stack([2], 2, 1)}
    top_first = canonical_state(load_game(state))["sk"]
    assert top_first["3,6"] == [2, 1, 1]
    state["board"]["stacks"]["3,6"]["rings"] = [2, 1, 1]
    assert canonical_state(load_game(state))["sk"] == top_first


def test_one_stack_decides_the_ring_order_of_those_that_fit_both_ways(state):
    del state["totalRingsInPlay"]
    state["board"]["stacks"] = {"3,6": stack([1, 1, 2, 1], 1, 1), "3,0": stack([1, 2], 2, 1)}
    assert canonical_state(load_game(state))["sk"]["3,6"] == [1, 1, 2, 1]
    state["board"]["stacks"]["4,4"] = stack([2, 1], 2, 1)
    with pytest.raises(BadInput, match=r"board\.stacks\.4,4: controllingPlayer 2 does not fit"):
        load_game(state)


def test_the_stack_that_must_move_follows_from_the_last_placement():
    state = played("square8_2p", *OPENING, "P:5,5*1")
    del state["mustMoveFromStackKey"]
    assert canonical_state(load_game(state))["mu"] == "5,5"
    state["moveHistory"] = []
    assert canonical_state(load_game(state))["mu"] is None
    state["mustMoveFromStackKey"] = "5,5"
    assert canonical_state(load_game(state))["mu"] == "5,5"


CAPTURING = ("P:3,3*1", "M:3,3>3,5", "NL", "NT", "P:2,5*2", "M:2,5>0,5")


def test_the_capturing_stack_follows_from_the_last_move():
    state = played("square8_2p", *CAPTURING)
    assert state["currentPhase"] == "capture"
    for missing in ("chainCapturePosition", "moveHistory"):
        del state[missing]
        assert canonical_state(load_game(state))["at"] == "0,5"
    state["board"]["stacks"]["3,1"] = stack([2], 2, 1)
    del state["totalRingsInPlay"]
    with pytest.raises(BadInput, match="chainCapturePosition: missing"):
        load_game(state)


def test_an_owed_line_elimination_follows_from_the_last_move():
    state = played("square8_2p", *OPENING)
    line = [{"x": x, "y": 7} for x in range(4)]
    state["board"]["collapsedSpaces"] = {f"{x},7": 1 for x in range(4)}
    state["players"][0]["territorySpaces"] = 4
    state["currentPhase"] = "line_processing"
    last = {"type": "process_line", "player": 1, "formedLines": [{"positions": line}]}
    state["moveHistory"].append(last)
    assert legal_keys(load_game(state)) == ["E:line:3,6"]
    last.update(type="choose_line_option", collapsedMarkers=line)
    last["formedLines"][0]["positions"] = [*line, {"x": 4, "y": 7}]
    assert legal_keys(load_game(state)) == ["NL"]
    assert legal_keys(load_game({**state, "pendingLineRewardElimination": True})) == ["E:line:3,6"]
    last["collapsedMarkers"] = last["formedLines"][0]["positions"]
    assert legal_keys(load_game({**state, "pendingLineRewardElimination": False})) == ["NL"]


def test_an_owed_territory_elimination_follows_from_the_last_move(state):
    state["currentPhase"] = "territory_processing"
    claim = {"type": "choose_territory_option", "player": 1, "disconnectedRegions": [{"spaces": []}]}
    state["moveHistory"].append(claim)
    assert legal_keys(load_game(state)) == ["E:territory:3,6"]
    claim["disconnectedRegions"] = []
    assert legal_keys(load_game(state)) == ["NT"]


def test_thresholds_of_the_state_are_honoured(state):
    state.update(victoryThreshold=7, lpsRoundsRequired=2, totalRingsInPlay=40)
    state["rulesOptions"].update(ringsPerPlayer=20, swapRuleEnabled=False)
    position = load_game(state).states[0]
    assert (position["ring_threshold"], position["lps_required"], position["rings_per_player"]) == (7, 2, 20)
    assert position["swap_rule"] == 0


def test_an_absent_territory_minimum_means_the_older_threshold():
    state = played("square8_3p")
    assert load_game(state).states[0]["territory_threshold"] == 22
    del state["territoryVictoryMinimum"]
    assert load_game(state).states[0]["territory_threshold"] == 33


def test_the_pie_rule_is_offered_from_a_loaded_state_too():
    state = played("square8_2p", *OPENING[:4])
    assert "SW" in legal_keys(load_game(state))
    state["moveHistory"].append({"type": "swap_sides", "player": 2, "to": {"x": 0, "y": 0}})
    game = load_game(state)
    assert "SW" not in legal_keys(game)
    assert canonical_state(game)["sw"] is True


@pytest.mark.parametrize("status", ["waiting", "paused"])
def test_a_game_that_is_not_active_has_no_legal_moves(state, status):
    game = load_game({**state, "gameStatus": status})
    assert (legal_keys(game), game.over) == ([], False)
    assert dump_game(game)["gameStatus"] == status


@pytest.mark.parametrize(
    ("status", "written"), [("completed", "completed"), ("finished", "completed"), ("abandoned", "abandoned")]
)
def test_a_finished_game_is_over_whatever_its_phase_says(state, status, written):
    game = load_game({**state, "gameStatus": status, "winner": 2})
    assert (game.phase, game.winner, legal_keys(game)) == (OVER, 2, [])
    assert dump_game(game)["gameStatus"] == written


def test_a_paused_game_is_not_over(state):
    with pytest.raises(BadInput, match="currentPhase: game_over, but gameStatus is paused"):
        load_game({**state, "gameStatus": "paused", "currentPhase": "game_over"})


@pytest.mark.parametrize("total", [0, 36])
def test_hands_are_counted_where_the_rings_in_play_are_told(state, total):
    state["totalRingsInPlay"] = total
    state["players"][0]["ringsInHand"] = 18
    with pytest.raises(BadInput, match="players: player 1 has 20 rings, there are 18"):
        load_game(state)


@pytest.mark.parametrize("told", [True, False])
def test_rings_out_of_hand_are_always_counted(state, told):
    if not told:
        del state["totalRingsInPlay"]
    state["board"]["stacks"] |= {f"{x},7": stack([1] * 6, 1, 6) for x in range(3)}
    with pytest.raises(BadInput, match=r"board\.stacks: 20 rings of player 1, there are 18"):
        load_game(state)
    del state["board"]["stacks"]["2,7"]
    state["players"][0].update(ringsInHand=0, eliminatedRings=30)
    with pytest.raises(BadInput, match=r"players: \d+ rings in all, there are 36"):
        load_game(state)


def test_phase_game_over_ends_an_active_game_without_a_winner(state):
    game = load_game({**state, "currentPhase": "game_over"})
    assert (game.over, game.winner) == (True, 0)


def test_unknown_fields_and_the_history_are_ignored(state):
    expected = canonical_state(load_game(state))
    assert canonical_state(load_game({**state, "history": 7, "novel": [{}]})) == expected


DELETE = object()
CHANGES: list[tuple[str, Any, str]] = [
    ("board", DELETE, "board: missing"),
    ("board.stacks", DELETE, "board.stacks: missing"),
    ("board.markers", DELETE, "board.markers: missing"),
    ("board.stacks", [], "board.stacks: expected an object"),
    ("board.type", "hex8", "board.type: hex8, but boardType is square8"),
    ("board.type", "hex9", "board.type: 'hex9' is not one of"),
    ("board.size", 9, "board.size: 9, but square8 has 8"),
    ("board.stacks.3,6.rings", [1, True], "rings: True is not a seat"),
    ("board.stacks.3,6.rings", [1, 3], "rings: 3 is not a seat in 1..2"),
    ("board.stacks.3,6.rings", [], "rings: 0 rings"),
    ("board.stacks.3,6.rings", [1] * 9, "rings: 9 rings, a stack has 1..8"),
    ("board.stacks.3,6.stackHeight", 3, "stackHeight: 3, but there are 2 rings"),
    ("board.stacks.3,6.capHeight", 1, "capHeight 1 does not fit"),
    ("board.stacks.3,6.controllingPlayer", 2, "controllingPlayer 2 does not fit"),
    ("board.stacks.3,6.position", {"x": 3, "y": 5}, "position: another cell than the key"),
    ("board.stacks.3,6.position", {"x": 3, "y": 6, "z": -9}, "position.z: -9 does not belong"),
    ("board.markers.3,6", {"player": 1}, "board.markers: 3,6 also stands in board.stacks"),
    ("board.markers.8,0", {"player": 1}, "board.markers: '8,0' is no cell of square8"),
    ("board.markers.3,3.player", 3, "player: 3 is not in 1..2"),
    ("board.markers.3,3.type", "collapsed", "type: 'collapsed' is not 'regular'"),
    ("board.collapsedSpaces", {"3,3": 1}, "board.collapsedSpaces: 3,3 also stands in board.markers"),
    ("board.collapsedSpaces", {"5,5": 1.0}, "5,5: expected an integer, found 1.0"),
    ("board.collapsedSpaces", {"5,5": 1}, "territorySpaces: 0, but 1 collapsed"),
    ("players", [], "players: 0 entries"),
    ("players", DELETE, "players: missing"),
    ("players.0.playerNumber", 2, "playerNumber: 2 appears twice"),
    ("players.0.ringsInHand", DELETE, "players[0].ringsInHand: missing"),
    ("players.0.ringsInHand", 17, "player 1 has 19 rings, there are 18"),
    ("players.0.ringsInHand", 19, "ringsInHand: 19 is not in 0..18"),
    ("players.0.eliminatedRings", 1, "players: 37 rings in all, there are 36"),
    ("players.0.eliminatedRings", -1, "eliminatedRings: -1 is not in"),
    ("players.0.ringsInHand", float("nan"), "ringsInHand: expected an integer, found nan"),
    ("players.0.ringsInHand", "3", "ringsInHand: expected an integer, found '3'"),
    ("players.0.ringsInHand", 10**5000, "ringsInHand: int is not in"),
    ("currentPlayer", 3, "currentPlayer: 3 is not in 1..2"),
    ("currentPlayer", DELETE, "currentPlayer: missing"),
    ("currentPhase", "dreaming", "currentPhase: 'dreaming' is not one of"),
    ("currentPhase", "chain_capture", "chainCapturePosition: missing"),
    ("currentPhase", "capture", "chainCapturePosition: missing"),
    ("gameStatus", "won", "gameStatus: 'won' is not one of"),
    ("victoryThreshold", DELETE, "victoryThreshold: missing"),
    ("victoryThreshold", 0, "victoryThreshold: 0 is not in"),
    ("rulesOptions", {"swapRuleEnabled": 1}, "swapRuleEnabled: expected true or false"),
    ("moveHistory", [{"type": "castle", "player": 1}], "moveHistory[0].type: 'castle' is not one of"),
    ("moveHistory", [{"type": "resign", "player": 3}], "moveHistory[0].player: 3 is not in 1..2"),
    ("moveHistory", {}, "moveHistory: expected an array"),
    ("pendingLineRewardElimination", True, "true outside of line_processing"),
    ("lpsCurrentRoundFirstPlayer", 3, "lpsCurrentRoundFirstPlayer: 3 is not in 0..2"),
    ("lpsConsecutiveExclusiveRounds", 2, "Rounds: 2, but lpsConsecutiveExclusivePlayer is missing"),
    ("lpsCurrentRoundActorMask", {"3": True}, "lpsCurrentRoundActorMask: '3' is not one of 1, 2"),
    ("totalRingsInPlay", 37, "totalRingsInPlay: 37, but 2 players have 18 each"),
    ("winner", 2, "winner: 2, but gameStatus is active"),
    ("current_player", 2, "currentPlayer: 1, but current_player is 2"),
    ("chainCapturePosition", {"x": 9, "y": 9}, "chainCapturePosition: (9, 9) is not on square8"),
    ("chainCapturePosition", [], "chainCapturePosition: expected an object"),
    ("mustMoveFromStackKey", "9,9", "mustMoveFromStackKey: '9,9' is no cell of square8"),
    ("turnFacts", {"acted": 1}, "turnFacts.acted: expected true or false"),
    ("turnFacts", {"seatsMoved": [3]}, "turnFacts.seatsMoved: 3 is not a seat in 1..2"),
    ("turnFacts", {"lastActor": 1}, "turnFacts.lastActor: 1, but player 2 made the last move"),
    ("turnFacts", {"regionClaimed": True}, "turnFacts.regionClaimed: true outside of territory_processing"),
    ("turnFacts", {"endReason": "stalemate"}, "turnFacts.endReason: given, but gameStatus is active"),
    ("turnFacts", {"endReason": "boredom"}, "turnFacts.endReason: 'boredom' is not one of"),
]


def changed(state: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    state = copy.deepcopy(state)
    *parents, name = path.split(".")
    place: Any = state
    for parent in parents:
        place = place[int(parent)] if isinstance(place, list) else place[parent]
    if value is DELETE:
        del place[name]
    else:
        place[int(name) if isinstance(place, list) else name] = value
    return state


@pytest.mark.parametrize(("path", "value", "problem"), CHANGES, ids=[f"{c[0]}: {c[2]}" for c in CHANGES])
def test_an_impossible_position_is_refused_with_the_field_named(state, path, value, problem):
    with pytest.raises(BadInput) as refused:
        load_game(changed(state, path, value))
    assert problem in refused.value.message
    assert "\n" not in refused.value.line()


@pytest.mark.parametrize(
    ("phase", "extra", "problem"),
    [
        ("forced_elimination", {}, "no legal move"),
        ("movement", {"mustMoveFromStackKey": "3,6"}, "no stack of player 2 stands there"),
        ("movement", {"mustMoveFromStackKey": "9,9"}, "'9,9' is no cell"),
        ("chain_capture", {"chainCapturePosition": {"x": 4, "y": 0}}, "but there is no legal move"),
        ("capture", {"chainCapturePosition": {"x": 3, "y": 6}}, "no stack of player 2 stands there"),
        ("chain_capture", {"chainCapturePosition": {"x": 3, "y": 60}}, "(3, 60) is not on square8"),
    ],
)
def test_a_phase_that_does_not_fit_the_board_is_refused(state, phase, extra, problem):
    state.update(currentPhase=phase, currentPlayer=2, moveHistory=[], **extra)
    if phase == "forced_elimination":
        state["currentPlayer"] = 1
        del state["board"]["stacks"]["3,6"]
    with pytest.raises(BadInput, match=re.escape(problem)):
        load_game(state)


@pytest.mark.parametrize("value", [None, 3, "x", [], [[]], True, float("inf"), {}, {"board": 7}])
def test_anything_but_a_game_state_is_refused(value):
    with pytest.raises(BadInput):
        load_game(value)


def test_hand_made_positions_may_hold_other_numbers_of_rings(state):
    del state["totalRingsInPlay"]
    state["players"][0]["ringsInHand"] = 18
    assert canonical_state(load_game(state))["hd"] == [18, 15]
    assert load_game(json.loads(json.dumps(dump_game(load_game(state))))).player == 1
    state["players"][0]["ringsInHand"] = 2
    assert canonical_state(load_game(state))["hd"] == [2, 15]


def bare(config: str, **changes: Any) -> dict[str, Any]:
    """Return the opening position, which tells nothing of earlier moves, with some fields changed."""
    return {**played(config), **changes}


CLAIM = {"regionClaimed": True, "acted": True, "lastActor": 1, "seatsMoved": [1, 2, 3]}
BY_1, BY_2 = {"lastActor": 1, "seatsMoved": [1, 2]}, {"lastActor": 2, "seatsMoved": [1, 2]}
NO_LINE, OTHERS_MOVE = ({"type": "no_line_action", "player": seat} for seat in (1, 2))
LINE_DEBT = {"currentPhase": "line_processing", "pendingLineRewardElimination": True}


@pytest.mark.parametrize(
    ("facts", "changes", "problem"),
    [
        ({"acted": True, **BY_2}, {}, "acted: true, but player 1 has made no such move since the others"),
        ({"acted": True, "seatsMoved": [2]}, {}, "acted: true, but player 1 has made no such move"),
        ({"acted": True}, {"moveHistory": [OTHERS_MOVE]}, "acted: true, but player 1 has made no such"),
        ({"acted": True}, {"moveHistory": [OTHERS_MOVE, NO_LINE]}, "acted: true, but player 1 has made no"),
        ({"acted": True, "recovered": True, **BY_2}, {}, "acted: true, but player 1 has made no such move"),
        ({"recovered": True}, {}, "recovered: true, but acted is not"),
        ({"recovered": True, **BY_1}, {"moveHistory": [NO_LINE]}, "recovered: true, but acted is not"),
        ({"recovered": True}, {"moveHistory": [OTHERS_MOVE]}, "recovered: true, but player 1 has made no"),
        ({"swapped": True}, {}, "swapped: true, but 3 players have no pie rule"),
        ({"lastActor": 1}, {}, "lastActor: 1, but seatsMoved is without that seat"),
        ({"acted": True, "lastActor": 2}, {}, "lastActor: 2, but seatsMoved is without that seat"),
        ({"lastActor": 1, "seatsMoved": [2, 3]}, {}, "lastActor: 1, but seatsMoved is without that seat"),
        (CLAIM, {}, "regionClaimed: true outside of territory_processing"),
        (CLAIM, LINE_DEBT, "regionClaimed: true outside of territory_processing"),
        (CLAIM, {"gameStatus": "completed"}, "regionClaimed: true outside of territory_processing"),
        (CLAIM, {"currentPhase": "game_over"}, "regionClaimed: true outside of territory_processing"),
        (
            {"regionClaimed": True, **BY_1},
            {"currentPhase": "territory_processing"},
            "regionClaimed: true, but acted is not",
        ),
        (
            CLAIM,
            {"currentPhase": "territory_processing", "moveHistory": [NO_LINE]},
            "regionClaimed: true, but the last move is a no_line_action",
        ),
    ],
)
def test_facts_that_contradict_each_other_the_history_or_the_phase_are_refused(facts, changes, problem):
    with pytest.raises(BadInput, match=f"^turnFacts.{re.escape(problem)}"):
        load_game(bare("square8_3p", turnFacts=facts, **changes))


def test_a_swap_of_more_than_two_players_is_refused():
    swap = {"type": "swap_sides", "player": 2}
    with pytest.raises(BadInput, match="moveHistory: holds a swap_sides, but 3 players have no pie rule"):
        load_game(bare("square8_3p", moveHistory=[swap]))


@pytest.mark.parametrize(
    ("facts", "changes"),
    [
        ({"acted": True}, {}),
        ({"acted": True, **BY_1}, {}),
        ({"acted": True, "recovered": True, **BY_1}, {}),
        ({"acted": True, "seatsMoved": [1, 2, 3]}, {}),
        ({"acted": True, "seatsMoved": [1, 2, 3]}, {"moveHistory": [NO_LINE]}),
        (BY_2, {}),
        ({"seatsMoved": [2]}, {}),
    ],
)
def test_facts_that_fit_are_kept(facts, changes):
    game = load_game(bare("square8_3p", turnFacts=facts, **changes))
    written = dump_game(game)
    assert written["turnFacts"] == facts
    assert load_game(written).states.tobytes() == game.states.tobytes()


def test_two_players_may_have_swapped():
    facts = {"swapped": True, "seatsMoved": [1, 2], "lastActor": 2}
    assert load_game(bare("square8_2p", turnFacts=facts)).states[0]["swapped"] == 1
