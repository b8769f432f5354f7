"""One request answered: read the position, find the player of the level, search, choose, describe."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np

from inference.candidates import usable
from inference.engine import player_of
from inference.games import Games
from inference.models import Model, ModelSet
from inference.request import AiMoveRequest, Malformed, MoveRequest, effective_seed, read_request
from ringrift.game.config import GameConfig
from ringrift.game.play import Game
from ringrift.notation.gamestate import load_game
from ringrift.notation.movejson import move_to_json
from ringrift.players.base import Deadline, Player, PlayerSpec
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
        player = held.pop(key, None) or player_of(spec, config, model.net if model else None)
        held[key] = player
        if len(held) > _PLAYERS_PER_THREAD:
            held.popitem(last=False)
        return player


class Call:
    """A request on its way: what it says, when it came, what was served then, how long somebody waits."""

    def __init__(self, body: bytes, models: ModelSet, games: Games, arrived: float) -> None:
        """`arrived` is of `time.monotonic`."""
        self.body = body
        self.models = models
        self.games = games
        self.arrived = arrived
        self.patience = Deadline(arrived + ANSWER_SECONDS)
        self.about: dict[str, str | None] = {}
        """What is logged of the answer: config, and the hash of the model that moved."""
        self.fallback: tuple[str, str, str] | None = None
        """Kind of player that should have moved, the one that did for want of a net, and the board."""

    def search_seconds(self, seconds: float) -> Deadline:
        """Return the search's deadline: `seconds` from now if somebody waits as long, and never nothing."""
        now = time.monotonic()
        self.patience.end = max(now + _LEAST_SECONDS, min(now + seconds, self.patience.end))
        return self.patience


def answer_move(call: Call, players: Players) -> dict[str, Any]:
    """Answer a `POST /move`.

    Raises `BadInput` for a body or a position that is none. Where the level's net is not loaded, a search
    without one answers, and `ai_type` says so: after five refusals a game server asks nothing for a minute.
    """
    request = read_request(MoveRequest, call.body)
    game = load_game(request.game_state)
    wanted = level(clamp(request.difficulty), game.config)
    seed = effective_seed(request.seed, request.game_state, wanted.difficulty, request.player_number)
    wanted, model = _who(call, wanted, game.config, request.game_state)
    move, evaluation = _answer(call, game, request.player_number, wanted, model, players, seed)
    return {**_reply(call, wanted, move, evaluation), "model": model.sha256 if model and move else None}


def answer_ai_move(call: Call, players: Players) -> dict[str, Any]:
    """Answer a `POST /ai/move`; as `answer_move`, with the client's wish for a kind of player."""
    request = read_request(AiMoveRequest, call.body)
    game = load_game(request.game_state)
    seat = request.player_number
    require_seat(game, seat)
    wanted = level(request.difficulty, game.config, request.ai_type)
    seed = effective_seed(request.seed, request.game_state, wanted.difficulty, seat)
    wanted, model = _who(call, wanted, game.config, request.game_state)
    move, evaluation = _answer(call, game, seat, wanted, model, players, seed)
    return {
        **_reply(call, wanted, move, evaluation),
        "heuristic_profile_id": None,
        "use_neural_net": model is not None,
        "nn_model_id": model.sha256 if model else None,
        "nn_checkpoint": f"canonical_{game.config.key}.pth" if model else None,
        "nnue_checkpoint": None,
    }


def require_seat(game: Game, seat: int) -> None:
    """Raise `Malformed` for a seat that the game has not."""
    if seat > game.config.players:
        raise Malformed(
            f"player_number {seat} exceeds the number of players ({game.config.players})", ("player_number",)
        )


def _reply(call: Call, wanted: Level, move: dict[str, Any] | None, evaluation: float) -> dict[str, Any]:
    """Return what both replies tell. `evaluation` is -1..1 from the asking seat's view."""
    return {
        "move": move,
        "evaluation": evaluation if math.isfinite(evaluation) else 0.0,
        "thinking_time_ms": max(0, round((time.monotonic() - call.arrived) * 1000)),
        "difficulty": wanted.difficulty,
        "ai_type": wanted.ai_type,
    }


def _who(
    call: Call, wanted: Level, config: GameConfig, state: Mapping[str, Any]
) -> tuple[Level, Model | None]:
    """Return who moves, and with which model; a search without a net where the net is not loaded."""
    call.about = {"config": config.key, "model": None}
    if not wanted.needs_model:
        return wanted, None
    model = call.games.model(state.get("id"), config, call.models)
    if model is not None:
        call.about["model"] = model.sha256
        return wanted, model
    instead = level(wanted.difficulty, config, "mcts")
    call.fallback = wanted.ai_type, instead.ai_type, config.board
    return instead, None


def _answer(
    call: Call, game: Game, seat: int, wanted: Level, model: Model | None, players: Players, seed: int
) -> tuple[dict[str, Any] | None, float]:
    """Return the move of a seat, None when it has none to make, and its evaluation."""
    if game.over or game.player != seat or not len(game.legal()):
        return None, 0.0
    move, evaluation = _search(call, game, wanted, model, players, seed)
    return move_to_json(game, move), evaluation


def _search(
    call: Call, game: Game, wanted: Level, model: Model | None, players: Players, seed: int
) -> tuple[int, float]:
    """Return the move and its expected result for the mover, -1 lost to 1 won."""
    spec = wanted.with_model(model.sha256) if model else wanted.spec
    player = players.of(spec, game.config, model)
    deadline = call.search_seconds(wanted.think_ms / 1000)
    found = player.search(game.states, np.array([seed], np.uint64), deadline=deadline)
    move = usable(int(found.moves[0]), found.policy[0], seed)
    return move, 2.0 * float(found.values[0, game.player - 1]) - 1.0
