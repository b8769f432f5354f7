"""What a position is worth and whether a move is legal: the judging routes of the game server's contract.

The value is the net's where the config has one, and the heuristic's elsewhere; both are probabilities of
winning per seat. Terms are the heuristic's (`ringrift.players.heuristic.TERMS`), times their weights.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from inference.answer import Players, require_seat
from inference.models import ModelSet
from inference.request import Request, Seat, either, read_request
from ringrift.errors import BadInput, IllegalMove
from ringrift.game.phases import STATUS_NAMES
from ringrift.game.play import Game
from ringrift.notation.fingerprint import fingerprint
from ringrift.notation.gamestate import dump_game, load_game
from ringrift.notation.moveparse import move_from_json
from ringrift.players.base import PlayerSpec
from ringrift.players.heuristic import TERMS, WEIGHTS, evaluate, new_terms

_LAND_TERMS = ("territory", "territory_near")
_OF_THE_TABLE = (
    "id",
    "rngSeed",
    "timeControl",
    "spectators",
    "createdAt",
    "lastMoveAt",
    "isRated",
    "maxPlayers",
)
"""Fields of a GameState that no rule reads; they come back as they came."""
_RING_TERMS = ("rings", "rings_near", "hand", "buried")


class EvaluateRequest(Request):
    """`POST /ai/evaluate`."""

    game_state: dict[str, Any] = either("game_state", "gameState")
    player_number: Seat = either("player_number", "playerNumber")


class PositionRequest(Request):
    """`POST /ai/evaluate_position`."""

    game_state: dict[str, Any] = either("game_state", "gameState")


class RuleRequest(Request):
    """`POST /rules/evaluate_move`."""

    game_state: dict[str, Any] = either("game_state", "gameState")
    move: dict[str, Any]


def answer_evaluate(body: bytes) -> dict[str, Any]:
    """Answer `POST /ai/evaluate`: the seat's lead over the mean of all seats, in points of the heuristic."""
    request = read_request(EvaluateRequest, body)
    game = load_game(request.game_state)
    seat = request.player_number
    require_seat(game, seat)
    points = _points(game)
    breakdown = {name: float(points[seat - 1, term]) for term, name in enumerate(TERMS)}
    total = float(points[seat - 1].sum())
    return {"score": total, "breakdown": {"total": total, **breakdown}}


def answer_position(body: bytes, models: ModelSet, players: Players) -> dict[str, Any]:
    """Answer `POST /ai/evaluate_position`: every seat's points, and its chance to win by the net if any."""
    request = read_request(PositionRequest, body)
    game = load_game(request.game_state)
    points, chances = _points(game), _chances(game, models, players)
    model = models.of(game.config)
    history = request.game_state.get("moveHistory") or request.game_state.get("move_history") or []
    return {
        "engine_profile": f"net_{model.sha256[:12]}" if model else "heuristic",
        "board_type": game.config.board,
        "game_id": str(request.game_state.get("id", "")),
        "move_number": len(history),
        "per_player": {
            str(seat + 1): {
                "totalEval": float(points[seat].sum()),
                "territoryEval": _sum(points[seat], _LAND_TERMS),
                "ringEval": _sum(points[seat], _RING_TERMS),
                "winProbability": float(chances[seat]),
            }
            for seat in range(game.config.players)
        },
        "evaluation_scale": "win_probability",
        "generated_at": datetime.now(UTC).isoformat(),
    }


def answer_rules(body: bytes) -> dict[str, Any]:
    """Answer `POST /rules/evaluate_move`: is the move legal, and what comes of it."""
    request = read_request(RuleRequest, body)
    game = load_game(request.game_state)
    # A wrong move is an answer here, no error.
    try:
        move = move_from_json(game, request.move)
    except (BadInput, IllegalMove) as error:
        return {
            "valid": False,
            "validation_error": error.line(),
            "next_state": None,
            "state_hash": None,
            "s_invariant": None,
            "game_status": None,
        }
    game.apply(move)
    told = {name: request.game_state[name] for name in _OF_THE_TABLE if name in request.game_state}
    position = game.states[0]
    return {
        "valid": True,
        "validation_error": None,
        "next_state": {**dump_game(game), **told},
        "state_hash": fingerprint(game),
        "s_invariant": int(
            np.count_nonzero(position["marker"])
            + np.count_nonzero(position["collapsed"])
            + position["eliminated"].sum()
        ),
        "game_status": STATUS_NAMES[position["status"]],
    }


def _points(game: Game) -> npt.NDArray[np.float64]:
    """Return (players, terms): weighted terms in hundredths, each less its mean over the seats."""
    terms = new_terms()
    evaluate(game.geo, game.states, 0, terms, np.zeros((1, 4)), 0)
    seats = terms[1 : game.config.players + 1] * WEIGHTS[min(game.config.players, 3) - 2]
    return np.asarray(seats - seats.mean(axis=0)) * 100.0


def _sum(points: npt.NDArray[np.float64], names: tuple[str, ...]) -> float:
    return float(sum(points[TERMS.index(name)] for name in names))


def _chances(game: Game, models: ModelSet, players: Players) -> npt.NDArray[np.float64]:
    """Return (4,): each seat's probability to win, by the config's net or without one by the heuristic."""
    model = models.of(game.config)
    values = np.zeros((1, 4))
    if model is not None and not game.over and len(game.legal()):
        spec = PlayerSpec(kind="policy", model=model.sha256, noise=0.0)
        found = players.of(spec, game.config, model).search(game.states, np.ones(1, np.uint64))
        return np.asarray(found.values[0], np.float64)
    evaluate(game.geo, game.states, 0, new_terms(), values, 0)
    return np.asarray(values[0])
