"""The worked examples of section 8 of the rules, by number."""

from __future__ import annotations

from typing import Any

import pytest

from ringrift.errors import IllegalMove
from ringrift.game.config import GameConfig
from ringrift.game.phases import OVER, REASON_NAMES
from ringrift.game.play import Game
from ringrift.game.turn import end_turn
from ringrift.notation.canonical import canonical_state, lps_counters
from ringrift.notation.fingerprint import fingerprint
from ringrift.notation.keys import legal_keys, move_of


def view(game: Game) -> dict[str, Any]:
    """Return the canonical state with stacks top first, as the examples write them."""
    state = canonical_state(game)
    state["sk"] = {cell: rings[::-1] for cell, rings in state["sk"].items()}
    return state


def test_example_1_an_opening_turn_passes_through_every_phase(play):
    game = Game.new(GameConfig("square8", 2))
    play(game, "P:3,3*2")
    assert (view(game)["hd"], view(game)["ph"], view(game)["mu"]) == ([16, 18], "movement", "3,3")
    play(game, "M:3,3>3,6")
    state = view(game)
    assert (state["sk"], state["mk"], state["ph"]) == ({"3,6": [1, 1]}, {"3,3": 1}, "line_processing")
    assert fingerprint(game) == "9d9939fe8c2ac54d"
    play(game, "NL", "NT")
    assert (view(game)["cp"], view(game)["ph"]) == (2, "ring_placement")


def test_example_2_crossing_collapses_own_markers_and_flips_others(position, play):
    game = position(stacks={(1, 1): [1, 1]}, markers={(2, 1): 1, (3, 1): 2, (4, 1): 1, (5, 1): 2})
    play(game, "M:1,1>5,1")
    state = view(game)
    assert state["sk"] == {"5,1": [1]}
    assert state["co"] == {"2,1": 1, "4,1": 1}
    assert state["mk"] == {"1,1": 1, "3,1": 1}
    assert (state["te"], state["el"]) == ([2, 0], [1, 0])


def test_example_3_a_lone_ring_vanishes_with_the_marker_it_lands_on(position, play):
    game = position(stacks={(1, 1): [1], (7, 7): [2]}, markers={(2, 1): 2})
    play(game, "M:1,1>2,1")
    state = view(game)
    assert (state["sk"], state["mk"]) == ({"7,7": [2]}, {"1,1": 1})
    assert (state["el"], state["ph"]) == ([1, 0], "line_processing")


def test_example_4_a_chain_may_turn_back_and_recapture(position, play):
    game = position(stacks={(0, 3): [1, 1], (2, 3): [2, 1, 2], (3, 6): [2], (7, 7): [1]})
    play(game, "C:0,3^2,3>3,3")
    state = view(game)
    assert (state["sk"]["3,3"], state["sk"]["2,3"], state["mk"]) == ([1, 1, 2], [1, 2], {"0,3": 1})
    assert legal_keys(game) == ["CC:3,3^2,3>0,3", "CC:3,3^3,6>3,7"]
    play(game, "CC:3,3^2,3>0,3")
    state = view(game)
    assert (state["sk"]["0,3"], state["sk"]["2,3"]) == ([1, 2, 1], [2])
    assert (state["mk"], state["el"]) == ({"3,3": 1}, [1, 0])
    play(game, "CC:0,3^2,3>4,3")
    state = view(game)
    assert state["sk"]["4,3"] == [1, 2, 1, 2]
    assert "2,3" not in state["sk"]
    assert (state["co"], state["mk"], state["te"]) == ({"3,3": 1}, {"0,3": 1}, [1, 0])
    assert state["ph"] == "line_processing"


def test_example_5_a_capture_may_give_the_stack_away(position, play):
    game = position(stacks={(0, 0): [1], (1, 1): [2], (7, 0): [1], (7, 7): [2]}, markers={(2, 2): 2})
    play(game, "C:0,0^1,1>2,2")
    state = view(game)
    assert (state["sk"]["2,2"], state["el"], state["ph"]) == ([2], [1, 0], "line_processing")


def test_example_6_a_self_capture_grows_the_cap_and_must_go_on(position, play):
    game = position(stacks={(0, 0): [1, 1], (2, 2): [1, 2]})
    play(game, "C:0,0^2,2>3,3")
    assert view(game)["sk"] == {"3,3": [1, 1, 1], "2,2": [2]}
    assert game.states[0]["cap"][27] == 3
    assert legal_keys(game) == ["CC:3,3^2,2>0,0"]


def test_example_7_an_exact_line_costs_one_ring_and_an_explicit_no_line_action(position, play):
    game = position(
        stacks={(3, 0): [1], (6, 6): [1, 1, 2], (7, 3): [2]}, markers={(0, 0): 1, (1, 0): 1, (2, 0): 1}
    )
    play(game, "M:3,0>3,1", "PL:0,0/1,0/2,0/3,0")
    assert (view(game)["te"], view(game)["pe"]) == ([4, 0], "line")
    assert legal_keys(game) == ["E:line:3,1", "E:line:6,6"]
    play(game, "E:line:6,6")
    state = view(game)
    assert (state["sk"]["6,6"], state["el"], state["ph"]) == ([1, 2], [1, 0], "line_processing")
    play(game, "NL", "NT")
    assert view(game)["cp"] == 2


def test_example_8_option_2_of_a_longer_line_is_free_and_goes_straight_on(position, play):
    game = position(
        stacks={(4, 0): [1], (6, 6): [1, 1, 2], (7, 3): [2]}, markers={(x, 0): 1 for x in range(4)}
    )
    play(game, "M:4,0>4,1")
    run = "0,0/1,0/2,0/3,0/4,0"
    assert legal_keys(game) == [f"LO:{run}|0,0/1,0/2,0/3,0", f"LO:{run}|{run}", f"LO:{run}|1,0/2,0/3,0/4,0"]
    play(game, f"LO:{run}|1,0/2,0/3,0/4,0")
    state = view(game)
    assert (state["te"], state["mk"], state["pe"]) == ([4, 0], {"0,0": 1}, None)
    assert state["ph"] == "territory_processing"


def test_example_9_a_region_takes_border_markers_of_any_colour_with_it(position, play):
    game = position(
        stacks={(2, 0): [1], (0, 0): [2, 1], (5, 5): [1, 1, 2], (7, 7): [2]},
        markers={(0, 2): 1, (1, 2): 1, (2, 1): 1, (2, 2): 2},
    )
    play(game, "M:2,0>5,0", "NL", "T:0,0/0,1/1,0/1,1")
    state = view(game)
    assert (state["te"], state["el"], state["pe"]) == ([9, 0], [2, 0], "territory")
    assert state["co"]["2,2"] == 1
    play(game, "E:territory:5,5")
    state = view(game)
    assert (state["sk"]["5,5"], state["el"]) == ([2], [4, 0])
    assert (state["cp"], state["ph"]) == (2, "ring_placement")


def test_example_10_a_blocked_turn_ends_in_a_forced_elimination(position, play):
    game = position(
        stacks={(0, 0): [1, 2, 1], (1, 0): [2, 2], (0, 1): [2, 2], (1, 1): [2, 2]}, phase="ring_placement"
    )
    for key in ("NP", "NM", "NL"):
        assert legal_keys(game) == [key]
        play(game, key)
    assert legal_keys(game) == ["FE:0,0"]
    play(game, "FE:0,0")
    state = view(game)
    assert (state["sk"]["0,0"], state["el"], state["cp"]) == ([2, 1], [1, 0], 2)


BURIED = (2, 1, 2, 1)


def test_example_11a_a_line_slide_rules_out_the_other_slides(position, play):
    game = position(
        stacks={(5, 5): BURIED, (6, 2): [2, 1]}, markers={(0, 0): 1, (1, 0): 1, (2, 0): 1, (4, 1): 1}
    )
    assert legal_keys(game) == ["RL1:4,1>3,0", "SR"]
    play(game, "RL1:4,1>3,0@5,5")
    state = view(game)
    assert (state["te"], state["sk"]["5,5"], state["el"]) == ([4, 0], [2, 1, 2], [1, 0])
    assert legal_keys(game) == ["NL"]


def test_example_11b_without_a_line_there_are_fallback_slides_and_strikes(position, play):
    game = position(stacks={(5, 5): BURIED, (6, 2): [2]}, markers={(5, 2): 1})
    keys = legal_keys(game)
    assert sum(key.startswith("RF:") for key in keys) == 7
    assert [key for key in keys if key.startswith("RS:")] == ["RS:5,2>6,2"]
    assert len(keys) == 9
    assert "SR" in keys
    play(game, "RF:5,2>4,2")
    state = view(game)
    assert (state["mk"], state["sk"]["5,5"], state["el"]) == ({"4,2": 1}, [2, 1, 2], [1, 0])


LONG_RUN = {(0, 0): 1, (1, 0): 1, (2, 0): 1, (4, 0): 1, (3, 1): 1}


def test_example_11c_option_1_collapses_the_whole_run_for_one_ring(position, play):
    game = position(stacks={(5, 5): BURIED}, markers=LONG_RUN)
    assert legal_keys(game) == ["RL1:3,1>3,0", "RL1:4,0>3,0", "RL2:3,1>3,0", "SR"]
    play(game, "RL1:3,1>3,0")
    assert (view(game)["te"], view(game)["el"]) == ([5, 0], [1, 0])


def test_example_11c_option_2_collapses_the_required_cells_for_free(position, play):
    game = position(stacks={(5, 5): BURIED}, markers=LONG_RUN)
    play(game, "RL2:3,1>3,0=0,0/1,0/2,0/3,0")
    state = view(game)
    assert (state["te"], state["mk"], state["el"]) == ([4, 0], {"4,0": 1}, [0, 0])


def test_example_11d_a_strike_may_bring_a_ring_back_on_top(position, play):
    game = position(stacks={(5, 5): BURIED, (6, 2): [2, 1]}, markers={(5, 2): 1})
    play(game, "RS:5,2>6,2@5,5")
    state = view(game)
    assert (state["mk"], state["sk"], state["el"]) == ({}, {"6,2": [1], "5,5": [2, 1, 2]}, [2, 0])


def test_example_11d_the_struck_stack_itself_may_pay(position, play):
    game = position(stacks={(5, 5): BURIED, (6, 2): [2, 1]}, markers={(5, 2): 1})
    play(game, "RS:5,2>6,2@6,2")
    state = view(game)
    assert (state["sk"], state["el"]) == ({"5,5": list(BURIED)}, [2, 0])


def test_a_recovery_slide_is_refused_with_a_payer_or_window_that_does_not_fit(position):
    game = position(stacks={(5, 5): BURIED}, markers=LONG_RUN)
    for key in ("RL1:3,1>3,0@6,6", "RL2:3,1>3,0=0,0/1,0/2,0/4,0", "RL2:4,0>3,0"):
        with pytest.raises(IllegalMove):
            move_of(game, key)


def test_example_12_the_only_seat_with_actions_wins_after_three_rounds(position, play):
    game = position(stacks={(3, 3): [1, 2]}, phase="ring_placement")
    streaks = []
    for path in ("3,3>5,3", "5,3>5,5", "5,5>3,5", "3,5>3,7"):
        if streaks:
            play(game, "NP", "NM", "NL", "NT")
        play(game, "NP", f"M:{path}", "NL", "NT")
        counters = lps_counters(game)
        streaks.append((counters[1], counters[2]))
    assert streaks == [(2, 0), (2, 1), (2, 2), (2, 3)]
    assert not game.over
    play(game, "NP", "NM", "NL", "NT")
    assert (game.winner, REASON_NAMES[game.states[0]["reason"]]) == (1, "last_player_standing")


WALLED_CORNER = {(1, 0): 2, (0, 1): 2, (1, 1): 2}


def test_example_13_the_rest_of_the_board_is_a_region_and_wins_only_when_the_turn_ends(position, play):
    game = position(
        stacks={(0, 0): [1, 2], (5, 5): [2, 2]}, collapsed=WALLED_CORNER, phase="territory_processing"
    )
    claims = [key for key in legal_keys(game) if key.startswith("T:")]
    assert [len(key.split("/")) for key in claims] == [60]
    play(game, claims[0])
    assert (view(game)["te"], game.over) == ([60, 3], False)
    assert legal_keys(game) == ["E:territory:0,0"]
    play(game, "E:territory:0,0")
    assert (game.over, game.winner) == (True, 1)


@pytest.mark.parametrize(("markers", "claimable"), [({}, False), ({(7, 7): 2}, True)])
def test_example_13_an_empty_sealed_pocket_needs_a_marker_somewhere(position, markers, claimable):
    game = position(
        stacks={(5, 5): [1], (6, 6): [2]},
        markers=markers,
        collapsed=WALLED_CORNER,
        phase="territory_processing",
    )
    assert ("T:0,0" in legal_keys(game)) is claimable


def test_example_14_each_placement_count_is_judged_for_itself(position):
    wall = {(1, 0): [2, 2, 2], (0, 1): [2, 2, 2], (1, 1): [2, 2, 2]}
    game = position(stacks={**wall, (2, 2): [2]}, hands=[5, 0], phase="ring_placement")
    keys = legal_keys(game)
    assert [key for key in keys if key.startswith("P:0,0")] == ["P:0,0*3"]
    assert {"P:1,1*1", "P:2,2*1"} <= set(keys)
    assert not {"P:1,1*2", "SP"} & set(keys)


def test_example_15_borders_on_hex8_spread_along_two_offsets_that_are_not_adjacent(position, play):
    game = position(
        "hex8_2p",
        stacks={(-4, 0): [2], (0, 0): [1, 1], (4, 0): [2, 1]},
        markers={(-4, 1): 1, (-3, 0): 1, (-3, -1): 1, (-3, 2): 2, (-2, 1): 2, (-1, 2): 2},
        phase="territory_processing",
    )
    play(game, "T:-4,0")
    assert (view(game)["te"], view(game)["el"], view(game)["mk"]) == ([7, 0], [1, 0], {})


def test_example_16_a_ring_threshold_met_during_a_turn_wins_at_its_end(position, play):
    game = position(stacks={(1, 1): [1, 1], (6, 6): [2]}, markers={(3, 1): 2}, eliminated=[17, 0])
    play(game, "M:1,1>3,1")
    assert (view(game)["el"], view(game)["ph"]) == ([18, 0], "line_processing")
    play(game, "NL", "NT")
    assert (game.winner, REASON_NAMES[game.states[0]["reason"]]) == (1, "ring_elimination")


def test_example_17_the_pie_rule_is_offered_once_to_seat_2(play):
    game = Game.new(GameConfig("square8", 2), swap=True)
    play(game, "P:3,3*2", "M:3,3>3,6", "NL", "NT")
    assert "SW" in legal_keys(game)
    play(game, "SW")
    assert (view(game)["cp"], view(game)["ph"], view(game)["sw"]) == (2, "ring_placement", True)
    assert "SW" not in legal_keys(game)
    play(game, "P:0,0*1")
    assert view(game)["sk"]["0,0"] == [2]


def test_example_18_the_stalemate_ladder_is_lexicographic(position):
    spaces = [(x, y) for y in range(2) for x in range(5)]
    owners = {cell: 1 if cell[1] == 0 else 2 for cell in spaces}
    game = position(
        "square8_3p",
        stacks={},
        collapsed=owners,
        eliminated=[1, 2, 9],
        phase="territory_processing",
    )
    end_turn(game.geo, game.states, 0)
    assert (game.phase, game.winner) == (OVER, 2)
