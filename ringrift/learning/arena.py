"""Blocks of evaluation games: the candidate once in every seat against copies of the opponent.

All games of a block begin with the same random plies, so that an opening that favours a seat favours both
sides alike. The pie rule is off: rotating the seats already takes away the advantage of the first move, and
it keeps "where the candidate sat" one number per game. Searches play without noise, as they do in production;
variety comes from the openings.

In a mirror block a player plays itself. Its games share the seeds of their searches, too: they are one game
as often as there are seats, each seat wins it once, and only what treats the two sides differently makes the
block uneven (or arithmetic that rounds differently from batch to batch, as small nets and GPUs may).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ringrift.game.config import GameConfig
from ringrift.learning.games import Choice, RunningGame, Table, Turn
from ringrift.learning.records import CHEAP, GameHeader, GameRecord, RecordBuilder
from ringrift.learning.replay import Board
from ringrift.learning.seeds import derive
from ringrift.players.base import Player
from ringrift.protocol.jobs import EvaluateSpec, GameResult

GAMES_AT_ONCE = 64
"""Blocks are played together up to this many games: enough to fill a batch for the net, few enough that a
verdict does not wait long for evidence."""


@dataclass(frozen=True, slots=True)
class Block:
    """A played block: game i has the candidate in seat i + 1."""

    number: int
    records: list[GameRecord]

    @property
    def results(self) -> list[GameResult]:
        return [record.result() for record in self.records]


def block_groups(config: GameConfig, blocks: Sequence[int]) -> list[Sequence[int]]:
    """Split blocks into groups that are played together."""
    size = max(1, GAMES_AT_ONCE // config.players)
    return [blocks[at : at + size] for at in range(0, len(blocks), size)]


def play_blocks(
    spec: EvaluateSpec,
    blocks: Sequence[int],
    candidate: Player,
    opponent: Player,
    report: Callable[[float], None],
) -> list[Block]:
    """Play these blocks together. `report` gets the number of games played so far, with fractions."""
    config = GameConfig.parse(spec.config)
    places = [(block, seat) for block in blocks for seat in range(1, config.players + 1)]
    games = [RunningGame(_opening_seed(spec, block), RecordBuilder(config.players)) for block, _ in places]
    table = Table(Board(config), games, swap=False, opening_plies=spec.opening_random_plies)
    table.play(lambda turn: _decide(spec, places, candidate, opponent, turn), report)
    played = [_finish(spec, *place, game) for place, game in zip(places, games, strict=True)]
    seats = config.players
    return [
        Block(block, played[at : at + seats])
        for block, at in zip(blocks, range(0, len(played), seats), strict=True)
    ]


def _opening_seed(spec: EvaluateSpec, block: int) -> int:
    return derive("opening", spec.config, spec.evaluation, spec.seed, block)


def _decide(
    spec: EvaluateSpec, places: list[tuple[int, int]], candidate: Player, opponent: Player, turn: Turn
) -> list[Choice]:
    """Ask each side for the positions in which it is to move."""
    mirror = spec.candidate == spec.opponent
    movers = turn.states["player"]
    own = np.array([places[game][1] for game in turn.games]) == movers
    words = np.array(
        [
            derive("search", spec.evaluation, spec.seed, block, 0 if mirror else seat, decision)
            for (block, seat), decision in zip(
                map(places.__getitem__, turn.games), turn.decisions, strict=True
            )
        ],
        dtype=np.uint64,
    )
    choices: list[Choice | None] = [None] * len(turn.games)
    for player, mask in ((candidate, own), (opponent, ~own)):
        for k, choice in zip(np.flatnonzero(mask), _ask(player, turn.states[mask], words[mask]), strict=True):
            choices[k] = choice
    return [choice for choice in choices if choice is not None]


def _ask(player: Player, states: npt.NDArray[np.void], words: npt.NDArray[np.uint64]) -> list[Choice]:
    if not len(states):
        return []
    found = player.search(states, words)
    players = player.config.players
    return [
        Choice(int(move), CHEAP, values[:players])
        for move, values in zip(found.moves, found.values, strict=True)
    ]


def _finish(spec: EvaluateSpec, block: int, seat: int, game: RunningGame) -> GameRecord:
    players = GameConfig.parse(spec.config).players
    seats = tuple(spec.candidate if place == seat else spec.opponent for place in range(1, players + 1))
    header = GameHeader(
        config=spec.config,
        swap_rule=False,
        seats=seats,
        evaluation=spec.evaluation,
        seed=spec.seed,
        sequence=block,
        opening_random_plies=spec.opening_random_plies,
        full_share=0.0,
        cheap_simulations=0,
    )
    return game.record(header, seat - 1)
