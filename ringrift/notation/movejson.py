"""Moves as JSON objects, with the fields that the game server compares and applies. Reading: `moveparse`.

Positions carry `z` on hex boards only; moves without a destination carry the sentinel `{"x": 0, "y": 0}`.
"""

from __future__ import annotations

from typing import Any

from ringrift.game import moves as m
from ringrift.game.geometry import NONE, cell_xy
from ringrift.game.phases import OWED_LINE, OWED_RECOVERY, PENDING_NAMES
from ringrift.game.play import Game
from ringrift.notation.cells import position_json, vector_json, wire_keys
from ringrift.notation.cellsets import chosen_cells, region_cells, run_cells, slide_window
from ringrift.notation.moveparse import move_from_json

__all__ = ["NO_TIME", "move_from_json", "move_to_json"]

NO_TIME = "1970-01-01T00:00:00.000Z"
"""Timestamp of moves and games whose time is not known; the rules do not use it."""


def move_to_json(game: Game, move: int, number: int | None = None) -> dict[str, Any]:
    """Return a move that is legal in `game`; with `number` (from 1) it is complete enough for a history."""
    described = {
        "type": m.MOVE_NAMES[m.move_type(move)],
        "player": game.player,
        **_describe(game, int(move)),
    }
    if number is None:
        return described
    stamp = {"id": f"move-{number}", "timestamp": NO_TIME, "thinkTime": 0, "moveNumber": number}
    return {**described, **stamp}


def _describe(game: Game, move: int) -> dict[str, Any]:
    kind = int(m.move_type(move))
    if kind in (m.PROCESS_LINE, m.CHOOSE_LINE):
        return _describe_line(game, move)
    if kind == m.CHOOSE_TERRITORY:
        return _describe_region(game, move)
    if kind in (m.ELIMINATE, m.FORCED_ELIMINATION):
        return _describe_elimination(game, move)
    if kind == m.PLACE_RING:
        return _describe_placement(game, move)
    if kind == m.RECOVERY_SLIDE:
        return _describe_recovery(game, move)
    if kind in (m.MOVE_STACK, m.OVERTAKING_CAPTURE, m.CONTINUE_CAPTURE):
        return _describe_movement(game, move)
    return {"to": {"x": 0, "y": 0}}


def _positions(game: Game, cells: list[int]) -> list[dict[str, int]]:
    return [position_json(game.config.board, cell) for cell in cells]


def _describe_placement(game: Game, move: int) -> dict[str, Any]:
    to = int(m.move_to(move))
    return {
        "to": position_json(game.config.board, to),
        "placementCount": int(m.move_count(move)),
        "placedOnStack": bool(game.states[0]["height"][to] > 0),
    }


def _describe_movement(game: Game, move: int) -> dict[str, Any]:
    source, target, to = _positions(game, [m.move_from(move), m.move_target(move), m.move_to(move)])
    if m.move_type(move) == m.MOVE_STACK:
        return {"from": source, "to": to}
    return {"from": source, "to": to, "captureTarget": target}


def _describe_recovery(game: Game, move: int) -> dict[str, Any]:
    source, to = _positions(game, [m.move_from(move), m.move_to(move)])
    described: dict[str, Any] = {
        "from": source,
        "to": to,
        "recoveryMode": m.RECOVERY_MODES[m.recovery_mode(move)],
        "recoveryOption": int(m.move_count(move)),
    }
    payer = int(m.move_extraction(move))
    if payer != NONE:
        described["extractionStacks"] = [wire_keys(game.config.board)[payer]]
    else:
        described["collapsePositions"] = _positions(game, slide_window(game, move))
    return described


def _describe_line(game: Game, move: int) -> dict[str, Any]:
    run = run_cells(game, move)
    (x, y), (next_x, next_y) = (cell_xy(game.config.board, cell) for cell in run[:2])
    described: dict[str, Any] = {
        "to": position_json(game.config.board, run[0]),
        "formedLines": [
            {
                "positions": _positions(game, run),
                "player": game.player,
                "length": len(run),
                "direction": vector_json(game.config.board, next_x - x, next_y - y),
            }
        ],
    }
    if m.move_type(move) == m.CHOOSE_LINE:
        described["collapsedMarkers"] = _positions(game, chosen_cells(game, move))
    return described


def _describe_region(game: Game, move: int) -> dict[str, Any]:
    """Describe a region, cells by column as the game server lists them; its owner is the border's colour."""
    cells = sorted(region_cells(game, move), key=lambda cell: cell_xy(game.config.board, cell))
    spaces = _positions(game, cells)
    owner = int(m.move_aux(move)) or game.player
    region = {"spaces": spaces, "controllingPlayer": owner, "isDisconnected": True}
    return {"to": spaces[0], "disconnectedRegions": [region]}


def _describe_elimination(game: Game, move: int) -> dict[str, Any]:
    position, cell = game.states[0], int(m.move_to(move))
    owed = int(m.move_count(move))
    single = owed in (OWED_LINE, OWED_RECOVERY)
    cap = int(position["cap"][cell])
    place = position_json(game.config.board, cell)
    return {
        "to": place,
        "eliminationContext": PENDING_NAMES[owed] or "forced",
        "eliminatedRings": [{"player": game.player, "count": 1 if single else cap}],
        "eliminationFromStack": {
            "position": place,
            "capHeight": cap,
            "totalHeight": int(position["height"][cell]),
        },
    }
