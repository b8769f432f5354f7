"""A move is one integer that keeps its fields apart."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringrift.errors import IllegalMove
from ringrift.game import moves as m
from ringrift.game.apply import OK, UNKNOWN_MOVE, apply
from ringrift.game.config import GameConfig
from ringrift.game.play import Game
from tests.game.games import opening, plies

CELL = st.integers(0, 511)


@settings(deadline=None)
@given(st.integers(0, 18), CELL, CELL, CELL, st.integers(0, 31), st.integers(0, 511), CELL)
def test_packed_fields_come_back(kind, source, target, to, count, aux, extraction):
    move = m.pack(kind, source, target, to, count, aux, extraction)
    read = (m.move_type, m.move_from, m.move_target, m.move_to, m.move_count, m.move_aux, m.move_extraction)
    assert [field(move) for field in read] == [kind, source, target, to, count, aux, extraction]
    assert list(m.unpack(move)) == [kind, source, target, to, count, aux, extraction]
    assert m.recovery_mode(move) + 4 * m.recovery_axis(move) + 16 * m.recovery_window(move) == aux
    assert m.line_axis(move) + 4 * m.line_window(move) == aux
    assert m.move_extraction(m.with_extraction(move, 77)) == 77
    assert m.recovery_window(m.with_window(move, 9)) == 9


def test_every_type_has_a_wire_name():
    assert len(set(m.MOVE_NAMES)) == m.FORCED_ELIMINATION + 1


def test_a_game_refuses_a_move_outside_its_legal_set_and_stays_as_it_was():
    game = Game.new(GameConfig("square8", 2))
    before = game.states.tobytes()
    for move in (m.SKIP_PLACEMENT, m.at_cell(m.PLACE_RING, 0, 4), 31, -1, 2**62, 2**63, 2**70):
        with pytest.raises(IllegalMove):
            game.apply(int(move))
    assert game.states.tobytes() == before
    assert game.played == []


@pytest.mark.parametrize("board", ["square8", "hex8", "hexagonal"])
def test_any_number_is_judged_in_every_phase_and_only_legal_ones_pass(board):
    generator = random.Random(board)
    game = opening(GameConfig(board, 3), 4)
    for legal, _ in plies(game, generator):
        before = game.states.tobytes()
        for _ in range(6):
            number = generator.getrandbits(55)
            slide = number & ~31 | m.RECOVERY_SLIDE
            for move in (number, slide, m.with_extraction(generator.choice(legal), generator.randrange(512))):
                if not game.is_legal(move):
                    with pytest.raises(IllegalMove):
                        game.apply(move)
                else:
                    assert move in legal or m.unpack(move).kind == m.RECOVERY_SLIDE
        assert game.states.tobytes() == before


def test_apply_answers_unknown_types_with_a_code_and_changes_nothing():
    game = Game.new(GameConfig("square8", 2))
    before = game.states.tobytes()
    assert apply(game.geo, game.states, 0, game.scratch, 25) == UNKNOWN_MOVE
    assert game.states.tobytes() == before
    assert apply(game.geo, game.states, 0, game.scratch, int(game.legal()[0])) == OK


def test_a_copied_game_goes_its_own_way():
    game = Game.new(GameConfig("hex8", 2))
    game.apply(int(game.legal()[0]))
    other = game.copy()
    other.apply(int(other.legal()[0]))
    assert len(game.played) == 1
    assert len(other.played) == 2
    assert game.states.tobytes() != other.states.tobytes()
