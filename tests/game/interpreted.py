"""Games that touch every rule and are short enough for plain Python (`NUMBA_DISABLE_JIT=1`).

`python -m tests.game.interpreted` prints one line per game with the digest of its last position, so that two
ways to run the rules can be compared. With `--examples` it first runs the worked examples and board tables.
"""

from __future__ import annotations

import hashlib
import random
import sys
from pathlib import Path

import pytest

from ringrift.game.config import ALL_CONFIGS, GameConfig
from ringrift.game.play import Game
from ringrift.game.playout import copy_position, playout, settle
from ringrift.notation.keys import move_of
from ringrift.notation.replay import read_records
from tests.game.games import choose, opening

FOLDER = Path(__file__).resolve().parent
SAMPLE = FOLDER.parent / "data" / "traces"


def digest(game: Game) -> str:
    return hashlib.sha256(game.states[0].tobytes()).hexdigest()[:16]


def recorded(config: GameConfig, plies: int) -> Game:
    """Replay the first plies of a recorded game."""
    record = next(read_records(SAMPLE / f"{config.board}-{config.players}p.jsonl.gz"))
    game = Game.new(config, swap=record["swapRule"])
    for key in record["mv"][:plies]:
        game.apply(move_of(game, key))
    return game


def scarce(config: GameConfig, seed: int, supply: int, plies: int) -> Game:
    """Play with few rings and a taste for rare moves; every third ply plays the forced ones in one call."""
    generator = random.Random(seed)
    game = opening(config, supply)
    for ply in range(plies):
        if game.over:
            break
        game.apply(choose(game.legal().tolist(), generator))
        if ply % 3 == 0:
            settle(game.geo, game.states, 0, game.scratch)
    return game


def finished(game: Game, seed: int) -> Game:
    """Return a copy of a game that is played to its end at random."""
    other = game.copy()
    copy_position(other.states, 0, game.states, 0)
    playout(other.geo, other.states, 0, other.scratch, seed)
    return other


def games() -> dict[str, Game]:
    found = {f"recorded {config.key}": recorded(config, 6) for config in ALL_CONFIGS}
    for config in ALL_CONFIGS:
        if config.cells < 100:
            for seed in range(3):
                found[f"scarce {config.key} {seed}"] = scarce(config, seed, 2 + seed, 120)
            found[f"finished {config.key}"] = finished(scarce(config, 1, 3, 40), 1)
    return found


def main(arguments: list[str]) -> int:
    files = [str(FOLDER / name) for name in ("test_worked_examples.py", "test_geometry.py")]
    failed = pytest.main(["-q", "-p", "no:cacheprovider", *files]) if "--examples" in arguments else 0
    for name, game in games().items():
        print(f"{name}: {digest(game)}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
