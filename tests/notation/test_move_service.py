"""`POST /move` with thousands of damaged positions: a move that is legal, or the loader's own refusal."""

from __future__ import annotations

import json
import random
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from inference.app import build_app
from inference.models import ModelSet
from inference.pool import SearchPool
from inference.watch import Serving, Watcher
from ringrift.errors import BadInput
from ringrift.game.config import ALL_CONFIGS
from ringrift.game.play import Game
from ringrift.notation.gamestate import load_game
from ringrift.notation.movejson import move_from_json
from tests.notation.damage import damaged, mid_games

ROUNDS = 850
"""Positions per config: 10,200 in all."""
NO_NUMBER = re.compile(r"\b(NaN|Infinity)\b")


@pytest.fixture
async def client(tmp_path) -> AsyncIterator[httpx.AsyncClient]:
    watcher = Watcher(tmp_path, None)
    watcher.serving = Serving(ModelSet(), ())
    pool = SearchPool(1, 1)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(build_app(watcher, pool)), base_url="http://service"
    ) as running:
        yield running
    pool.close()


@pytest.mark.parametrize("config", ALL_CONFIGS, ids=lambda config: config.key)
async def test_a_damaged_position_gets_a_legal_move_or_the_name_of_the_field(client, config):
    generator = random.Random(f"service {config.key}")
    bases = mid_games(config, 6)
    moves = 0
    for _ in range(ROUNDS):
        state = damaged(generator.choice(bases), generator)
        seat = state.get("currentPlayer")
        seat = seat if type(seat) is int else 1
        body = json.dumps({"game_state": state, "player_number": seat, "difficulty": 1, "seed": 5})
        answer = await client.post("/move", content=body)
        if NO_NUMBER.search(body):
            (fault,) = answer.json()["detail"]
            assert (answer.status_code, fault["msg"][:19]) == (422, "the body is no JSON")
        else:
            moves += check(answer, state, seat)
    assert moves > ROUNDS // 20


def check(answer: httpx.Response, state: dict[str, Any], seat: int) -> bool:
    """Compare an answer with what the loader says about the position; return True for a move."""
    try:
        game = load_game(state)
    except BadInput as error:
        told = error.line()[:500].encode("utf-8", "backslashreplace").decode()
        fault = {"type": "value_error", "loc": ["body", "game_state"], "msg": told}
        assert (answer.status_code, answer.json()) == (422, {"detail": [fault]})
        return False
    assert answer.status_code == 200, answer.text
    move = answer.json()["move"]
    if not is_to_move(game, seat):
        assert move is None
        return False
    assert game.is_legal(move_from_json(game, move))
    return True


def is_to_move(game: Game, seat: int) -> bool:
    return game.player == seat and len(game.legal()) > 0
