"""`python -m inference.verify DIR`: prove a folder of models before anything serves it.

Loads every model that the manifest names, after checking its SHA-256, and plays a move with each. Prints one
JSON line: `{"ok": true, "moves": {config: key}}` or `{"ok": false, "error": {"code", "message"}}`, and ends
with the exit status of the error.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch

from inference.manifest import read_manifest
from inference.models import Model, ModelSet, load_set, midgame
from ringrift.errors import BadInput, CorruptData, RingRiftError
from ringrift.notation.keys import key_of
from ringrift.players.base import PlayerSpec, build_player

_SIMULATIONS = 8


def verify(folder: Path) -> dict[str, str]:
    """Return the key of one legal move for each config that the folder's manifest names.

    Raises what `read_manifest` raises, and CorruptData naming every model that cannot be served.
    """
    models, issues = load_set(read_manifest(folder), ModelSet())
    if issues:
        raise CorruptData("; ".join(issues), hint="copy the models again")
    return {key: _move(model) for key, model in sorted(models.models.items())}


def _move(model: Model) -> str:
    game = midgame(model.config)
    spec = PlayerSpec(kind="gumbel", model=model.sha256, simulations=_SIMULATIONS)
    player = build_player(spec, model.config, model.net)
    move = int(player.choose(game.states, np.ones(1, np.uint64))[0])
    if not game.is_legal(move):
        raise CorruptData(f"the net of {model.config.key} plays an illegal move")
    return key_of(game, move)


def main(arguments: list[str]) -> int:
    """Verify one folder; return the exit status."""
    torch.set_num_threads(1)
    try:
        if len(arguments) != 1:
            raise BadInput("one folder is needed", hint="python -m inference.verify DIR")
        answer: dict[str, object] = {"ok": True, "moves": verify(Path(arguments[0]))}
        status = 0
    except RingRiftError as error:
        answer = {"ok": False, "error": {"code": error.code, "message": error.line()}}
        status = error.exit_status
    sys.stdout.write(json.dumps(answer) + "\n")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
