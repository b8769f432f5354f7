"""A game as GameState JSON, in the form that the game server writes."""

from __future__ import annotations

from typing import Any

from ringrift.game.apply import apply
from ringrift.game.geometry import NONE
from ringrift.game.phases import (
    OVER,
    OWED_LINE,
    OWED_RECOVERY,
    OWED_TERRITORY,
    PHASE_NAMES,
    REASON_NAMES,
    STATUS_NAMES,
)
from ringrift.game.play import Game
from ringrift.notation.boardjson import board_json
from ringrift.notation.cells import position_json, wire_keys
from ringrift.notation.fields import Fields
from ringrift.notation.history import read_past
from ringrift.notation.movejson import NO_TIME, move_to_json


def dump_game(game: Game) -> dict[str, Any]:
    """Return a GameState object; `load_game` makes the same position of it, with the same continuation."""
    position = game.states[0]
    state: dict[str, Any] = {
        "id": "",
        "boardType": game.config.board,
        "board": board_json(game),
        "players": [_player_json(game, seat) for seat in range(1, game.config.players + 1)],
        "currentPhase": PHASE_NAMES[position["phase"]],
        "currentPlayer": game.player or game.winner or 1,
        "moveHistory": history_json(game),
        "gameStatus": STATUS_NAMES[position["status"]],
        "victoryThreshold": int(position["ring_threshold"]),
        "territoryVictoryThreshold": game.config.legacy_territory,
        "territoryVictoryMinimum": int(position["territory_threshold"]),
        "totalRingsEliminated": int(position["eliminated"].sum()),
        "rulesOptions": _options_json(game),
        **_rings_in_play(game),
        **_lps_json(game),
        **_turn_json(game),
        **_table_json(game),
    }
    if game.winner:
        state["winner"] = game.winner
    facts = _facts_json(game, state)
    return {**state, "turnFacts": facts} if facts else state


def history_json(game: Game) -> list[dict[str, Any]]:
    """Return all moves since the beginning, those before loading as they were loaded."""
    history = list(game.earlier)
    replay = Game(game.config, game.origin.copy())
    for move in game.played:
        history.append(move_to_json(replay, move, len(history) + 1))
        apply(replay.geo, replay.states, 0, replay.scratch, move)
    return history


def _player_json(game: Game, seat: int) -> dict[str, Any]:
    position = game.states[0]
    return {
        "id": f"player-{seat}",
        "username": f"Player {seat}",
        "type": "ai",
        "playerNumber": seat,
        "isReady": True,
        "timeRemaining": 0,
        "ringsInHand": int(position["hand"][seat]),
        "eliminatedRings": int(position["eliminated"][seat]),
        "territorySpaces": int(position["territory"][seat]),
    }


def _rings_in_play(game: Game) -> dict[str, int]:
    """Return the rings of the game, nothing for a position that was loaded with too full hands."""
    position = game.states[0]
    supply = int(position["rings_per_player"])
    owned = position["hand"] + position["on_board"]
    total = int(owned.sum() + position["eliminated"].sum())
    fits = owned.max() <= supply and total <= supply * game.config.players
    return {"totalRingsInPlay": supply * game.config.players} if fits else {}


def _options_json(game: Game) -> dict[str, Any]:
    position = game.states[0]
    options: dict[str, Any] = {
        "swapRuleEnabled": bool(position["swap_rule"]),
        "lpsRoundsRequired": int(position["lps_required"]),
    }
    if position["rings_per_player"] != game.config.rings_per_player:
        options["ringsPerPlayer"] = int(position["rings_per_player"])
    return options


def _lps_json(game: Game) -> dict[str, Any]:
    position = game.states[0]
    seats = range(1, game.config.players + 1)
    mask = {str(seat): bool(position["lps_mask"][seat]) for seat in seats if position["lps_mask"][seat] >= 0}
    return {
        "lpsRoundIndex": int(position["lps_round"]),
        "lpsCurrentRoundFirstPlayer": int(position["lps_first"]),
        "lpsCurrentRoundActorMask": mask,
        "lpsConsecutiveExclusiveRounds": int(position["lps_streak"]),
        "lpsConsecutiveExclusivePlayer": int(position["lps_exclusive"]),
        "lpsRoundsRequired": int(position["lps_required"]),
    }


def _turn_json(game: Game) -> dict[str, Any]:
    """Return what a running turn remembers; absent fields mean nothing to remember."""
    position, board = game.states[0], game.config.board
    turn: dict[str, Any] = {}
    if position["phase"] == OVER:
        return turn
    if position["must_move"] != NONE:
        turn["mustMoveFromStackKey"] = wire_keys(board)[position["must_move"]]
    if position["chain_cell"] != NONE:
        turn["chainCapturePosition"] = position_json(board, int(position["chain_cell"]))
    if position["pending"] == OWED_LINE:
        turn["pendingLineRewardElimination"] = True
    return turn


def _facts_json(game: Game, state: dict[str, Any]) -> dict[str, Any]:
    """Return what the position knows and `moveHistory` does not tell: usually nothing."""
    position = game.states[0]
    past = read_past(Fields(state, ""), game.config, game.player)
    owes_region = position["pending"] in (OWED_TERRITORY, OWED_RECOVERY)
    untold = {
        "acted": position["acted"] and not game.over and not past.acted,
        "recovered": position["recovered"] and not game.over and not past.recovered,
        "regionClaimed": owes_region and not past.claimed_region,
        "swapped": position["swapped"] and not past.swapped,
    }
    facts: dict[str, Any] = {name: True for name, holds in untold.items() if holds}
    if position["moved"] != past.moved:
        facts["seatsMoved"] = [seat for seat in range(1, 5) if position["moved"] >> seat & 1]
    if position["last_actor"] != past.last_actor:
        facts["lastActor"] = int(position["last_actor"])
    if position["reason"]:
        facts["endReason"] = REASON_NAMES[position["reason"]]
    return facts


def _table_json(game: Game) -> dict[str, Any]:
    """Return what belongs to the table and not to the rules, but is required on the wire."""
    return {
        "timeControl": {"initialTime": 0, "increment": 0, "type": "rapid"},
        "spectators": [],
        "createdAt": NO_TIME,
        "lastMoveAt": NO_TIME,
        "isRated": False,
        "maxPlayers": game.config.players,
    }
