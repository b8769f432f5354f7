"""Random games that visit what uniform play seldom reaches: small supplies, and a taste for rare moves."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np

from ringrift.game import moves as m
from ringrift.game.config import GameConfig
from ringrift.game.play import Game
from ringrift.notation.gamestate import dump_game, load_game

COMMON = 1 << m.PLACE_RING | 1 << m.MOVE_STACK | m.NOT_ACTING


def opening(config: GameConfig, rings: int | None = None) -> Game:
    """Return the opening position; with `rings`, one in which each player owns only so many."""
    if rings is None:
        return Game.new(config)
    state = dump_game(Game.new(config))
    state["rulesOptions"]["ringsPerPlayer"] = rings
    state["victoryThreshold"] = rings * (config.players + 1) // 3
    state["totalRingsInPlay"] = rings * config.players
    for player in state["players"]:
        player["ringsInHand"] = rings
    return load_game(state)


def choose(legal: list[int], generator: random.Random) -> int:
    """Choose a move, every second time a rare one where there is one."""
    rare = [move for move in legal if not COMMON >> (move & 31) & 1]
    return generator.choice(rare if rare and generator.random() < 0.5 else legal)


def plies(game: Game, generator: random.Random) -> Iterator[tuple[list[int], int]]:
    """Play a game to its end; yield the legal set and the chosen move before each ply."""
    while not game.over:
        legal = game.legal().tolist()
        move = choose(legal, generator)
        yield legal, move
        game.apply(move)


def same_position(game: Game, other: Game) -> str:
    """Return the names of the fields that differ.

    Ply count and random state are no part of a game, and what is known of connected cells may differ.
    """
    mine, its = game.states[0], other.states[0]
    apart = ("ply", "rng", "connected", *(("acted", "recovered") if game.over else ()))
    return ", ".join(
        name
        for name in game.states.dtype.names
        if name not in apart and not np.array_equal(mine[name], its[name])
    )
