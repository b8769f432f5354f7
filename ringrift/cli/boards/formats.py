"""Recorded games in the three forms they come in: shards, JSON Lines traces, GameState JSON."""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from ringrift.cli.boards.recording import Note, Recording, record
from ringrift.client.display import plain, short
from ringrift.draw.palette import LETTERS
from ringrift.errors import BadInput, CorruptData, NotFound, RingRiftError
from ringrift.game.config import GameConfig
from ringrift.game.play import Game
from ringrift.learning.records import GameRecord, decode, game_id
from ringrift.learning.replay import Decision, replay
from ringrift.learning.shards import read_shard
from ringrift.notation.fields import snake_case
from ringrift.notation.gamestate import load_game
from ringrift.notation.keys import key_of, move_of
from ringrift.notation.moveparse import move_from_json

LARGEST_FILE = 256 << 20
"""Bytes of text that are read, after decompression."""
SHOWN_TARGETS = 6
_CAMEL = (
    "victoryThreshold", "territoryVictoryThreshold", "territoryVictoryMinimum", "lpsRoundsRequired",
)  # fmt: skip
_THRESHOLDS = frozenset(_CAMEL) | {snake_case(name) for name in _CAMEL}
"""Options of a GameState that stand beside `rulesOptions`."""


def read_recording(path: Path, number: int | None) -> Recording:
    """Return a game of a file; `number` counts from 1, None is the first.

    Raises `NotFound` for no such file or game, `CorruptData` for a file that is damaged or breaks the rules,
    `BadInput` for a GameState that is malformed.
    """
    data = _read(path)
    if data.lstrip()[:1] != b"{":
        return from_shard(path, number)
    try:
        entries = [json.loads(line) for line in data.splitlines() if line.strip()]
    except (ValueError, RecursionError):
        entries = [_json(data, path)]
    games = [entry for entry in entries if isinstance(entry, dict)]
    if len(games) != len(entries):
        raise CorruptData(f"{path.name} holds lines that are no JSON objects")
    at = _index(number, len(games), path)
    title = _title(path.name, at, len(games))
    if "mv" in games[at]:
        return from_trace(games[at], title)
    state = games[at].get("state", games[at])
    return from_state(state, title)


def from_shard(path: Path, number: int | None, identity: str = "") -> Recording:
    """Return a game of a shard, by number or by its id."""
    records = read_shard(path)
    ids = [game_id(each) for each in records]
    if identity and identity not in ids:
        raise CorruptData(f"shard {path.name} does not hold game {identity[:12]}")
    at = ids.index(identity) if identity else _index(number, len(records), path)
    found = decode(records[at])
    title = f"game {short(ids[at])}" if identity else _title(path.name, at, len(records))
    return _from_record(found, title)


def _from_record(found: GameRecord, title: str) -> Recording:
    """Play a record through the rules; its decisions stand between forced plies, which are played too."""
    moves: list[int] = []
    notes: dict[int, Note] = {}
    game = Game.new(found.config, swap=found.header.swap_rule)
    for decision in replay(found):
        moves += _settle(game)
        notes[len(moves)] = _note(found, decision, game)
        moves.append(int(found.moves[decision.index]))
        game.apply(moves[-1])
    moves += _settle(game)
    facts = [
        f"{LETTERS[seat]} {spec.kind}" + (f" {short(spec.model)}" if spec.model else "")
        for seat, spec in enumerate(found.header.seats, start=1)
    ]
    origin = Game.new(found.config, swap=found.header.swap_rule)
    return record(title, origin, moves, notes, facts)


def _settle(game: Game) -> list[int]:
    """Play forced plies and return them."""
    played = []
    while len(legal := game.legal()) == 1:
        game.apply(int(legal[0]))
        played.append(int(legal[0]))
    return played


def _note(found: GameRecord, decision: Decision, game: Game) -> Note:
    values = tuple(float(value) for value in found.root_values()[decision.index])
    begin, end = found.target_starts()[decision.index : decision.index + 2].tolist()
    shares = found.weights[begin:end].astype(float)
    order = np.argsort(-shares, kind="stable")[:SHOWN_TARGETS]
    total = float(shares.sum()) or 1.0
    target = tuple(
        (key_of(game, int(decision.legal[found.ranks[begin + k]])), float(shares[k]) / total) for k in order
    )
    return Note(values if any(values) else (), target)


def from_trace(entry: dict[str, Any], title: str) -> Recording:
    """Return a game of a JSON Lines trace: `board`, `players`, `swapRule` and the keys `mv`."""
    try:
        config = GameConfig(entry["board"], entry["players"])
        keys, name = list(entry["mv"]), entry.get("id", "")
    except (KeyError, TypeError, RingRiftError) as error:
        raise CorruptData(f"{title} is no trace: {_reason(error)}") from None
    game = Game.new(config, swap=bool(entry.get("swapRule", True)))
    origin = game.copy()
    for ply, key in enumerate(keys):
        try:
            game.apply(move_of(game, key))
        except RingRiftError as error:
            raise CorruptData(f"{title}, ply {ply}: {error.message}") from None
    end = entry.get("end") if isinstance(entry.get("end"), dict) else {}
    facts = [plain(name, 60)] if name else []
    if end.get("timing") == "mid_turn":
        facts.append("the engine that recorded it ended the game in mid-turn")
    return record(title, origin, game.played, facts=facts)


def from_state(state: object, title: str) -> Recording:
    """Return a GameState with its history; the position alone where the history does not lead to it."""
    final = load_game(state)
    assert isinstance(state, dict)
    history = final.earlier
    try:
        game = load_game(_opening(state))
        origin = game.copy()
        for entry in history:
            game.apply(move_from_json(game, entry))
        complete = _same_board(game, final)
    except RingRiftError:
        complete = False
    if complete:
        return record(title, origin, game.played)
    fact = f"its history of {len(history)} moves does not begin with the opening" if history else "no history"
    return record(title, final, (), facts=[fact])


def _opening(state: dict[str, Any]) -> dict[str, Any]:
    """Return the GameState in which the game of `state` began: its options, an empty board, full hands."""
    board = dict(state["board"], stacks={}, markers={}, collapsedSpaces={}, collapsed_spaces=None)
    options = state.get("rulesOptions") or state.get("rules_options") or {}
    size = GameConfig(board["type"], len(state["players"]))
    rings = options.get("ringsPerPlayer") or options.get("rings_per_player") or size.rings_per_player
    players = [
        {"playerNumber": seat, "ringsInHand": rings, "eliminatedRings": 0, "territorySpaces": 0}
        for seat in range(1, size.players + 1)
    ]
    kept = {name: value for name, value in state.items() if name in _THRESHOLDS}
    return {
        **kept,
        "board": board,
        "players": players,
        "rulesOptions": options,
        "currentPhase": "ring_placement",
        "currentPlayer": 1,
        "gameStatus": "active",
        "moveHistory": [],
    }


def _same_board(game: Game, other: Game) -> bool:
    names = ("rings", "marker", "collapsed", "hand", "eliminated")
    return all(np.array_equal(game.states[0][name], other.states[0][name]) for name in names)


def _read(path: Path) -> bytes:
    """Return the bytes of a file, decompressed if it is a gzip file."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise NotFound(f"there is no file {path}") from None
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from None
    if data[:2] != b"\x1f\x8b":
        return data
    try:
        with gzip.open(path) as file:
            text = file.read(LARGEST_FILE + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise CorruptData(f"{path.name} is a damaged gzip file: {error}") from None
    if len(text) > LARGEST_FILE:
        raise BadInput(f"{path.name} holds more than {LARGEST_FILE >> 20} MiB of text")
    return text


def _json(data: bytes, path: Path) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise CorruptData(f"{path.name} is no JSON: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} in line {error.lineno}"
    if isinstance(error, KeyError):
        return f"{error.args[0]} is missing"
    return getattr(error, "message", None) or str(error) or type(error).__name__


def _index(number: int | None, count: int, path: Path) -> int:
    if not count:
        raise CorruptData(f"{path.name} holds no game")
    if number is not None and not 1 <= number <= count:
        raise NotFound(f"{path.name} has no game {number}", hint=f"it holds games 1..{count}")
    return (number or 1) - 1


def _title(name: str, at: int, count: int) -> str:
    return f"{name}, game {at + 1} of {count}" if count > 1 else name

