"""The question that a target is asked after its deployment, and what of the answers is taken."""

from __future__ import annotations

import httpx
import pytest

from hosts import probing
from hosts.probing import question
from ringrift.errors import CorruptData
from ringrift.game.config import ALL_CONFIGS
from ringrift.game.play import Game
from ringrift.notation.fingerprint import fingerprint_text
from ringrift.notation.gamestate import load_game
from ringrift.players.ladder import LEVELS


@pytest.mark.parametrize("config", ALL_CONFIGS, ids=lambda config: config.key)
def test_a_target_is_asked_for_the_first_move_of_a_game(config):
    asked = question(config, 7)
    assert fingerprint_text(load_game(asked["game_state"])) == fingerprint_text(Game.new(config))
    assert "id" not in asked["game_state"]


def test_the_asked_level_is_the_lowest_that_needs_a_net():
    assert min(number for number, level in LEVELS.items() if level.needs_model) == probing.DIFFICULTY


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (200, {"move": None, "model": "a" * 64}, "answers 200 without a move"),
        (200, {"move": {}, "model": "b" * 64}, "answers by bbbbbbbbbbbb instead of aaaaaaaaaaaa"),
        (200, {"move": {}, "model": None}, "answers by None instead of aaaaaaaaaaaa"),
        (200, {"move": {}}, "answers by None instead of aaaaaaaaaaaa"),
        (500, {"error": "x"}, "answers 500 without a move"),
        (500, {"move": {}, "model": "a" * 64}, "answers 500 without a move"),
        (200, [], "answers 200 without a move"),
    ],
)
def test_an_answer_that_is_no_move_of_the_model_fails_the_deployment(status, body, says):
    with pytest.raises(CorruptData, match=says):
        probing._move("web", httpx.Response(status, json=body), "a" * 64)


def test_an_answer_that_is_no_json_fails_the_deployment():
    with pytest.raises(CorruptData, match="without a move"):
        probing._move("web", httpx.Response(200, text="<html>"), "a" * 64)


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (200, {"valid": False, "validation_error": "no such cell"}, "an illegal one: no such cell"),
        (400, {"valid": True}, "an illegal one: 400"),
        (200, {"valid": "yes"}, "an illegal one: 200"),
    ],
)
def test_an_illegal_move_fails_the_deployment(status, body, says):
    with pytest.raises(CorruptData, match=says):
        probing._require_legal("web", httpx.Response(status, json=body))


async def test_a_service_that_is_busy_is_asked_again(monkeypatch):
    monkeypatch.setattr(probing, "_BUSY_SECONDS", 0.0)
    answers = iter([httpx.Response(503), httpx.Response(503), httpx.Response(200, json={"move": {}})])
    transport = httpx.MockTransport(lambda _: next(answers))
    async with httpx.AsyncClient(transport=transport, base_url="http://web") as client:
        assert (await probing._asked(client, "web", "/move", {})).json() == {"move": {}}
