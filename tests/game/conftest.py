"""Positions written by hand, as the worked examples of the rules write them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from ringrift.game.config import GameConfig
from ringrift.game.play import Game
from ringrift.notation.gamestate import load_game
from ringrift.notation.keys import move_of

Cell = tuple[int, int]


def wire_key(config: GameConfig, cell: Cell) -> str:
    x, y = cell
    return f"{x},{y},{-x - y}" if config.is_hex else f"{x},{y}"


def cap_of(rings: Sequence[int]) -> int:
    run = 0
    while run < len(rings) and rings[run] == rings[0]:
        run += 1
    return run


def make_position(
    config: str = "square8_2p",
    *,
    stacks: Mapping[Cell, Sequence[int]],
    markers: Mapping[Cell, int] | None = None,
    collapsed: Mapping[Cell, int] | None = None,
    phase: str = "movement",
    player: int = 1,
    hands: Sequence[int] | None = None,
    eliminated: Sequence[int] | None = None,
    history: Sequence[dict[str, Any]] = (),
    **extra: Any,
) -> Game:
    """Return the game with these stacks (rings top first), markers and collapsed spaces; hands are empty."""
    parsed = GameConfig.parse(config)
    seats = range(1, parsed.players + 1)
    hands = hands or [0] * parsed.players
    eliminated = eliminated or [0] * parsed.players
    collapsed = collapsed or {}
    board = {
        "type": parsed.board,
        "size": parsed.size,
        "stacks": {
            wire_key(parsed, cell): {
                "rings": list(rings),
                "stackHeight": len(rings),
                "capHeight": cap_of(rings),
                "controllingPlayer": rings[0],
            }
            for cell, rings in stacks.items()
        },
        "markers": {wire_key(parsed, cell): {"player": owner} for cell, owner in (markers or {}).items()},
        "collapsedSpaces": {wire_key(parsed, cell): owner for cell, owner in collapsed.items()},
    }
    players = [
        {
            "playerNumber": seat,
            "ringsInHand": hands[seat - 1],
            "eliminatedRings": eliminated[seat - 1],
            "territorySpaces": sum(owner == seat for owner in collapsed.values()),
        }
        for seat in seats
    ]
    return load_game(
        {
            "board": board,
            "players": players,
            "currentPlayer": player,
            "currentPhase": phase,
            "gameStatus": "active",
            "moveHistory": list(history),
            "victoryThreshold": parsed.ring_threshold,
            "territoryVictoryThreshold": parsed.legacy_territory,
            "territoryVictoryMinimum": parsed.territory_minimum,
            **extra,
        }
    )


def play_keys(game: Game, *keys: str) -> None:
    for key in keys:
        game.apply(move_of(game, key))


@pytest.fixture
def position() -> Callable[..., Game]:
    return make_position


@pytest.fixture
def play() -> Callable[..., None]:
    return play_keys
