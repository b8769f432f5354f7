"""The `board` object of a GameState: stacks, markers and collapsed spaces, to and from a position."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ringrift.errors import BadInput
from ringrift.game.board import add_marker, collapse, put_stack
from ringrift.game.config import GameConfig
from ringrift.game.geometry import geometry
from ringrift.game.play import Game
from ringrift.notation.canonical import stack_rings
from ringrift.notation.cells import position_json, read_position, read_wire_key, wire_keys
from ringrift.notation.fields import Fields, shown


def tallest_stack(config: GameConfig) -> int:
    """Return the height that no legal stack exceeds: a full-length capture by a stack that just reaches."""
    return config.size


def read_board(states: npt.NDArray[np.void], board: Fields, config: GameConfig) -> None:
    """Put stacks, markers and collapsed spaces on the empty board of record 0."""
    geo = geometry(config.board)
    taken: dict[int, str] = {}
    read_stacks(states, board, config, taken)
    markers = board.object("markers")
    for key in markers.value:
        cell = _take_cell(config, markers, key, taken)
        marker = markers.object(key)
        _check_position(config, marker, cell)
        if marker.get("type") not in (None, "regular"):
            raise marker.wrong("type", f"{shown(marker.get('type'))} is not 'regular'")
        add_marker(geo, states, 0, cell, marker.integer("player", 1, config.players))
    collapsed = board.optional_object("collapsedSpaces")
    for key in collapsed.value:
        cell = _take_cell(config, collapsed, key, taken)
        collapse(geo, states, 0, cell, collapsed.integer(key, 1, config.players))


def read_stacks(
    states: npt.NDArray[np.void], board: Fields, config: GameConfig, taken: dict[int, str]
) -> None:
    """Put the stacks on the board, after finding out which end of `rings` is the top.

    The game server writes the top ring first, some older tools write it last. The order that fits controller
    and cap of every stack is taken; the server's order when both fit.
    """
    stacks = board.object("stacks")
    read = {
        _take_cell(config, stacks, key, taken): _read_stack(stacks.object(key), config)
        for key in stacks.value
    }
    for cell, key in zip(read, stacks.value, strict=True):
        _check_position(config, stacks.object(key), cell)
    geo = geometry(config.board)
    top_last = any(_misfit(stack) and not _misfit(_turned(stack)) for stack in read.values())
    for (cell, stack), key in zip(read.items(), stacks.value, strict=True):
        stack = _turned(stack) if top_last else stack
        problem = _misfit(stack)
        if problem:
            raise stacks.wrong(key, problem)
        packed = sum(owner - 1 << 2 * depth for depth, owner in enumerate(stack[0]))
        put_stack(geo, states, 0, cell, packed, len(stack[0]))
        for owner in stack[0]:
            states[0]["on_board"][owner] += 1


Stack = tuple[list[int], int, int]
"""Rings, controlling player, cap height."""


def _read_stack(stack: Fields, config: GameConfig) -> Stack:
    rings = stack.array("rings")
    for owner in rings:
        if type(owner) is not int or not 1 <= owner <= config.players:
            raise stack.wrong("rings", f"{shown(owner)} is not a seat in 1..{config.players}")
    if not 1 <= len(rings) <= tallest_stack(config):
        raise stack.wrong("rings", f"{len(rings)} rings, a stack has 1..{tallest_stack(config)}")
    height = stack.integer("stackHeight", 1, 99)
    if height != len(rings):
        raise stack.wrong("stackHeight", f"{height}, but there are {len(rings)} rings")
    return rings, stack.integer("controllingPlayer", 1, config.players), stack.integer("capHeight", 1, 99)


def _turned(stack: Stack) -> Stack:
    return stack[0][::-1], stack[1], stack[2]


def _misfit(stack: Stack) -> str:
    """Return what contradicts the rings, top first; empty when nothing does."""
    rings, controller, cap = stack
    if rings[0] != controller:
        return f"controllingPlayer {controller} does not fit rings {rings}"
    run = next((depth for depth, owner in enumerate(rings) if owner != controller), len(rings))
    return "" if run == cap else f"capHeight {cap} does not fit rings {rings}"


def _take_cell(config: GameConfig, entries: Fields, key: str, taken: dict[int, str]) -> int:
    """Return the cell of a map key; refuse a cell that holds something already."""
    cell = read_wire_key(config.board, key, entries.path)
    if cell in taken:
        raise BadInput(f"{entries.path}: {key} also stands in {taken[cell]}")
    taken[cell] = entries.path
    return cell


def _check_position(config: GameConfig, entry: Fields, cell: int) -> None:
    if entry.has("position"):
        stated = read_position(config.board, entry.get("position"), entry.at("position"))
        if stated != cell:
            raise entry.wrong("position", "another cell than the key")


def board_json(game: Game) -> dict[str, Any]:
    """Return the `board` object, rings top first."""
    position, board = game.states[0], game.config.board
    keys = wire_keys(board)
    stacks = {
        keys[cell]: {
            "position": position_json(board, cell),
            "rings": stack_rings(game, cell),
            "stackHeight": int(position["height"][cell]),
            "capHeight": int(position["cap"][cell]),
            "controllingPlayer": int(position["top"][cell]),
        }
        for cell in np.flatnonzero(position["height"]).tolist()
    }
    markers = {
        keys[cell]: {
            "player": int(position["marker"][cell]),
            "position": position_json(board, cell),
            "type": "regular",
        }
        for cell in np.flatnonzero(position["marker"]).tolist()
    }
    collapsed = np.flatnonzero(position["collapsed"]).tolist()
    return {
        "type": board,
        "size": game.config.size,
        "stacks": stacks,
        "markers": markers,
        "collapsedSpaces": {keys[cell]: int(position["collapsed"][cell]) for cell in collapsed},
        "eliminatedRings": {
            str(seat): int(position["eliminated"][seat]) for seat in range(1, game.config.players + 1)
        },
        "territories": {},
        "formedLines": [],
    }
