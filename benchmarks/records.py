"""`python -m benchmarks.records`: size of records, and positions read from shards per CPU-second.

Plays games of the first generation (heuristic evaluator) with playout-cap randomisation: 32 simulations in a
quarter of the decisions, else 8; and games with 32 in every decision. Writes a shard of each, and reads them
as training does: decode, replay through the rules, gather batches, encode each with a random symmetry. Two
rates are told, of all decisions replayed and of the positions encoded. CPU time of this process on one core,
best of `REPEATS`, after the kernels are loaded.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from ringrift.game.config import GameConfig
from ringrift.learning.dataset import load_games, replay_positions
from ringrift.learning.replay import Board, Room
from ringrift.learning.selfplay import write_selfplay_shard
from ringrift.nets.features import Encoder
from ringrift.nets.grid import symmetries
from ringrift.players.base import PlayerSpec, build_player
from ringrift.protocol.jobs import SelfplaySpec

REPEATS = 25
BATCH = 256
CAPPED = {"full_share": 0.25, "cheap_simulations": 8}
PLAYER = {"kind": "gumbel", "simulations": 32, "considered": 16}


def play(config: GameConfig, games: int, settings: dict[str, float], folder: Path) -> str:
    """Play one shard of self-play; return its hash."""
    spec = SelfplaySpec.model_validate(
        {"config": config.key, "player": PLAYER, "shards": 1, "games_per_shard": games, "seed": 1}
        | {"opening_random_plies": 4}
        | settings
    )
    player = build_player(PlayerSpec.from_dict(spec.player.model_dump()), config)
    path, sha, _ = write_selfplay_shard(spec, 0, player, folder, lambda done: None)
    path.rename(folder / sha)
    return sha


def read(
    config: GameConfig, shard: str, folder: Path, board: Board, room: Room, encoder: Encoder
) -> tuple[int, int]:
    """Decode a shard, replay it, encode every position; return (decisions, positions)."""
    games = load_games(config, [shard], folder)
    positions = replay_positions(games, board, room)
    dice = np.random.default_rng(0)
    order = dice.permutation(len(positions))
    for at in range(0, len(order), BATCH):
        batch = positions.take(order[at : at + BATCH])
        turned = dice.integers(symmetries(config.board), size=len(batch))
        encoder.encode(batch.states, batch.nodes, batch.moves, batch.offsets, turned)
    return sum(game.record.decisions for game in games), len(positions)


def measure(config: GameConfig, name: str, shard: str, folder: Path) -> None:
    """Print one line about a shard."""
    board, room, encoder, seconds = Board(config), Room(), Encoder(config.board), []
    for _ in range(REPEATS):
        began = time.process_time()
        decisions, positions = read(config, shard, folder, board, room, encoder)
        seconds.append(time.process_time() - began)
    size = (folder / shard).stat().st_size / decisions
    print(
        f"{config.key:<13} {name:<15} {decisions:>7,} decisions {size:>6.1f} bytes each"
        f" {decisions / min(seconds):>9,.0f} decisions/s {positions / min(seconds):>9,.0f} positions/s"
    )


def main() -> None:
    """Measure the configs that were asked for."""
    parser = argparse.ArgumentParser(description="Size and reading speed of shards.")
    parser.add_argument("configs", nargs="*", default=["square8_2p", "hexagonal_2p"])
    parser.add_argument("--games", type=int, default=64, help="games per shard on a board of 64 cells")
    arguments = parser.parse_args()
    for key in arguments.configs:
        config = GameConfig.parse(key)
        games = max(2, arguments.games * 64 // config.cells)
        with tempfile.TemporaryDirectory() as folder:
            for name, settings in (("25 % searched", CAPPED), ("all searched", {})):
                measure(config, name, play(config, games, settings, Path(folder)), Path(folder))


if __name__ == "__main__":
    main()
