"""Asking a target for moves right after it serves something new, so that it is judged by what it does.

Where no game server asks, nothing could be watched; where one does, it is spared the first moves.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any

import httpx

from hosts.health import forwarded
from hosts.remote import Remote
from ringrift.errors import CorruptData, EnvironmentProblem
from ringrift.game.config import GameConfig

PROBES = 2
DIFFICULTY = 5
"""The lowest level that a net plays: 32 simulations, at most 0.8 s by the ladder."""
ANSWER_SECONDS = 5.0
"""Longest that a probe may wait, also while other clients keep the service busy."""
_BUSY = 503
_BUSY_SECONDS = 0.2


async def probe(remote: Remote, target: str, port: int, models: Mapping[str, str]) -> float:
    """Ask for moves with each model (config -> SHA-256); return the slowest answer's seconds.

    Raises EnvironmentProblem when an answer is missing or late, CorruptData when it is no move of the model.
    """
    slowest = 0.0
    async with forwarded(remote, target, port, ANSWER_SECONDS) as client:
        for config, sha256 in models.items():
            what = f"{target} on {remote.name}, asked for a move of {config}"
            for seed in range(PROBES):
                begun, asked = time.monotonic(), question(GameConfig.parse(config), seed)
                move = _move(what, await _asked(client, what, "/move", asked), sha256)
                slowest = max(slowest, time.monotonic() - begun)
                ruling = {"game_state": asked["game_state"], "move": move}
                _require_legal(what, await _asked(client, what, "/rules/evaluate_move", ruling))
    return slowest


def question(config: GameConfig, seed: int) -> dict[str, Any]:
    """Return a `POST /move` at the start of a game that has no id."""
    seats = range(1, config.players + 1)
    board = {"type": config.board, "size": config.size, "stacks": {}, "markers": {}, "collapsedSpaces": {}}
    board |= {"eliminatedRings": {str(seat): 0 for seat in seats}, "territories": {}, "formedLines": []}
    state = {
        "boardType": config.board,
        "board": board,
        "players": [_player(config, seat) for seat in seats],
        "currentPhase": "ring_placement",
        "currentPlayer": 1,
        "moveHistory": [],
        "gameStatus": "active",
        "victoryThreshold": config.ring_threshold,
        "territoryVictoryThreshold": config.legacy_territory,
        "territoryVictoryMinimum": config.territory_minimum,
        "totalRingsEliminated": 0,
        "maxPlayers": config.players,
    }
    return {"game_state": state, "player_number": 1, "difficulty": DIFFICULTY, "seed": seed}


def _player(config: GameConfig, seat: int) -> dict[str, Any]:
    counts = {"ringsInHand": config.rings_per_player, "eliminatedRings": 0, "territorySpaces": 0}
    return {"id": f"probe-{seat}", "playerNumber": seat, "type": "ai", **counts}


async def _asked(client: httpx.AsyncClient, what: str, path: str, body: dict[str, Any]) -> httpx.Response:
    """Ask until there is an answer; a service that is busy with others says so, and is asked again."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            while True:
                answer = await client.post(path, json=body)
                if answer.status_code != _BUSY:
                    return answer
                await asyncio.sleep(_BUSY_SECONDS)
    except TimeoutError:
        raise EnvironmentProblem(f"{what}, does not answer within {ANSWER_SECONDS:g} s") from None
    except httpx.HTTPError as error:
        raise EnvironmentProblem(f"{what}, does not answer: {error or type(error).__name__}") from error


def _move(what: str, answer: httpx.Response, sha256: str) -> dict[str, Any]:
    """Return the move of an answer, once it is known whose it is."""
    body = _document(answer)
    move = body.get("move")
    if not isinstance(move, dict):
        raise CorruptData(f"{what}, answers {answer.status_code} without a move")
    if body.get("model") != sha256:
        raise CorruptData(f"{what}, answers by {str(body.get('model'))[:12]} instead of {sha256[:12]}")
    return move


def _require_legal(what: str, answer: httpx.Response) -> None:
    """Take the service's own word: what finds a move and what judges it share no code but the rules."""
    body = _document(answer)
    if body.get("valid") is not True:
        why = body.get("validation_error") or answer.status_code
        raise CorruptData(f"{what}, plays an illegal one: {why}")


def _document(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = answer.json() if answer.is_success else None
    except json.JSONDecodeError:
        body = None
    return body if isinstance(body, dict) else {}
