"""A data set in memory: its games as records, its statistics, and batches of positions made by replaying.

Records stay compact; positions exist only while they are trained on. A game's place in the holdout follows
from its id alone, so that a game once held out is held out for every descendant of a model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ringrift.errors import CorruptData, Refused
from ringrift.game.config import GameConfig
from ringrift.learning.dataset_id import dataset_shards
from ringrift.learning.records import FULL, WHOLE, GameRecord
from ringrift.learning.replay import Board, Room, replay_games
from ringrift.learning.shards import read_shard
from ringrift.nets.targets import dense_targets, pick

POOL_POSITIONS = 32_768
"""Positions that are in memory and shuffled together (8 KB each)."""

BALANCE_GAMES = 20
"""From this many games on, one seat winning nearly all of them is a fault and not chance."""

BALANCE_SHARE = 0.95


@dataclass(frozen=True, slots=True)
class Statistics:
    """What a data set holds. `soft_target_share` is the share of decisions with a policy target."""

    games: int
    decisions: int
    positions: int
    """Decisions with a policy target: what is trained on."""
    soft_target_share: float
    wins: dict[int, int]
    """Seat -> games won."""
    mean_plies: float


@dataclass(frozen=True, slots=True)
class Game:
    """A record and its id."""

    id: str
    record: GameRecord

    @property
    def positions(self) -> int:
        return int((self.record.kinds == FULL).sum())


@dataclass(frozen=True, slots=True)
class Positions:
    """N decisions with M legal moves in all."""

    states: npt.NDArray[np.void]
    """Position records, shared by everything taken from the same pool; 8 KB each."""
    nodes: npt.NDArray[np.int64]
    """(N,) which of the records each position is."""
    moves: npt.NDArray[np.int64]
    """(M,) legal moves; those of position i are `offsets[i]:offsets[i + 1]`."""
    offsets: npt.NDArray[np.int64]
    """(N + 1,)"""
    policy: npt.NDArray[np.float32]
    """(M,) policy target, summing to 1 per position."""
    winner: npt.NDArray[np.int64]
    """(N,) turns from the mover to the seat that won: 0 for the mover itself."""

    def __len__(self) -> int:
        return len(self.nodes)

    def take(self, chosen: npt.NDArray[np.int64]) -> Positions:
        """Return these positions in this order."""
        sizes = np.diff(self.offsets)[chosen]
        offsets = np.concatenate([[0], np.cumsum(sizes)])
        moves, policy = np.empty(offsets[-1], np.int64), np.empty(offsets[-1], np.float32)
        pick(chosen, self.offsets, self.moves, self.policy, offsets, moves, policy)
        return Positions(self.states, self.nodes[chosen], moves, offsets, policy, self.winner[chosen])


def load_games(config: GameConfig, shards: Sequence[str], folder: Path) -> list[Game]:
    """Read the games of a data set from the files named by the shards' hashes in `folder`, ordered by id.

    Raises `NotFound` or `CorruptData` for a missing or damaged shard, a game of another config, and a game
    that is there twice.
    """
    games: dict[str, Game] = {}
    for shard in dataset_shards(shards):
        for record in read_shard(folder / shard, shard):
            if record.header.config != config.key:
                raise CorruptData(
                    f"shard {shard[:12]} holds a game of {record.header.config}, not {config.key}"
                )
            game = Game(record.id, record)
            if game.id in games:
                raise CorruptData(f"game {game.id[:12]} is in the data set twice")
            games[game.id] = game
    return [games[name] for name in sorted(games)]


def statistics(games: Sequence[Game]) -> Statistics:
    """Count what is in these games."""
    decisions = sum(game.record.decisions for game in games)
    positions = sum(game.positions for game in games)
    wins = Counter(game.record.end.winner for game in games)
    return Statistics(
        games=len(games),
        decisions=decisions,
        positions=positions,
        soft_target_share=positions / decisions if decisions else 0.0,
        wins=dict(sorted(wins.items())),
        mean_plies=sum(game.record.end.plies for game in games) / len(games) if games else 0.0,
    )


def check_statistics(found: Statistics) -> None:
    """Raise `Refused` with the first reason why these games must not be trained on."""
    if found.games < 2:
        raise Refused(f"the data set has {found.games} games, training needs at least 2 for its holdout")
    if found.positions == 0:
        raise Refused(
            f"none of the {found.decisions} decisions carries a search target (soft-target share 0)"
        )
    top = max(found.wins.values())
    if found.games >= BALANCE_GAMES and top > BALANCE_SHARE * found.games:
        seat = max(found.wins, key=lambda key: found.wins[key])
        raise Refused(f"seat {seat} won {top} of {found.games} games: outcomes this uneven teach nothing")


def split_holdout(games: Sequence[Game], share: float) -> tuple[list[Game], list[Game]]:
    """Return (training games, held-out games); both are never empty and a game's side never changes.

    With few games the rule may leave a side empty: then the game with the lowest or highest id changes sides.
    """
    ordered = sorted(games, key=lambda game: game.id)
    held = sum(int(game.id[:13], 16) < share * 16**13 for game in ordered)
    held = min(max(held, 1), len(ordered) - 1)
    return ordered[held:], ordered[:held]


def replay_positions(games: Sequence[Game], board: Board, room: Room | None = None) -> Positions:
    """Replay games and return their decisions with a policy target, in order.

    They lie in `room` until the next replay into it; without one they are there to stay.
    """
    records = [game.record for game in games]
    found = replay_games(records, board, room=room)
    starts = np.cumsum(np.concatenate([[0], *(record.sizes for record in records)]), dtype=np.int64)
    ranks = np.concatenate([record.ranks for record in records])
    weights = np.concatenate([record.weights for record in records])
    policy = np.empty(len(found.moves), dtype=np.float32)
    dense_targets(found.offsets, starts, ranks, weights, WHOLE, policy)
    counts = [game.positions for game in games]
    winner = _relative_winner(
        found.states,
        np.repeat([record.end.winner for record in records], counts),
        np.repeat(found.swapped, counts),
        board.config,
    )
    nodes = np.arange(len(found.states))
    return Positions(found.states, nodes, found.moves, found.offsets, policy, winner)


def batches(games: Sequence[Game], board: Board, size: int, seed: int) -> Iterator[Positions]:
    """Yield shuffled batches of `size` positions for ever; the same seed gives the same batches.

    Each pass over the games is shuffled by game, and within pools of `POOL_POSITIONS` by position. What is
    left of a pool after its last whole batch is dropped for that pass. A batch may be used until the next one
    is asked for.
    """
    room = Room()
    dice = np.random.default_rng(seed)
    pools = _pools([games[k] for k in dice.permutation(len(games))])
    kept = replay_positions(pools[0], board, room) if len(pools) == 1 else None
    while True:
        for pool in pools:
            positions = replay_positions(pool, board, room) if kept is None else kept
            order = dice.permutation(len(positions))
            last = max(1, len(order) - size + 1)
            for at in range(0, last, size):
                yield positions.take(order[at : at + size])
        if kept is None:
            pools = _pools([games[k] for k in dice.permutation(len(games))])


def _pools(games: list[Game]) -> list[list[Game]]:
    """Group games in their order into pools of at most about `POOL_POSITIONS` positions."""
    pools: list[list[Game]] = [[]]
    filled = 0
    for game in games:
        if filled + game.positions > POOL_POSITIONS and pools[-1]:
            pools.append([])
            filled = 0
        pools[-1].append(game)
        filled += game.positions
    return pools


def _relative_winner(
    states: npt.NDArray[np.void],
    winner: npt.NDArray[np.int64],
    swapped: npt.NDArray[np.int64],
    config: GameConfig,
) -> npt.NDArray[np.int64]:
    """Return turns from each mover to the winner (n,); `swapped` tells of the end of each position's game.

    Where the pie rule exchanged seats 1 and 2 later in the game, the player who sat at the winning seat in
    the end sat at the other one in the position.
    """
    seat = np.where(states["swapped"] != swapped, 3 - winner, winner)
    return np.asarray((seat - states["player"]) % config.players, dtype=np.int64)
