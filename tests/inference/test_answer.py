"""One answer, without HTTP: the same for the same request, and never a move that the server discards."""

from __future__ import annotations

import dataclasses
import json
import time

import numpy as np
import pytest

from inference import answer as answer_module
from inference.answer import Call, Players, answer_move
from inference.candidates import is_last_resort, usable
from inference.games import Games
from inference.manifest import read_manifest
from inference.models import ModelSet, load_set
from inference.request import MoveRequest, effective_seed, read_request
from ringrift.errors import BadInput
from ringrift.game import moves as m
from ringrift.notation.gamestate import load_game

pytestmark = pytest.mark.timeout(1200)


@pytest.fixture
def models(deployment):
    loaded, issues = load_set(
        read_manifest(deployment.deploy({"hex8_3p": 1}), deployment.trusted), ModelSet()
    )
    assert issues == []
    return loaded


@pytest.fixture
def unhurried(monkeypatch):
    """Let searches end by their budget, so that a busy machine changes nothing."""
    real = answer_module.level
    monkeypatch.setattr(
        answer_module, "level", lambda *wanted: dataclasses.replace(real(*wanted), think_ms=1_000_000)
    )
    monkeypatch.setattr(answer_module, "ANSWER_SECONDS", 1_000.0)


@pytest.mark.parametrize("difficulty", range(1, 9))
def test_the_same_request_gets_the_same_answer_from_any_thread_s_players(
    models, positions, unhurried, difficulty
):
    request = positions["hex8-3p-late"]["move_request"]
    body = json.dumps({**request, "difficulty": difficulty, "seed": 77}).encode()
    shared = Players()
    answers = [
        answer_move(Call(body, models, Games(), time.monotonic()), players)
        for players in (shared, shared, Players())
    ]
    assert answers[0]["move"] == answers[1]["move"] == answers[2]["move"]
    assert answers[0]["evaluation"] == answers[1]["evaluation"] == answers[2]["evaluation"]


def test_an_answer_that_waited_too_long_still_comes_with_a_legal_move(models, positions):
    request = positions["hex8-3p-late"]["move_request"]
    body = json.dumps({**request, "difficulty": 10}).encode()
    reply = answer_move(Call(body, models, Games(), time.monotonic() - 100.0), Players())
    assert reply["move"] is not None
    assert reply["thinking_time_ms"] >= 100_000


def test_a_search_that_nobody_waits_for_ends_after_its_first_round(models, positions, unhurried):
    """Without the cancellation this search of level 10 looks at a thousand positions."""
    body = json.dumps({**positions["hex8-3p-late"]["move_request"], "difficulty": 10, "seed": 1}).encode()
    looked = []
    players, call = Players(), Call(body, models, Games(), time.monotonic())
    real = players.of(answer_module.level(10, models.models["hex8_3p"].config).with_model("x"), *_of(models))
    simulate = real.evaluator.evaluate
    real.evaluator.evaluate = lambda *leaves: (looked.append(1), call.patience.cancel(), simulate(*leaves))[2]
    players.of = lambda *_: real
    assert answer_move(call, players)["move"] is not None
    assert len(looked) == 1


def _of(models):
    model = models.models["hex8_3p"]
    return model.config, model


def capture_position(positions):
    """Return the legal moves of a position in phase capture, and its `skip_capture`."""
    game = load_game(positions["square8-3p-capture"]["move_request"]["game_state"])
    legal = np.sort(game.legal())
    skip = next(int(move) for move in legal if m.move_type(int(move)) == m.SKIP_CAPTURE)
    return legal, skip


def test_a_skipped_capture_is_replaced_by_the_most_probable_capture(positions):
    legal, skip = capture_position(positions)
    for favourite in (int(move) for move in legal if move != skip):
        weights = np.array([9.0 if move == skip else 1.0 + (move == favourite) for move in legal], np.float32)
        assert usable(skip, (legal, weights), seed=5) == favourite


def test_equally_probable_captures_are_drawn_by_the_seed(positions):
    legal, skip = capture_position(positions)
    weights = np.ones(len(legal), np.float32)
    drawn = [usable(skip, (legal, weights), seed) for seed in range(len(legal) - 1)]
    assert sorted(drawn) == [int(move) for move in legal if move != skip]


def test_a_capture_that_was_chosen_stays(positions):
    legal, skip = capture_position(positions)
    chosen = next(int(move) for move in legal if move != skip)
    assert usable(chosen, (legal, np.zeros(len(legal), np.float32)), seed=1) == chosen


def test_a_move_of_last_resort_is_played_when_it_is_the_only_one(positions):
    _, skip = capture_position(positions)
    assert is_last_resort(skip)
    assert usable(skip, (np.array([skip]), np.ones(1, np.float32)), seed=1) == skip


@pytest.mark.parametrize(
    ("fields", "seed"),
    [
        ({"seed": 5}, 5),
        ({"seed": -1}, (1 << 64) - 1),
        ({"seed": (1 << 64) + 3}, 3),
        ({"seed": None, "game_state": {"rngSeed": 9}}, 9),
        ({"game_state": {"rng_seed": 9}}, 9),
        ({"game_state": {"rngSeed": "nine"}, "player_number": 2}, (3 * 1_000_003) ^ (2 * 97_911)),
    ],
)
def test_the_seed_is_sixty_four_bits_of_the_first_source_that_has_one(fields, seed):
    body = {"game_state": {}, "player_number": 1, **fields}
    request = read_request(MoveRequest, json.dumps(body).encode())
    assert effective_seed(request.seed, request.game_state, 3, request.player_number) == seed


def test_players_are_kept_per_thread_and_the_least_recently_used_are_dropped(models, monkeypatch):
    monkeypatch.setattr(answer_module, "_PLAYERS_PER_THREAD", 2)
    config = models.models["hex8_3p"].config
    specs = [answer_module.level(difficulty, config).spec for difficulty in (1, 2, 3)]
    players = Players()
    first = players.of(specs[0], config, None)
    second = players.of(specs[1], config, None)
    assert players.of(specs[0], config, None) is first
    players.of(specs[2], config, None)
    assert players.of(specs[0], config, None) is first
    assert players.of(specs[1], config, None) is not second


@pytest.mark.parametrize("name", ["player_number", "difficulty", "seed"])
def test_true_or_false_is_no_number(name):
    body = {"game_state": {}, "player_number": 1} | {name: True}
    with pytest.raises(BadInput, match=f"^{name}: .*not true or false"):
        read_request(MoveRequest, json.dumps(body).encode())
