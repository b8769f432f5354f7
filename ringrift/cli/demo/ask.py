"""Ask the deployed service for a move in a real mid-game position and judge the answer by the rules."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import httpx

from ringrift.errors import RingRiftError, Unreachable

DIFFICULTY = 5
"""The first level of the ladder that plays with the champion's net."""


@dataclass(frozen=True)
class Answer:
    """A served move that the rules accept."""

    key: str
    legal: int
    model: str
    milliseconds: int
    evaluation: float


def position() -> dict[str, Any]:
    """Return the GameState that is asked about: square8, two players, after 53 moves of a recorded game."""
    loaded: dict[str, Any] = json.loads((files(__package__) / "position.json").read_text())
    return loaded


def ask(url: str, champion: str) -> Answer:
    """POST the position; raise when the move is illegal or another model than the champion answered."""
    from ringrift.notation.gamestate import load_game
    from ringrift.notation.keys import key_of
    from ringrift.notation.movejson import move_from_json

    state = position()
    body = {"game_state": state, "player_number": state["currentPlayer"], "difficulty": DIFFICULTY, "seed": 7}
    try:
        reply = httpx.post(f"{url}/move", json=body, timeout=30.0)
    except httpx.HTTPError as error:
        raise Unreachable(f"{url}/move does not answer: {error}") from error
    if reply.status_code != 200:
        raise RingRiftError(f"{url}/move answered {reply.status_code}: {reply.text[:200]}")
    told = reply.json()
    game = load_game(state)
    move = move_from_json(game, told["move"])
    legal = [int(candidate) for candidate in game.legal()]
    if move not in legal:
        raise RingRiftError(f"the service answered an illegal move: {told['move']}")
    if told.get("model") != champion:
        raise RingRiftError(f"model {told.get('model')} answered, not the champion {champion}")
    return Answer(key_of(game, move), len(legal), champion, told["thinking_time_ms"], told["evaluation"])
