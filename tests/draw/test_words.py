"""Moves, phases and endings in words."""

from __future__ import annotations

import pytest

from ringrift.draw.panel import players, turn, wrapped
from ringrift.draw.words import describe, ending, phase_words
from ringrift.game.config import ALL_CONFIGS, GameConfig
from ringrift.game.moves import MOVE_NAMES, unpack
from ringrift.notation.keys import move_of
from tests.draw.conftest import sample
from tests.game.conftest import make_position

LINE_STACKS = {(3, 0): [1], (6, 6): [1, 1, 2], (7, 3): [2]}


def test_moves_are_told_with_their_cells() -> None:
    opening = sample(GameConfig("square8", 2)).at(0)
    assert describe(opening, move_of(opening, "P:3,4*2")) == "places 2 rings on 3,4"
    capture = make_position(stacks={(0, 3): [1, 1], (2, 3): [2]})
    assert describe(capture, move_of(capture, "C:0,3^2,3>3,3")) == "captures from 0,3 over 2,3 to 3,3"
    assert describe(capture, move_of(capture, "M:0,3>0,5")) == "moves 0,3 to 0,5"


def test_a_line_and_its_price_are_told() -> None:
    game = make_position(stacks=LINE_STACKS, markers={(0, 0): 1, (1, 0): 1, (2, 0): 1})
    game.apply(move_of(game, "M:3,0>3,1"))
    line = move_of(game, "PL:0,0/1,0/2,0/3,0")
    assert describe(game, line) == "collapses the line of 4: 0,0 to 3,0"
    game.apply(line)
    assert phase_words(game) == "line processing: owes for the line"
    paid = move_of(game, "E:line:6,6")
    assert describe(game, paid) == "pays for the line: eliminates the top ring of 6,6"


def test_every_kind_of_move_in_the_recorded_games_has_words() -> None:
    seen = set()
    for config in ALL_CONFIGS:
        game = sample(config)
        for ply in range(1, game.plies + 1):
            kind = unpack(game.moves[ply - 1]).kind
            if kind not in seen:
                seen.add(kind)
                words = game.words(ply)
                assert words[0] in "ABCD" and words[1] == " " and "None" not in words and len(words) > 8
    assert len(seen) >= len(MOVE_NAMES) - 2


@pytest.mark.parametrize("config", ALL_CONFIGS, ids=lambda config: config.key)
def test_the_counters_fit_into_eighteen_columns(config: GameConfig) -> None:
    game = sample(config)
    for ply in range(0, game.plies + 1, 25):
        assert all(len(line) <= 18 for line, _ in players(game.at(ply)))
    assert players(game.at(0))[0][0].split() == ["hand", "elim", "terr"]


def test_a_finished_game_says_who_won_and_why() -> None:
    natural = next(game for game in map(sample, ALL_CONFIGS) if game.at(game.plies).over)
    final = natural.at(natural.plies)
    assert ending(final).startswith(f"{'-ABCD'[final.winner]} wins: ")
    assert turn(final)[0] == (ending(final), final.winner)
    assert any("★" in line for line, _ in players(final))


def test_lines_are_broken_at_words() -> None:
    broken = wrapped([("one two three four", 1)], 9)
    assert all(len(line) <= 9 and tone == 1 for line, tone in broken)
    assert " ".join("".join(line for line, _ in broken).split()) == "one two three four"
