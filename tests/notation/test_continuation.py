"""A game loaded at any ply is the game that was written: the same position, and the same game from there."""

from __future__ import annotations

import json
import random

import pytest

from ringrift.game.config import ALL_CONFIGS, GameConfig
from ringrift.game.phases import REASON_NAMES
from ringrift.game.play import Game
from ringrift.notation.canonical import canonical_state, lps_counters
from ringrift.notation.gamestate import dump_game, load_game
from tests.game.games import choose, opening, plies, same_position

SUPPLIES = (None, 6, 4)
"""Rings per player: the board's own number, and few enough for recoveries and forced eliminations."""
every_config = pytest.mark.parametrize("config", ALL_CONFIGS, ids=lambda config: config.key)


def reread(game: Game) -> Game:
    return load_game(json.loads(json.dumps(dump_game(game))))


def without_history(game: Game) -> Game:
    """Return the position alone, as a search knows it."""
    return Game(game.config, game.states.copy())


def assert_same(game: Game, other: Game) -> None:
    assert same_position(game, other) == ""
    assert canonical_state(other) == canonical_state(game)
    assert lps_counters(other) == lps_counters(game)
    assert other.states[0]["reason"] == game.states[0]["reason"]


def step(config: GameConfig) -> int:
    """Every how many plies a game with its history is reread; writing it replays all of it."""
    return 1 if config.cells < 100 else 30


@every_config
def test_every_position_of_a_game_is_reread_exactly(config):
    for supply in SUPPLIES:
        game = opening(config, supply)
        generator = random.Random(f"{config.key} {supply}")
        for ply, (legal, _) in enumerate(plies(game, generator)):
            if ply % step(config) == 0:
                other = reread(game)
                assert_same(game, other)
                assert other.legal().tolist() == legal
                assert dump_game(other) == dump_game(game)
        assert_same(game, reread(game))
        assert reread(game).winner == game.winner > 0


@every_config
def test_a_position_without_its_history_is_reread_exactly(config):
    told = set()
    for supply in SUPPLIES:
        game = opening(config, supply)
        generator = random.Random(f"bare {config.key} {supply}")
        for ply, (legal, _) in enumerate(plies(game, generator)):
            if ply % (1 if config.cells < 100 else 5):
                continue
            bare = without_history(game)
            written = dump_game(bare)
            told |= set(written.get("turnFacts", ()))
            other = load_game(json.loads(json.dumps(written)))
            assert_same(game, other)
            assert other.legal().tolist() == legal
            assert dump_game(other) == written
        assert_same(game, reread(without_history(game)))
    assert told >= {"acted", "seatsMoved", "lastActor"}


@every_config
def test_a_reread_game_goes_on_to_the_same_end(config):
    for supply in SUPPLIES:
        generator = random.Random(f"on {config.key} {supply}")
        for _ in range(4 if config.cells < 100 else 1):
            game = opening(config, supply)
            for _ in range(generator.randrange(10, 200)):
                if game.over:
                    break
                game.apply(choose(game.legal().tolist(), generator))
            copies = [reread(game), reread(without_history(game)), reread(reread(game))]
            finish_alike(game, copies, generator)


def finish_alike(game: Game, copies: list[Game], generator: random.Random) -> None:
    for legal, move in plies(game, generator):
        for other in copies:
            assert other.legal().tolist() == legal
            assert lps_counters(other) == lps_counters(game)
            other.apply(move)
    for other in copies:
        assert_same(game, other)
        assert_same(game, reread(other))


def test_the_reason_of_the_end_is_kept():
    game = opening(GameConfig("square8", 2), 4)
    for _ in plies(game, random.Random(0)):
        pass
    written = dump_game(game)
    assert written["turnFacts"] == {"endReason": REASON_NAMES[game.states[0]["reason"]]}
    assert load_game(written).states[0]["reason"] == game.states[0]["reason"]
