"""Does every level of the ladder beat the level two below it? A sequential test for each such pair.

Games are played in the blocks of `arena`: the higher level once in every seat against copies of the lower
one. With two players it must win 60 % of the games. With more it must win as often as somebody would who
beats each opponent with the same odds, 3 to 2: 3/7 of the games against two opponents, 1/3 against three.

The test is Wald's for the share of wins: H0 "at most the share of odds 3:2" against H1 "at least the share of
odds 7:3". Games of a block share an opening, which makes their results differ rather than agree, so that the
binomial variance is an upper bound and the stated error rates hold. Budgets are the ladder's positions, not
its clock: the same seed then plays the same games on every machine.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from ringrift.errors import BadInput
from ringrift.game.config import GameConfig
from ringrift.learning.arena import play_blocks
from ringrift.learning.sprt import block_wins
from ringrift.nets.network import RingRiftNet
from ringrift.players.base import Player, build_player
from ringrift.players.ladder import HIGHEST, LOWEST, level
from ringrift.protocol.jobs import EvaluateSpec, PlayerSpec

STEP = 2
"""Levels between the two that are compared."""

ODDS0, ODDS1 = 3 / 2, 7 / 3
"""Odds against one opponent under H0 and H1: 60 % and 70 % of the games of two players."""

ERROR = 0.05
"""Chance to accept at the odds of H0, and to reject at those of H1."""

_BLOCKS_AT_ONCE = 8
_OPENING_PLIES = 4

Net = tuple[str, RingRiftNet]
"""A model's SHA-256 and the net."""

Report = Callable[[str], None]


@dataclass(frozen=True)
class Rung:
    """One pair of levels. `share` are the higher level's wins of `games`, `wanted` those of H0;
    `verdict` is accept, reject, or undecided after the most games."""

    config: str
    higher: int
    lower: int
    games: int
    wins: int
    share: float
    wanted: float
    llr: float
    verdict: str
    seconds: float


def share_of(odds: float, players: int) -> float:
    """Return the share of games won by a seat with these odds against each of the others, who are equal."""
    return odds / (odds + players - 1)


def ratio(wins: int, games: int, players: int) -> float:
    """Return the log likelihood ratio of H1 against H0 after `wins` of `games`."""
    low, high = share_of(ODDS0, players), share_of(ODDS1, players)
    return wins * math.log(high / low) + (games - wins) * math.log((1 - high) / (1 - low))


def verdict(llr: float) -> str:
    """Return accept, reject or undecided."""
    bound = math.log((1 - ERROR) / ERROR)
    return "accept" if llr >= bound else "reject" if llr <= -bound else "undecided"


def climb(
    config: GameConfig, higher: int, net: Net | None, *, most_games: int, seed: int, report: Report
) -> Rung:
    """Play `higher` against the level `STEP` below until the test decides or `most_games` are played.

    Raises `BadInput` for a level without one below it, or a model's level without `net`.
    """
    lower = higher - STEP
    if not LOWEST <= lower < higher <= HIGHEST:
        raise BadInput(f"level {higher} has no level {STEP} below it", hint=f"use {LOWEST + STEP}..{HIGHEST}")
    upper, under = _player(config, higher, net), _player(config, lower, net)
    spec = _spec(config, higher, seed)
    began, games, wins, llr = time.monotonic(), 0, 0, 0.0
    while verdict(llr) == "undecided" and games < most_games:
        first = games // config.players
        for block in play_blocks(spec, range(first, first + _BLOCKS_AT_ONCE), upper, under, lambda _: None):
            seats = range(1, config.players + 1)
            games += config.players
            wins += block_wins(config.players, [game.winner for game in block.results], seats)
            llr = ratio(wins, games, config.players)
            if verdict(llr) != "undecided":
                break
        report(f"{config.key}: level {higher} won {wins} of {games} against level {lower}")
    return Rung(
        config=config.key,
        higher=higher,
        lower=lower,
        games=games,
        wins=wins,
        share=wins / games,
        wanted=share_of(ODDS0, config.players),
        llr=llr,
        verdict=verdict(llr),
        seconds=time.monotonic() - began,
    )


def _player(config: GameConfig, difficulty: int, net: Net | None) -> Player:
    rung = level(difficulty, config)
    if not rung.needs_model:
        return build_player(rung.spec, config)
    if net is None:
        raise BadInput(f"level {difficulty} of {config.key} needs a model", hint="give --models FOLDER")
    return build_player(rung.with_model(net[0]), config, net[1])


def _spec(config: GameConfig, higher: int, seed: int) -> EvaluateSpec:
    """Return what the arena reads of an evaluation: openings and seeds.

    Its players are not asked, but must differ: those of a mirror block would share their seeds.
    """
    return EvaluateSpec(
        config=config.key,
        evaluation=f"{higher:064x}",
        candidate=PlayerSpec(kind="heuristic"),
        opponent=PlayerSpec(kind="random"),
        first_block=0,
        blocks=_BLOCKS_AT_ONCE,
        seed=seed,
        opening_random_plies=_OPENING_PLIES,
    )
