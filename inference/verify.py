"""`python -m inference.verify FOLDER`: would this folder of models serve? Asked before a deployment swaps.

Checks the manifest's signature and every file against the manifest, loads it, asks the net for its golden
vectors, and plays one move per level.
The last line printed is the verdict as JSON, `{"ok": true, "moves": {"hex8_2p": "P:0,0*1"}}` or
`{"ok": false, "error": {"code", "message"}}`; the exit status is 0 or that of the error.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

from inference import engine
from inference.manifest import read_manifest
from inference.models import Model, load_model, midgame
from inference.trust import add_trust, trust_of
from ringrift.errors import CorruptData, RingRiftError
from ringrift.notation.keys import key_of
from ringrift.players.base import Deadline
from ringrift.players.ladder import LEVELS, level

_SECONDS_PER_LEVEL = 0.2
"""A level is proven by a move, not by its whole search."""


def verify(folder: Path, trusted: Path | None) -> dict[str, str]:
    """Return config key -> the key of the move that its highest level played; raise what is wrong.

    A key in the file `trusted` must have signed the manifest; None asks for no signature.
    """
    moves: dict[str, str] = {}
    for entry in read_manifest(folder, trusted).entries:
        try:
            moves[entry.config.key] = play_every_level(load_model(entry))
        except RingRiftError as error:
            raise type(error)(f"{entry.path.name}: {error.message}", hint=error.hint) from None
    return moves


def play_every_level(model: Model) -> str:
    """Have every level of the ladder move in a mid-game position; return the last move's key.

    Raises `CorruptData` naming the level whose move is illegal.
    """
    game = midgame(model.config)
    move = 0
    for difficulty in LEVELS:
        rung = level(difficulty, model.config)
        player = engine.player_of(
            rung.with_model(model.sha256), model.config, model.net if rung.needs_model else None
        )
        deadline = Deadline(time.monotonic() + _SECONDS_PER_LEVEL)
        move = int(player.choose(game.states, np.ones(1, np.uint64), deadline=deadline)[0])
        if not game.is_legal(move):
            raise CorruptData(f"level {difficulty} plays an illegal move on {model.config.key}")
    return key_of(game, move)


def main(arguments: list[str]) -> int:
    """Verify the folder named on the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m inference.verify", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder with manifest.json and the files that it names")
    add_trust(parser, "FOLDER")
    options = parser.parse_args(arguments)
    try:
        engine.prepare()
        moves = verify(options.folder, trust_of(options, options.folder))
        verdict: dict[str, object] = {"ok": True, "moves": moves}
        status = 0
    except RingRiftError as error:
        verdict = {"ok": False, "error": {"code": error.code, "message": error.line()}}
        status = error.exit_status
    sys.stdout.write(json.dumps(verdict) + "\n")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
