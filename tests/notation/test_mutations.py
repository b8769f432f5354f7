"""Thousands of damaged GameStates: each is refused with a `BadInput`, or is a game that can be played."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import pytest

from ringrift.errors import BadInput
from ringrift.game.config import GameConfig
from ringrift.game.play import Game
from ringrift.notation.gamestate import dump_game, load_game
from ringrift.notation.keys import key_of

ROUNDS = 500
JUNK: list[Any] = [
    None, True, False, 0, 1, 2, 3, 4, -1, 25, 511, 2**31, 2**63, 2**64, 10**30, 0.5, 1.0, float("nan"),
    float("inf"), "", "0", "1,1", "0,0,0", "active", "chain_capture", "\ud800", [], [1], [1, 2, 1], {},
    {"x": 1}, {"x": 0, "y": 0}, {"x": 1, "y": -1, "z": 0}, [[]], {"1": True},
]  # fmt: skip


def mid_game(config: str, seed: int) -> dict[str, Any]:
    """Return the JSON of a random position, decisions in rare phases preferred."""
    generator = random.Random(seed)
    game = Game.new(GameConfig.parse(config))
    best = dump_game(game)
    for _ in range(generator.randrange(20, 160)):
        if game.over:
            break
        legal = game.legal().tolist()
        game.apply(int(generator.choice(legal)))
        if not game.over and key_of(game, game.legal()[0])[:2] not in ("P:", "M:"):
            best = dump_game(game)
    return json.loads(json.dumps(best))


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value inside a document."""
    found = [path] if path else []
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for name, child in children:
        found += places(child, (*path, name))
    return found


def damage(state: dict[str, Any], generator: random.Random) -> None:
    """Replace, remove, move or duplicate one value somewhere."""
    path = generator.choice(places(state))
    parent: Any = state
    for name in path[:-1]:
        parent = parent[name]
    name, action = path[-1], generator.randrange(4)
    if action == 0:
        del parent[name]
    elif action == 1 and isinstance(parent, dict):
        parent[generator.choice([*map(str, parent), "9,9", "1,2", "x", ""])] = parent.pop(name)
    elif action == 2 and type(parent[name]) is int:
        parent[name] += generator.choice((-3, -1, 1, 2, 40))
    else:
        parent[name] = copy.deepcopy(generator.choice(JUNK))


@pytest.mark.parametrize("config", ["square8_2p", "hex8_3p", "square8_4p", "hex8_2p", "square19_2p"])
def test_a_damaged_state_is_refused_or_playable(config):
    generator = random.Random(config)
    bases = [mid_game(config, seed) for seed in range(6)]
    for base in bases:
        base["moveHistory"] = base["moveHistory"][-6:]
    refused = 0
    for _ in range(ROUNDS):
        state = copy.deepcopy(generator.choice(bases))
        for _ in range(generator.choice((1, 1, 2, 4))):
            damage(state, generator)
        try:
            game = load_game(state)
        except BadInput as error:
            assert error.line()
            refused += 1
            continue
        play_on(game, generator)
    assert ROUNDS // 4 < refused < ROUNDS


def play_on(game: Game, generator: random.Random) -> None:
    """Play a few moves; an active game always has one, and can be written at any time."""
    for _ in range(12):
        legal = game.legal().tolist()
        if not legal:
            assert game.over or game.states[0]["status"] > 2
            break
        game.apply(generator.choice(legal))
    load_game(json.loads(json.dumps(dump_game(game))))
