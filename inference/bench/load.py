"""Clients that ask for moves, each over one connection that stays open, one request after the other."""

from __future__ import annotations

import http.client
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count

import numpy as np

from ringrift.game.config import GameConfig
from ringrift.game.play import Game
from ringrift.notation.gamestate import dump_game

_DECISIONS = (0, 8, 16, 32)
"""How many decisions of a random game the positions that are asked about are old."""
_TIMEOUT = 60.0


@dataclass(frozen=True)
class Asked:
    """The answers to one kind of question. `p50` and `p99` are milliseconds that clients waited."""

    clients: int
    requests: int
    failed: int
    p50: float
    p99: float
    per_second: float


def bodies(config: GameConfig, difficulty: int) -> list[bytes]:
    """Return `POST /move` bodies of positions from the opening on; the game's own moves are with them."""
    rng, game, decisions = np.random.default_rng(1), Game.new(config), 0
    made = []
    while True:
        legal = np.sort(game.legal())
        if len(legal) > 1 and decisions in _DECISIONS:
            asked = {"game_state": dump_game(game), "player_number": game.player, "difficulty": difficulty}
            made.append(json.dumps(asked).encode())
        decisions += len(legal) > 1
        if len(made) == len(_DECISIONS):
            return made
        game.apply(int(rng.choice(legal)))


def ask(address: tuple[str, int], questions: list[bytes], clients: int, seconds: float) -> Asked:
    """Ask the questions in turn for so many seconds; every client asks one at least."""
    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        waited = list(
            pool.map(lambda first: _client(address, questions, first, began + seconds), range(clients))
        )
    took = time.perf_counter() - began
    times = sorted(answer for answers, _ in waited for answer in answers)
    return Asked(
        clients=clients,
        requests=len(times),
        failed=sum(failed for _, failed in waited),
        p50=times[len(times) // 2] * 1000,
        p99=times[len(times) * 99 // 100] * 1000,
        per_second=len(times) / took,
    )


def _client(
    address: tuple[str, int], questions: list[bytes], first: int, until: float
) -> tuple[list[float], int]:
    """Return how long each answer took, and how many were no move."""
    connection = http.client.HTTPConnection(*address, timeout=_TIMEOUT)
    times: list[float] = []
    failed = 0
    for number in count(first):
        began = time.perf_counter()
        connection.request("POST", "/move", questions[number % len(questions)])
        answer = connection.getresponse()
        content = answer.read()
        times.append(time.perf_counter() - began)
        failed += answer.status != 200 or json.loads(content)["move"] is None
        if time.perf_counter() >= until:
            break
    connection.close()
    return times, failed
