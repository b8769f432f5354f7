"""Games of a player against itself, as shards of records.

A share of the decisions gets the full budget and a policy target; the others are played with a small budget
and carry none (playout-cap randomisation, Wu 2019, "Accelerating Self-Play Learning in Go", section 3.1).
Variety comes from the random opening and from the noise at the root of a Gumbel search, which plays a sample
of the improved policy all game long. Nobody resigns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ringrift.errors import BadInput
from ringrift.game.config import GameConfig
from ringrift.learning.games import Choice, RunningGame, Table, Turn
from ringrift.learning.records import CHEAP, FULL, GameHeader, GameRecord, RecordBuilder
from ringrift.learning.replay import Board
from ringrift.learning.seeds import derive, uniform
from ringrift.learning.shards import write_shard
from ringrift.players.base import Player, Policy
from ringrift.protocol.jobs import GameResult, SelfplaySpec


def check_selfplay(spec: SelfplaySpec) -> None:
    """Raise `BadInput` for a specification whose numbers contradict each other."""
    if spec.full_share < 1 and spec.cheap_simulations < 1:
        raise BadInput("full_share below 1 needs cheap_simulations of at least 1")
    if spec.full_share < 1 and spec.cheap_simulations > spec.player.simulations:
        raise BadInput("cheap_simulations must not exceed the player's simulations")


def play_shard(
    spec: SelfplaySpec,
    sequence: int,
    player: Player,
    report: Callable[[float], None],
    numbers: Sequence[int] = (),
) -> list[GameRecord]:
    """Play the games of shard `sequence`, or only those with these `numbers`; return their records in order.

    `report` gets the number of games played so far, with fractions.
    """
    config = GameConfig.parse(spec.config)
    numbers = numbers or range(spec.games_per_shard)
    seeds = [derive("selfplay", spec.config, spec.seed, sequence, game) for game in numbers]
    games = [RunningGame(derive(seed, "opening"), RecordBuilder(config.players)) for seed in seeds]
    table = Table(Board(config), games, swap=True, opening_plies=spec.opening_random_plies)
    table.play(lambda turn: _decide(spec, player, seeds, turn), report)
    header = _header(spec, sequence)
    return [game.record(header, number) for number, game in zip(numbers, games, strict=True)]


def write_selfplay_shard(
    spec: SelfplaySpec, sequence: int, player: Player, folder: Path, report: Callable[[float], None]
) -> tuple[Path, str, list[GameResult]]:
    """Play shard `sequence` and write it to `folder`; return its path, hash and games."""
    records = play_shard(spec, sequence, player, report)
    path, sha = write_shard(folder, records)
    return path, sha, [record.result() for record in records]


def _decide(spec: SelfplaySpec, player: Player, seeds: list[int], turn: Turn) -> list[Choice]:
    """Search every position, some with the full budget, and turn the answers into recorded choices."""
    keys = [(seeds[game], decision) for game, decision in zip(turn.games, turn.decisions, strict=True)]
    full = [uniform(*key, "full") < spec.full_share for key in keys]
    budgets = np.where(full, spec.player.simulations, spec.cheap_simulations).astype(np.int64)
    words = np.array([derive(*key, "search") for key in keys], dtype=np.uint64)
    found = player.search(turn.states, words, simulations=budgets)
    players = player.config.players
    choices = []
    for k, legal in enumerate(turn.legal):
        target = policy_target(legal, found.policy[k]) if full[k] else None
        kind = CHEAP if target is None else FULL
        choices.append(Choice(int(found.moves[k]), kind, found.values[k, :players], target))
    return choices


def policy_target(
    legal: npt.NDArray[np.int64], policy: Policy
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]] | None:
    """Return a search's policy by rank among the legal moves, or None when it has nothing to say."""
    moves, shares = policy
    if not len(moves):
        return None
    ascending = np.argsort(legal)
    return ascending[np.searchsorted(legal, moves, sorter=ascending)], shares


def _header(spec: SelfplaySpec, sequence: int) -> GameHeader:
    players = GameConfig.parse(spec.config).players
    return GameHeader(
        config=spec.config,
        swap_rule=players == 2,
        seats=(spec.player,) * players,
        evaluation=None,
        seed=spec.seed,
        sequence=sequence,
        opening_random_plies=spec.opening_random_plies,
        full_share=spec.full_share,
        cheap_simulations=spec.cheap_simulations,
    )
