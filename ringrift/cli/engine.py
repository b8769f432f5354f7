"""The rules over JSON Lines: one request and one answer a line, for other programs and outside checks.

| request | answer |
|---|---|
| `{"op":"new","board":"square8","players":2,"swap":true}` | `{"ok":true}` |
| `{"op":"load","state":{GameState}}` | `{"ok":true}` |
| `{"op":"legal"}` | `{"keys":[...]}`, sorted |
| `{"op":"apply","key":"M:3,1>0,4"}` | `{"ok":true}` |
| `{"op":"state"}` | `{"state":{canonical state},"hash":"..."}` |
| `{"op":"json"}` | `{"state":{GameState}}` |
| `{"op":"move","level":3,"seed":1}` | `{"key":"..."}` |
| `{"op":"quit"}` | `{"ok":true}`, and the end |

Whatever cannot be done is answered with `{"error":{"code","message"}}` and changes nothing. Requests are
strict JSON: no NaN, no infinite number, no name twice in one object.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import IO, Any

from ringrift.errors import BadInput, NotFound, RingRiftError
from ringrift.game.config import GameConfig
from ringrift.game.play import Game
from ringrift.notation.canonical import canonical_state, state_hash
from ringrift.notation.fields import Fields
from ringrift.notation.gamestate import load_game
from ringrift.notation.keys import key_of, legal_keys, move_of
from ringrift.notation.statedump import dump_game
from ringrift.notation.strictjson import read_json

LONGEST_LINE = 32 * 1024 * 1024
"""Bytes of the longest request that is read; a GameState with a long history takes up to 8 MiB."""

Answer = dict[str, Any]


class EngineSession:
    """One game at a time, driven by requests."""

    def __init__(self) -> None:
        self.done = False
        self._game: Game | None = None
        self._operations: dict[str, Callable[[Fields], Answer]] = {
            "new": self._new,
            "load": self._load,
            "legal": self._legal,
            "apply": self._apply,
            "state": self._state,
            "json": self._json,
            "move": self._move,
            "quit": self._quit,
        }

    def answer(self, line: bytes) -> Answer:
        """Answer one request line; never raises."""
        try:
            request = _parse(line)
            operation = request.choice("op", tuple(self._operations))
            return self._operations[operation](request)
        except RingRiftError as error:
            return _error(error.code, error.line())
        except Exception as error:  # the last resort of a process that must not die
            return _error("internal", f"{type(error).__name__}; the request was not carried out")

    @property
    def game(self) -> Game:
        if self._game is None:
            raise BadInput("no game yet", hint="send new or load first")
        return self._game

    def _new(self, request: Fields) -> Answer:
        config = GameConfig(request.text("board"), request.integer("players", 2, 4))
        swap = request.flag("swap") if request.has("swap") else True
        self._game = Game.new(config, swap=swap)
        return {"ok": True}

    def _load(self, request: Fields) -> Answer:
        self._game = load_game(request.object("state").value)
        return {"ok": True}

    def _legal(self, request: Fields) -> Answer:
        return {"keys": legal_keys(self.game)}

    def _apply(self, request: Fields) -> Answer:
        self.game.apply(move_of(self.game, request.text("key")))
        return {"ok": True}

    def _state(self, request: Fields) -> Answer:
        state = canonical_state(self.game)
        return {"state": state, "hash": state_hash(state)}

    def _json(self, request: Fields) -> Answer:
        return {"state": dump_game(self.game)}

    def _move(self, request: Fields) -> Answer:
        level = request.integer("level", 1, 10)
        seed = request.integer("seed", 0, 2**63 - 1)
        if not len(self.game.legal()):
            raise BadInput("the game has no move to choose")
        return {"key": key_of(self.game, _choose(self.game, level, seed))}

    def _quit(self, request: Fields) -> Answer:
        self.done = True
        return {"ok": True}


def _choose(game: Game, level: int, seed: int) -> int:
    """Let the player of a difficulty level choose; it sees a copy of the position."""
    import numpy as np

    from ringrift.players import ladder
    from ringrift.players.base import build_player

    rung = ladder.level(level, game.config)
    if rung.needs_model:
        raise NotFound(f"level {level} needs a model", hint="levels without a model can be played here")
    player = build_player(rung.spec, game.config)
    return int(player.choose(game.states.copy(), np.array([seed], dtype=np.uint64))[0])


def _parse(line: bytes) -> Fields:
    if len(line) > LONGEST_LINE:
        raise BadInput(f"request of more than {LONGEST_LINE} bytes")
    try:
        return Fields(read_json(line), "request")
    except ValueError as error:
        raise BadInput(f"not JSON: {error}") from None


_encode = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode


def _error(code: str, message: str) -> Answer:
    return {"error": {"code": code, "message": message}}


def _lines(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield lines; of one that is too long, only the beginning."""
    while line := stream.readline(LONGEST_LINE + 1):
        rest = line
        while rest and not rest.endswith(b"\n"):
            rest = stream.readline(LONGEST_LINE + 1)
        yield line


def serve(stdin: IO[Any], stdout: IO[Any]) -> None:
    """Answer request lines from `stdin` on `stdout` until `quit` or the end of input."""
    source: IO[bytes] = getattr(stdin, "buffer", stdin)
    session = EngineSession()
    for line in _lines(source):
        stdout.write(_encode(session.answer(line)) + "\n")
        stdout.flush()
        if session.done:
            return
