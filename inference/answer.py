"""One request answered: read the position, find the player of the level, search, choose, describe."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np

from inference.candidates import usable
from inference.models import Model, ModelSet
from inference.request import effective_seed, read_request
from ringrift.game.config import GameConfig
from ringrift.game.play import Game
from ringrift.notation.gamestate import load_game
from ringrift.notation.movejson import move_to_json
from ringrift.players.base import Player, PlayerSpec, build_player
from ringrift.players.ladder import Level, clamp, level

ANSWER_SECONDS = 25.0
"""From the arrival of a request; the game server waits 30 s and then stops asking for a minute."""
_LEAST_SECONDS = 0.05
_PLAYERS_PER_THREAD = 12


class Players:
    """Players ready for use, per thread: each owns working memory. The least recently used are dropped."""

    def __init__(self) -> None:
        self._local = threading.local()

    def of(self, spec: PlayerSpec, config: GameConfig, model: Model | None) -> Player:
        """Return this thread's player of a specification."""
        held: OrderedDict[tuple[str, PlayerSpec], Player] = self._local.__dict__.setdefault(
            "held", OrderedDict()
        )
        key = (config.key, spec)
        player = held.pop(key, None) or build_player(spec, config, model.net if model else None)
        held[key] = player
        if len(held) > _PLAYERS_PER_THREAD:
            held.popitem(last=False)
        return player


@dataclass(frozen=True)
class Asked:
    """What every reply tells of its request."""

    arrived: float
    difficulty: int
    ai_type: str

    def reply(self, move: dict[str, Any] | None, evaluation: float, model: Model | None) -> dict[str, Any]:
        """Return the reply's body. `evaluation` is -1..1 from the asking seat's view."""
        return {
            "move": move,
            "evaluation": evaluation if math.isfinite(evaluation) else 0.0,
            "thinking_time_ms": max(0, round((time.monotonic() - self.arrived) * 1000)),
            "difficulty": self.difficulty,
            "ai_type": self.ai_type,
            "model": model.sha256 if model else None,
        }


def answer_move(body: bytes, models: ModelSet, players: Players, arrived: float) -> dict[str, Any]:
    """Answer the body of a `POST /move` that arrived at `arrived` (of `time.monotonic`).

    Raises `BadInput` for a body or a position that is none, `NoModel` when the level's net is not loaded.
    """
    request = read_request(body)
    game = load_game(request.game_state)
    difficulty = clamp(request.difficulty)
    wanted = level(difficulty, game.config)
    asked = Asked(arrived, difficulty, wanted.ai_type)
    if game.over or game.player != request.player_number or not len(game.legal()):
        return asked.reply(None, 0.0, None)
    model = models.of(game.config) if wanted.needs_model else None
    seed = effective_seed(request, difficulty)
    move, evaluation = _search(game, wanted, model, players, seed, arrived)
    return asked.reply(move_to_json(game, move), evaluation, model)


def _search(
    game: Game, wanted: Level, model: Model | None, players: Players, seed: int, arrived: float
) -> tuple[int, float]:
    """Return the move and its expected result for the mover, -1 lost to 1 won."""
    spec = wanted.with_model(model.sha256) if model else wanted.spec
    player = players.of(spec, game.config, model)
    now = time.monotonic()
    deadline = max(now + _LEAST_SECONDS, min(now + wanted.think_ms / 1000, arrived + ANSWER_SECONDS))
    found = player.search(game.states, np.array([seed], np.uint64), deadline=deadline)
    move = usable(int(found.moves[0]), found.policy[0], seed)
    return move, 2.0 * float(found.values[0, game.player - 1]) - 1.0
