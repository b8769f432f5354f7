"""`bench inference`: what it asks is right, and what it counts is what came back."""

from __future__ import annotations

import json

import pytest

from inference.bench.load import ask, bodies
from inference.bench.process import Service
from ringrift.errors import EnvironmentProblem
from ringrift.game.config import ALL_CONFIGS, GameConfig
from ringrift.notation.gamestate import load_game

pytestmark = pytest.mark.timeout(1200)


def address(service):
    host, _, port = service.url.removeprefix("http://").partition(":")
    return host, int(port)


@pytest.mark.parametrize("config", ALL_CONFIGS, ids=lambda config: config.key)
def test_positions_from_the_opening_on_have_a_choice_for_the_seat_that_is_asked(config):
    asked = [json.loads(body) for body in bodies(config, 2)]
    games = [load_game(body["game_state"]) for body in asked]
    assert {game.config for game in games} == {config}
    assert len({body["game_state"]["currentPhase"] for body in asked}) > 1
    for game, body in zip(games, asked, strict=True):
        assert (game.player, body["difficulty"]) == (body["player_number"], 2)
        assert len(game.legal()) > 1


def test_every_client_asks_and_every_answer_is_counted(service):
    found = ask(address(service), bodies(GameConfig.parse("hex8_3p"), 1), clients=3, seconds=0.0)
    assert (found.clients, found.requests, found.failed) == (3, 3, 0)
    assert 0 < found.p50 <= found.p99


def test_a_refusal_and_a_reply_without_a_move_count_as_failed(service):
    body = json.loads(bodies(GameConfig.parse("hex8_2p"), 1)[0])
    wrong_seat = json.dumps({**body, "player_number": 2}).encode()
    found = ask(address(service), [b"{}", wrong_seat], clients=2, seconds=0.0)
    assert (found.requests, found.failed) == (2, 2)


def test_a_service_that_ends_is_told_with_its_last_words(tmp_path):
    with pytest.raises(EnvironmentProblem, match="--workers must be at least 1"):
        Service(tmp_path, workers=0)
