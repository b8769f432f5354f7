"""Models in memory: loaded only as the manifest says, and proven by their golden vectors and a legal move."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from inference import logs
from inference.engine import load_net, player_of
from inference.manifest import Entry, Manifest
from ringrift.errors import CorruptData, NotFound, RingRiftError
from ringrift.game.config import GameConfig
from ringrift.game.play import Game
from ringrift.golden import Golden, check
from ringrift.players.base import PlayerSpec

_GOLDEN_SIMULATIONS = 8
_GOLDEN_DECISIONS = 12
_STRIDE = 7919
"""A prime, so that the moves of the mid-game position are spread over the board."""


@dataclass(frozen=True)
class Model:
    """One verified net. `generation` counts the champions of its config."""

    config: GameConfig
    sha256: str
    generation: int
    net: Any
    """Of the engine that loaded it (`inference.engine`)."""
    evaluation: str | None = None
    """The test that it passed to become champion."""
    golden: Golden | None = None
    """What the net was found to say in fixed positions."""


@dataclass(frozen=True)
class ModelSet:
    """What is served: verified models by config key. A request keeps the set that it began with."""

    models: Mapping[str, Model] = field(default_factory=dict)
    generation: int | None = None
    deployment: str = ""

    def of(self, config: GameConfig) -> Model | None:
        """Return the model of a config, None where none is loaded."""
        return self.models.get(config.key)


def load_model(entry: Entry) -> Model:
    """Load and prove one model.

    Raises `NotFound` without its file, `CorruptData` for another hash, for a net that does not say what its
    golden vectors say or plays an illegal move, `IncompatibleModel` for a model of another config.
    """
    net = load_net(entry.path, entry.sha256, entry.config.key)
    model = _held_to(entry, Model(entry.config, entry.sha256, entry.generation, net))
    prove(model)
    about = {"config": entry.config.key, "model": entry.sha256, "generation": entry.generation}
    logs.log.info("model verified", extra=logs.fields(**about))
    return model


def load_set(manifest: Manifest, present: ModelSet) -> tuple[ModelSet, list[str]]:
    """Load every model of a manifest that verifies; return them and what is wrong with the others.

    Models that `present` serves already are taken over if their files still have the same hash.
    """
    loaded: dict[str, Model] = {}
    issues: list[str] = []
    for entry in manifest.entries:
        try:
            loaded[entry.config.key] = _load(entry, present)
        except RingRiftError as error:
            issues.append(f"{entry.path.name}: {error.line()}")
    return ModelSet(loaded, manifest.generation, manifest.deployment), issues


def _load(entry: Entry, present: ModelSet) -> Model:
    known = present.models.get(entry.config.key)
    if known is not None and known.sha256 == entry.sha256:
        _check_hash(entry)
        return _held_to(entry, known)
    return load_model(entry)


def _held_to(entry: Entry, model: Model) -> Model:
    """Return the model as its entry describes it, once its net says what the entry's vectors say."""
    if entry.golden is not None and entry.golden != model.golden:
        check(entry.golden, model.net, entry.config)
    return replace(model, generation=entry.generation, evaluation=entry.evaluation, golden=entry.golden)


def _check_hash(entry: Entry) -> None:
    """Refuse a file that would not load at the next start, although its net is in memory."""
    try:
        with entry.path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise NotFound(f"cannot be read: {error.strerror}") from None
    if found != entry.sha256:
        raise CorruptData(f"has SHA-256 {found[:12]}, the manifest says {entry.sha256[:12]}")


def prove(model: Model) -> None:
    """Have the net play one move in a mid-game position.

    Raises `CorruptData` when a move is illegal or a value is no probability.
    """
    spec = PlayerSpec(kind="gumbel", model=model.sha256, simulations=_GOLDEN_SIMULATIONS)
    player = player_of(spec, model.config, model.net)
    game = midgame(model.config)
    found = player.search(game.states, np.ones(1, np.uint64))
    if not game.is_legal(int(found.moves[0])):
        raise CorruptData(f"the net plays an illegal move in the mid-game position of {model.config.key}")
    total = float(found.values[0].sum())
    if not np.isfinite(found.values).all() or abs(total - 1.0) > 1e-3:
        raise CorruptData(f"the net's values in the mid-game position of {model.config.key} are impossible")


def midgame(config: GameConfig) -> Game:
    """Return a fixed position some decisions into a game of this config."""
    game = Game.new(config)
    decisions = 0
    while decisions < _GOLDEN_DECISIONS:
        before, legal = game.copy(), np.sort(game.legal())
        game.apply(int(legal[decisions * _STRIDE % len(legal)]))
        if game.over:
            return before
        decisions += len(legal) > 1
    return game
