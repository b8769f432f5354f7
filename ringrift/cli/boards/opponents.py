"""Who a person plays against: a level of the ladder, with its model where it needs one."""

from __future__ import annotations

import hashlib
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from ringrift.cli.boards.source import save_artifact
from ringrift.client.display import short
from ringrift.errors import BadInput, EnvironmentProblem, NotFound, Unreachable
from ringrift.game.config import GameConfig
from ringrift.game.play import Game
from ringrift.players import ladder
from ringrift.players.base import Deadline, build_player

ADVISER_LEVEL = 4
"""The strongest level that needs no model gives the hints."""
WITHOUT_MODEL = "give --model FILE, or play a level from 1 to 4"


class Opponent:
    """The player of a level. It belongs to one thread at a time."""

    def __init__(self, difficulty: int, config: GameConfig, seed: int, model: Path | None = None) -> None:
        """Build the player; its model is the file, or the champion that the controller names.

        Raises `BadInput` for a model that the level has no use for, `NotFound`, `Unreachable`,
        `EnvironmentProblem` or `IncompatibleModel` where the model cannot be had.
        """
        rung = ladder.level(difficulty, config)
        if model is not None and not rung.needs_model:
            raise BadInput(f"level {difficulty} uses no model", hint="leave --model out")
        net, sha = _net(config, model) if rung.needs_model else (None, "")
        self.name = f"level {difficulty}, {rung.ai_type}" + (f" {short(sha)}" if sha else "")
        self._player = build_player(rung.with_model(sha), config, net)
        self._seconds = rung.think_ms / 1000
        self._seed = np.array([seed], dtype=np.uint64)

    def choose(self, game: Game) -> int:
        """Return a legal move for the seat to move, within the level's time."""
        deadline = Deadline(time.monotonic() + self._seconds)
        return int(self._player.choose(game.states.copy(), self._seed, deadline=deadline)[0])


def _net(config: GameConfig, model: Path | None) -> tuple[Any, str]:
    try:
        import torch

        from ringrift.nets.checkpoint import load_checkpoint
    except ImportError:
        raise EnvironmentProblem(
            "levels 5 to 10 need torch, which is not installed", hint="pip install 'ringrift[agent]'"
        ) from None
    torch.set_num_threads(1)  # a second thread on a busy machine makes a search slower
    if model is not None:
        try:
            sha = hashlib.sha256(model.read_bytes()).hexdigest()
        except OSError as problem:
            raise NotFound(f"cannot read model {model}: {problem.strerror}") from None
        return load_checkpoint(model, sha, config.key)[0], sha
    sha, data = _champion(config)
    with tempfile.TemporaryDirectory() as folder:
        return load_checkpoint(save_artifact(Path(folder), sha, data), sha, config.key)[0], sha


def _champion(config: GameConfig) -> tuple[str, bytes]:
    from ringrift.cli.output import controller
    from ringrift.client import routes

    try:
        with controller() as client:
            champion = client.send(routes.config(config.key)).champion
            if champion is None:
                raise NotFound(f"{config.key} has no champion yet", hint=WITHOUT_MODEL)
            return champion.model, client.send(routes.artifact(champion.model))
    except Unreachable as problem:
        raise Unreachable(f"a champion is needed, but {problem.message}", hint=WITHOUT_MODEL) from None
