"""GameState JSON into a position. The other direction, `dump_game`, lives in `statedump`.

What the wire leaves out is inferred as the contract tells: the stack that must move, the stack that captures
and an elimination that is owed follow from the last move, and so on (`history`). Nothing impossible is
repaired: every contradiction is a `BadInput` that names the field.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ringrift.errors import BadInput
from ringrift.game import phases
from ringrift.game.capture import can_capture
from ringrift.game.config import BOARDS, GameConfig
from ringrift.game.geometry import NONE
from ringrift.game.play import Game
from ringrift.game.state import new_positions, start
from ringrift.game.territory import can_pay
from ringrift.game.victory import finish
from ringrift.notation.boardjson import read_board
from ringrift.notation.cells import read_position, read_wire_key
from ringrift.notation.fields import Fields, shown
from ringrift.notation.history import Past, read_past
from ringrift.notation.statedump import dump_game

__all__ = ["dump_game", "load_game"]

_LARGEST_THRESHOLD = 100_000
_STATUS = {
    "active": phases.ACTIVE,
    "completed": phases.COMPLETED,
    "finished": phases.COMPLETED,
    "abandoned": phases.ABANDONED,
    "waiting": phases.WAITING,
    "paused": phases.PAUSED,
}

States = npt.NDArray[np.void]


def load_game(state: object) -> Game:
    """Return the game that a GameState object describes, rings in either order, names in either case.

    A waiting or paused game has no legal moves until its host makes it active. A completed or abandoned one
    is over. Unknown fields, and counts that no rule reads, are ignored. Raises `BadInput` for anything
    malformed or impossible.
    """
    fields = Fields(state, "")
    config = _read_config(fields)
    states = new_positions(1)
    start(states, 0, config, swap=False)
    _read_options(states, fields, config)
    read_board(states, fields.object("board"), config)
    _read_players(states, fields, config)
    _read_turn(states, fields, config)
    game = Game(config, states)
    game.earlier = list(fields.optional_array("moveHistory"))
    if states[0]["status"] == phases.ACTIVE and not len(game.legal()):
        raise fields.wrong("currentPhase", f"{phases.PHASE_NAMES[game.phase]}, but there is no legal move")
    return game


def _read_config(fields: Fields) -> GameConfig:
    board = fields.object("board")
    name = board.choice("type", BOARDS)
    if fields.has("boardType") and fields.choice("boardType", BOARDS) != name:
        raise board.wrong("type", f"{name}, but boardType is {fields.get('boardType')}")
    players = len(fields.array("players"))
    if players not in (2, 3, 4):
        raise fields.wrong("players", f"{players} entries, a game has 2, 3 or 4")
    config = GameConfig(name, players)
    if board.integer("size", 1, 99) != config.size:
        raise board.wrong("size", f"{board.get('size')}, but {name} has {config.size}")
    return config


def _read_options(states: States, fields: Fields, config: GameConfig) -> None:
    """Read the thresholds; they are the game's own, whatever its board says."""
    position = states[0]
    options = fields.optional_object("rulesOptions")
    if options.has("ringsPerPlayer"):
        position["rings_per_player"] = options.integer("ringsPerPlayer", 1, config.rings_per_player * 2)
    for place in (options, fields):
        if place.has("lpsRoundsRequired"):
            position["lps_required"] = place.integer("lpsRoundsRequired", 1, _LARGEST_THRESHOLD)
    position["swap_rule"] = int(options.flag("swapRuleEnabled") and config.players == 2)
    position["ring_threshold"] = fields.integer("victoryThreshold", 1, _LARGEST_THRESHOLD)
    position["territory_threshold"] = fields.integer("territoryVictoryThreshold", 1, _LARGEST_THRESHOLD)
    if fields.has("territoryVictoryMinimum"):
        position["territory_threshold"] = fields.integer("territoryVictoryMinimum", 1, _LARGEST_THRESHOLD)


def _read_players(states: States, fields: Fields, config: GameConfig) -> None:
    position = states[0]
    supply = int(position["rings_per_player"])
    seen: set[int] = set()
    for player in fields.entries("players"):
        seat = player.integer("playerNumber", 1, config.players)
        if seat in seen:
            raise player.wrong("playerNumber", f"{seat} appears twice")
        seen.add(seat)
        position["hand"][seat] = player.integer("ringsInHand", 0, supply)
        position["eliminated"][seat] = player.integer("eliminatedRings", 0, supply * config.players)
        spaces = player.integer("territorySpaces", 0, config.cells)
        if spaces != position["territory"][seat]:
            owned = position["territory"][seat]
            raise player.wrong("territorySpaces", f"{spaces}, but {owned} collapsed spaces are owned")
        if position["on_board"][seat] > supply:
            count = position["on_board"][seat]
            raise fields.wrong("board.stacks", f"{count} rings of player {seat}, there are {supply}")
    _check_conservation(states, fields, supply)


def _check_conservation(states: States, fields: Fields, supply: int) -> None:
    """Refuse more rings than exist; fewer may be there, as in positions made by hand.

    A state without `totalRingsInPlay` comes from tools that write full hands beside the rings on the board,
    so that its hands prove nothing. The game server always sends it, as 0 from its sandbox.
    """
    position = states[0]
    players = int(position["players"])
    known = fields.has("totalRingsInPlay")
    stated = fields.integer("totalRingsInPlay", 0, _LARGEST_THRESHOLD) if known else 0
    if stated and stated != supply * players:
        raise fields.wrong("totalRingsInPlay", f"{stated}, but {players} players have {supply} each")
    held = position["on_board"] + position["hand"] if known else position["on_board"]
    for seat in range(1, players + 1):
        if held[seat] > supply:
            raise fields.wrong("players", f"player {seat} has {held[seat]} rings, there are {supply}")
    total = int(held.sum() + position["eliminated"].sum())
    if total > supply * players:
        raise fields.wrong("players", f"{total} rings in all, there are {supply * players}")


def _read_turn(states: States, fields: Fields, config: GameConfig) -> None:
    position = states[0]
    phase = phases.PHASE_NAMES.index(fields.choice("currentPhase", phases.PHASE_NAMES))
    status = _STATUS[fields.choice("gameStatus", tuple(_STATUS))]
    player = fields.integer("currentPlayer", 1, config.players)
    past = read_past(fields, config, player)
    position["player"] = player
    position["phase"] = phase
    position["acted"] = past.acted
    position["recovered"] = past.recovered
    position["last_actor"] = past.last_actor
    position["moved"] = past.moved
    position["swapped"] = past.swapped
    _read_lps(states, fields, config)
    if phase == phases.OVER and status == phases.ACTIVE:
        status = phases.COMPLETED
    winner = fields.integer("winner", 1, config.players) if fields.has("winner") else 0
    if status in (phases.COMPLETED, phases.ABANDONED):
        finish(states, 0, winner, past.facts.end_reason)
        position["acted"] = position["recovered"] = 0  # nobody's turn
    elif phase == phases.OVER:
        raise fields.wrong("currentPhase", f"game_over, but gameStatus is {fields.get('gameStatus')}")
    elif winner:
        raise fields.wrong("winner", f"{winner}, but gameStatus is {fields.get('gameStatus')}")
    elif past.facts.end_reason:
        raise fields.wrong("turnFacts.endReason", f"given, but gameStatus is {fields.get('gameStatus')}")
    else:
        _read_origin(states, fields, config, past)
        _read_debt(states, fields, past)
    position["status"] = status


def _read_lps(states: States, fields: Fields, config: GameConfig) -> None:
    """Read the counters of last player standing, from their own fields or from `lpsTracking`."""
    position = states[0]
    names = {
        "lps_round": ("lpsRoundIndex", "roundIndex", 0, _LARGEST_THRESHOLD),
        "lps_streak": ("lpsConsecutiveExclusiveRounds", "consecutiveExclusiveRounds", 0, _LARGEST_THRESHOLD),
        "lps_exclusive": ("lpsConsecutiveExclusivePlayer", "consecutiveExclusivePlayer", 0, config.players),
        "lps_first": ("lpsCurrentRoundFirstPlayer", "firstPlayer", 0, config.players),
    }
    tracking = fields.optional_object("lpsTracking")
    for field, (name, tracked, low, high) in names.items():
        if fields.has(name):
            position[field] = fields.integer(name, low, high)
        elif tracking.has(tracked):
            position[field] = tracking.integer(tracked, low, high)
    streak, exclusive = int(position["lps_streak"]), int(position["lps_exclusive"])
    if (streak > 0) != (exclusive > 0):
        problem = f"{streak}, but lpsConsecutiveExclusivePlayer is {exclusive or 'missing'}"
        raise fields.wrong("lpsConsecutiveExclusiveRounds", problem)
    mask = fields.optional_object("lpsCurrentRoundActorMask")
    seats = [str(seat) for seat in range(1, config.players + 1)]
    for seat in mask.value:
        if seat not in seats:
            raise fields.wrong("lpsCurrentRoundActorMask", f"{shown(seat)} is not one of {', '.join(seats)}")
        if mask.has(seat):
            position["lps_mask"][int(seat)] = mask.flag(seat)


def _read_origin(states: States, fields: Fields, config: GameConfig, past: Past) -> None:
    """Find the stack that must move, may or must capture; outside of their phases both are ignored."""
    position = states[0]
    phase, player = position["phase"], position["player"]
    must_move = past.placed_cell(config.board)
    if fields.has("mustMoveFromStackKey"):
        key = fields.get("mustMoveFromStackKey")
        must_move = read_wire_key(config.board, key, "mustMoveFromStackKey")
    if fields.has("chainCapturePosition"):
        read_position(config.board, fields.get("chainCapturePosition"), "chainCapturePosition")
    if phase == phases.MOVEMENT:
        position["must_move"] = must_move
        if position["must_move"] != NONE and position["top"][position["must_move"]] != player:
            raise fields.wrong("mustMoveFromStackKey", f"no stack of player {player} stands there")
    elif phase in (phases.CAPTURE, phases.CHAIN):
        cell = _capturing_cell(states, fields, config, past)
        if cell == NONE:
            raise fields.wrong("chainCapturePosition", "missing, and moveHistory does not tell who captures")
        if position["top"][cell] != player:
            raise fields.wrong("chainCapturePosition", f"no stack of player {player} stands there")
        position["chain_cell"] = cell


def _capturing_cell(states: States, fields: Fields, config: GameConfig, past: Past) -> int:
    """Return the stated cell, else the last landing, else the only stack of the mover that can capture."""
    if fields.has("chainCapturePosition"):
        return read_position(config.board, fields.get("chainCapturePosition"), "chainCapturePosition")
    chain = fields.optional_object("chainCaptureState")
    if chain.has("currentPosition") and not past.moves:
        return read_position(config.board, chain.get("currentPosition"), chain.at("currentPosition"))
    landing = past.landing(config.board)
    if landing != NONE:
        return landing
    geo = Game(config, states).geo
    able = [cell for cell in range(config.cells) if can_capture(geo, states, 0, cell)]
    return able[0] if len(able) == 1 else NONE


def _read_debt(states: States, fields: Fields, past: Past) -> None:
    """Find out whether an elimination is owed."""
    position = states[0]
    phase = position["phase"]
    stated = fields.get("pendingLineRewardElimination")
    owes_line = fields.flag("pendingLineRewardElimination")
    if stated is None and phase == phases.LINES and past.collapsed_line:
        owes_line = bool(position["stacks"][position["player"]] > 0)
    if owes_line:
        if phase != phases.LINES:
            raise fields.wrong("pendingLineRewardElimination", "true outside of line_processing")
        if position["stacks"][position["player"]] == 0:
            raise fields.wrong("pendingLineRewardElimination", "true, but the player controls no stack")
        position["pending"] = phases.OWED_LINE
    elif phase == phases.TERRITORY and past.claimed_region:
        if not any(can_pay(states, 0, cell) for cell in np.flatnonzero(position["height"])):
            raise BadInput("moveHistory: a region was claimed, but no stack can pay for it")
        position["pending"] = phases.OWED_RECOVERY if position["recovered"] else phases.OWED_TERRITORY
