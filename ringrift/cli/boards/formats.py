"""Recorded games from files: JSON Lines traces, GameState JSON, and shards (`shard`)."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ringrift.cli.boards.recording import Recording, record
from ringrift.client.display import plain
from ringrift.errors import BadInput, CorruptData, NotFound, RingRiftError
from ringrift.game.config import GameConfig
from ringrift.game.play import Game
from ringrift.notation.fields import snake_case
from ringrift.notation.gamestate import load_game
from ringrift.notation.keys import move_of
from ringrift.notation.moveparse import move_from_json
from ringrift.notation.strictjson import read_json

LARGEST_TEXT = 32 << 20
"""Bytes of text that are read, after decompression."""
_HEAD = 4096
"""Bytes in which a text has to begin."""
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
    text = _text(path)
    if text is None:
        from ringrift.cli.boards.shard import from_shard

        return from_shard(path, number)
    entry, title = _entry(text, number, path)
    if not isinstance(entry, dict):
        raise CorruptData(f"{title} is no JSON object")
    if "mv" in entry:
        return from_trace(entry, title)
    return from_state(entry.get("state", entry), title)


def _entry(text: bytes, number: int | None, path: Path) -> tuple[Any, str]:
    """Parse one line of JSON Lines, or a document of many lines, and return it with the game's title."""
    count = sum(1 for _ in _lines(text))
    if count == 1 or not _is_json(next(_lines(text))):
        document = _json(text, path.name)
        return document, title_of(path.name, index_of(number, 1, path), 1)
    at = index_of(number, count, path)
    title = title_of(path.name, at, count)
    return _json(next(islice(_lines(text), at, None)), title), title


def _lines(text: bytes) -> Iterator[bytes]:
    """Yield the lines that are not empty, one at a time."""
    return (line for line in BytesIO(text) if line.strip())


def _is_json(text: bytes) -> bool:
    try:
        read_json(text)
    except ValueError:
        return False
    return True


def from_trace(entry: dict[str, Any], title: str) -> Recording:
    """Return a game of a JSON Lines trace: `board`, `players`, `swapRule` and the keys `mv`."""
    try:
        config = GameConfig(entry["board"], _whole(entry["players"]))
        keys, name = entry["mv"], entry.get("id", "")
    except (KeyError, TypeError, RingRiftError) as error:
        raise CorruptData(f"{title} is no trace: {_reason(error)}") from None
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise CorruptData(f"{title} is no trace: mv is no list of move keys")
    game = Game.new(config, swap=bool(entry.get("swapRule", True)))
    origin = game.copy()
    for ply, key in enumerate(keys):
        try:
            game.apply(move_of(game, key))
        except RingRiftError as error:
            raise CorruptData(f"{title}, ply {ply}: {error.message}") from None
    end = entry.get("end")
    facts = [plain(name, 60)] if name else []
    if isinstance(end, dict) and end.get("timing") == "mid_turn":
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


def _text(path: Path) -> bytes | None:
    """Return the text of a file, decompressed if it is a gzip file; None if it begins as no JSON object."""
    try:
        with path.open("rb") as file:
            opened = gzip.open if file.read(2) == b"\x1f\x8b" else open
        with opened(path, "rb") as file:
            head = file.read(_HEAD)
            if head.lstrip()[:1] != b"{":
                return None
            text = head + file.read(LARGEST_TEXT + 1 - len(head))
    except FileNotFoundError:
        raise NotFound(f"there is no file {path}") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise CorruptData(f"{path.name} is a damaged gzip file: {error}") from None
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from None
    if len(text) > LARGEST_TEXT:
        told = f"{path.name} holds more than {LARGEST_TEXT >> 20} MiB of text"
        raise BadInput(told, hint="split it by lines")
    return text


def _json(data: bytes, title: str) -> Any:
    try:
        return read_json(data)
    except ValueError as error:
        raise CorruptData(f"{title} is no JSON: {error}") from None


def _whole(value: object) -> int:
    if type(value) is not int:
        raise TypeError("players is no whole number")
    return value


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"{error.args[0]} is missing"
    return getattr(error, "message", None) or str(error) or type(error).__name__


def index_of(number: int | None, count: int, path: Path) -> int:
    """Return the place of game `number` (from 1, None is the first) of a file with `count` games."""
    if not count:
        raise CorruptData(f"{path.name} holds no game")
    if number is not None and not 1 <= number <= count:
        raise NotFound(f"{path.name} has no game {number}", hint=f"it holds games 1..{count}")
    return (number or 1) - 1


def title_of(name: str, at: int, count: int) -> str:
    """Return how a game of a file is called, without what would move a cursor."""
    name = plain(name, 80)
    return f"{name}, game {at + 1} of {count}" if count > 1 else name

