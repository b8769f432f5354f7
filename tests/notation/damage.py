"""GameStates and moves with something wrong in them, and what a GameState says as far as rules go."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

from ringrift.game.config import GameConfig
from ringrift.game.phases import PHASE_NAMES
from ringrift.game.play import Game
from ringrift.notation.gamestate import dump_game
from ringrift.notation.keys import key_of

JUNK: list[Any] = [
    None, True, False, 0, 1, 2, 3, 4, -1, 25, 511, 2**31, 2**63, 2**64, 10**30, 0.5, 1.0, float("nan"),
    float("inf"), "", "0", "1,1", "0,0,0", "active", "chain_capture", "\ud800", "ñ\u202e\0", [], [1],
    [1, 2, 1], {}, {"x": 1}, {"x": 0, "y": 0}, {"x": 1, "y": -1, "z": 0}, [[]], {"1": True},
    [[[[[[[[]]]]]]]], {"a": {"b": {"c": {}}}}, "x" * 5_000,
]  # fmt: skip
RARE = ("P:", "M:", "NP", "NM", "NL", "NT", "SP")
"""Beginnings of the keys of everyday moves; all others lead through rare phases."""


def mid_games(config: GameConfig, count: int) -> list[str]:
    """Return the JSON of random positions, those of rare phases preferred, with a short history."""
    generator = random.Random(config.key)
    found = []
    for _ in range(count):
        game = Game.new(config)
        best = dump_game(game)
        for _ in range(generator.randrange(20, 160)):
            legal = game.legal().tolist()
            rare = [move for move in legal if not key_of(game, move).startswith(RARE)]
            game.apply(generator.choice(rare or legal))
            if game.over:
                break
            if not key_of(game, int(game.legal()[0])).startswith(RARE):
                best = dump_game(game)
        best["moveHistory"] = best["moveHistory"][-6:]
        found.append(json.dumps(best))
    return found


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value inside a document."""
    found = [path] if path else []
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for name, child in children:
        found += places(child, (*path, name))
    return found


def damage(document: dict[str, Any], generator: random.Random) -> None:
    """Replace, remove, rename, duplicate or change one value somewhere."""
    path = generator.choice(places(document))
    parent: Any = document
    for name in path[:-1]:
        parent = parent[name]
    name, action = path[-1], generator.randrange(5)
    if action == 0:
        del parent[name]
    elif action == 1 and isinstance(parent, dict):
        parent[generator.choice([*map(str, parent), "9,9", "1,2", "x", ""])] = parent.pop(name)
    elif action == 2 and isinstance(parent, list):
        parent.append(copy.deepcopy(parent[name]))
    elif action in (2, 3) and type(parent[name]) is int:
        parent[name] += generator.choice((-3, -1, 1, 2, 40))
    else:
        parent[name] = copy.deepcopy(generator.choice(JUNK))


def contradict(state: dict[str, Any], generator: random.Random) -> None:
    """Say something well-formed that may be impossible: another phase, seat, debt, stack or marker."""
    board, seats = state["board"], len(state["players"])
    keys = [*board["stacks"], *board["markers"], *board["collapsedSpaces"], "0,0", "0,0,0", "3,1,-4"]
    key, seat = generator.choice(keys), generator.randrange(1, seats + 2)
    kinds: list[tuple[dict[str, Any], str, Any]] = [
        (board["markers"], key, {"player": seat}),
        (board["collapsedSpaces"], key, seat),
        (board["stacks"], key, tower([seat] * generator.randrange(1, 12))),
        (state, "currentPhase", generator.choice(PHASE_NAMES)),
        (state, "currentPlayer", seat),
        (state, "pendingLineRewardElimination", True),
        (state, "mustMoveFromStackKey", key),
        (state, "chainCapturePosition", {"x": 1, "y": generator.randrange(5)}),
        (state, "lpsConsecutiveExclusivePlayer", seat),
        (state, "winner", seat),
        (state, "gameStatus", generator.choice(("completed", "paused", "finished", "waiting", "over"))),
        (state, "totalRingsInPlay", generator.choice((0, 36, 99, None))),
        (state, "turnFacts", {"regionClaimed": True, "acted": True, "lastActor": seat}),
        (state["players"][0], "ringsInHand", generator.randrange(100)),
        (state["players"][-1], "eliminatedRings", generator.randrange(100)),
        (state["players"][0], "playerNumber", seat),
    ]
    place, name, value = generator.choice(kinds)
    place[name] = value


def tower(rings: list[int]) -> dict[str, Any]:
    height = len(rings)
    return {"rings": rings, "stackHeight": height, "capHeight": height, "controllingPlayer": rings[0]}


def damaged(base: str, generator: random.Random) -> dict[str, Any]:
    """Return a position with one to four things wrong."""
    state: dict[str, Any] = json.loads(base)
    if generator.random() < 0.4:
        contradict(state, generator)
    else:
        for _ in range(generator.choice((1, 1, 2, 4))):
            damage(state, generator)
    return state


def content(state: dict[str, Any]) -> dict[str, Any]:
    """Return everything that a GameState of the wire says about the position, in one spelling.

    Rings are listed from the controller's end. What the game's status makes meaningless is left out.
    """
    board = state["board"]
    said: dict[str, Any] = {
        "board": (board["type"], board["size"]),
        "markers": {key: marker["player"] for key, marker in board["markers"].items()},
        "collapsed": board.get("collapsedSpaces") or {},
        "stacks": {key: _from_top(stack) for key, stack in board["stacks"].items()},
        "players": sorted(
            (each["playerNumber"], each["ringsInHand"], each["eliminatedRings"], each["territorySpaces"])
            for each in state["players"]
        ),
        "winner": state.get("winner"),
        "threshold": state["victoryThreshold"],
        "territory": state.get("territoryVictoryMinimum") or state["territoryVictoryThreshold"],
        "rings": (state.get("rulesOptions") or {}).get("ringsPerPlayer"),
        "swap": (state.get("rulesOptions") or {}).get("swapRuleEnabled") or False,
        **{name: state.get(name) or 0 for name in state if name.startswith("lps") and state[name]},
    }
    over = state["currentPhase"] == "game_over" or state["gameStatus"] not in ("active", "waiting", "paused")
    said["over"] = over
    if not over:
        said.update({name: state[name] for name in ("currentPhase", "currentPlayer", "gameStatus")})
        said.update({name: _no_z(state[name]) for name in _turn_fields(state) if state.get(name)})
    return said


def _no_z(value: Any) -> Any:
    """Return a position without its third coordinate, which may be left out; anything else as it is."""
    return (value["x"], value["y"]) if isinstance(value, dict) else value


def _turn_fields(state: dict[str, Any]) -> list[str]:
    """Return the fields that a running turn of this phase reads."""
    fields = {
        "movement": ["mustMoveFromStackKey"],
        "capture": ["chainCapturePosition"],
        "chain_capture": ["chainCapturePosition"],
        "line_processing": ["pendingLineRewardElimination"],
    }
    return fields.get(state["currentPhase"], [])


def _from_top(stack: dict[str, Any]) -> tuple[Any, list[int]]:
    rings, cap, top = stack["rings"], stack["capHeight"], stack["controllingPlayer"]
    fits = rings[:cap] == [top] * cap and (len(rings) == cap or rings[cap] != top)
    return stack["stackHeight"], rings if fits else rings[::-1]
