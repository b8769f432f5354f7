"""Whole games over HTTP, every move checked by the rules engine.

    python -m tests.inference.games --level 5 --level 8 --seed 1

plays one game of each config at each level against a service of its own (random nets) and prints a line for
each; `make games` plays all ten levels. The exit status is 1 when a move was not legal.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

from ringrift.game.config import ALL_CONFIGS, GameConfig
from ringrift.game.play import Game
from ringrift.notation.gamestate import dump_game
from ringrift.notation.movejson import move_from_json


@dataclass(frozen=True)
class Played:
    """How a game went. `asked` counts the moves that the service chose; the others were forced."""

    winner: int
    plies: int
    asked: int


def play(url: str, config: GameConfig, levels: tuple[int, ...], seed: int, *, history: bool = True) -> Played:
    """Play to the end; seat s moves at level `levels[s % len(levels)]`. Raises `AssertionError` at once.

    As the game server does, nothing is asked where one move only is legal. Without `history` a position comes
    without the moves that led to it, which is cheaper.
    """
    game, plies, asked = Game.new(config), 0, 0
    name = f"{config.key}-{levels}-{seed}"
    with httpx.Client(base_url=url, timeout=60) as client:
        while not game.over:
            legal = game.legal()
            move = int(legal[0])
            if len(legal) > 1:
                told = game if history else Game(config, game.states.copy())
                body = {"game_state": {**dump_game(told), "id": name}, "player_number": game.player}
                body |= {"difficulty": levels[game.player % len(levels)], "seed": seed + plies}
                answer = client.post("/move", json=body)
                assert answer.status_code == 200, f"{name}, ply {plies}: {answer.text}"
                move = move_from_json(game, answer.json()["move"])
                assert game.is_legal(move), f"{name}, ply {plies}: {answer.json()['move']} is not legal"
                asked += 1
            game.apply(move)
            plies += 1
    return Played(game.winner, plies, asked)


def main(arguments: list[str]) -> int:
    """Play the games that the command line wishes."""
    from tests.inference.conftest import Deployment, Service, Shelf, free_port

    parser = argparse.ArgumentParser(prog="python -m tests.inference.games")
    parser.add_argument("--level", type=int, action="append", help="1..10, all of them by default")
    parser.add_argument("--config", action="append", help="all twelve by default")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    configs = [GameConfig.parse(key) for key in options.config] if options.config else ALL_CONFIGS
    wrong = 0
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "shelf").mkdir()
        deployment = Deployment(Path(name) / "target", Shelf(Path(name) / "shelf"))
        deployment.deploy({config.key: 0 for config in configs})
        port = free_port()
        service = Service(deployment.folder, "--port", str(port), log=Path(name) / "log")
        try:
            service.wait_until_listening(f"http://127.0.0.1:{port}").wait_until_healthy()
            for config in configs:
                for level in options.level or range(1, 11):
                    began = time.monotonic()
                    try:
                        told: object = play(service.url, config, (level,), options.seed)
                    except AssertionError as error:
                        told, wrong = error, wrong + 1
                    print(f"{config.key} level {level}: {told}, {time.monotonic() - began:.0f} s", flush=True)
        finally:
            service.stop()
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
