"""One training run: a frozen data set, an explicit parent or none, a recipe, and a checkpoint at the end.

A run ends with a checkpoint that was measured on held-out games, or with an error: never with weights that
began elsewhere than the specification says, and never with weights that collapsed on the way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ringrift import golden
from ringrift.errors import BadInput, IncompatibleModel, Refused
from ringrift.game.config import GameConfig
from ringrift.learning.dataset import (
    Game,
    batches,
    check_statistics,
    load_games,
    replay_positions,
    split_holdout,
    statistics,
)
from ringrift.learning.dataset_id import dataset_sha
from ringrift.learning.losses import Scores, know_nothing, losses, score
from ringrift.learning.optimise import (
    COLLAPSE_AFTER,
    COLLAPSE_RATIO,
    RunningLoss,
    descend,
    make_optimizer,
    rate_factor,
    set_rate,
)
from ringrift.learning.replay import Board
from ringrift.learning.seeds import derive
from ringrift.nets.checkpoint import load_checkpoint, save_checkpoint
from ringrift.nets.features import Encoder
from ringrift.nets.grid import symmetries
from ringrift.nets.network import ArchConfig, RingRiftNet
from ringrift.onnx.compare import compared
from ringrift.protocol.jobs import GoldenVectors, TrainResult, TrainSpec

REGRESSION_RATIO = 1.05
"""A loss on held-out games above this times the parent's is a collapse."""

HOLDOUT_POSITIONS = 4096
"""About so many held-out positions are measured: the standard error of the loss is then near 1 %."""

Report = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Trained:
    """A finished run: the checkpoint's file, and what to report."""

    path: Path
    result: TrainResult


def train(spec: TrainSpec, inputs: Path, outputs: Path, report: Report) -> Trained:
    """Train by `spec` and write the checkpoint to `outputs/{sha256}.pth`.

    `inputs` holds the shards and the parent as files named by their hashes; `report` gets the number of steps
    done. Raises `NotFound`, `CorruptData` or `IncompatibleModel` for inputs that are absent or not what the
    specification names, and `Refused` for data not worth training on, a loss that is not finite, a collapse,
    or a run beyond its time limit.
    """
    began = time.monotonic()
    games = _games(spec, inputs)
    training, held = split_holdout(games, spec.recipe.holdout_share)
    if not any(game.positions for game in training):
        raise Refused("no game outside of the holdout has a position to train on", hint="use more games")
    net = _starting_net(spec, inputs).to(training_device())
    holdout = _Holdout(spec, held)
    parent = holdout.score(net) if spec.parent else None
    train_loss = _optimise(spec, net, training, report, began + spec.recipe.max_seconds)
    found = holdout.score(net)
    holdout.check(found, parent)
    config = GameConfig.parse(spec.config)
    vectors = golden.measure(net.cpu(), config)
    path, sha = _save(spec, net, outputs, found, vectors.document())
    weight = spec.recipe.value_weight
    result = TrainResult(
        config=spec.config,
        dataset=spec.dataset,
        model=sha,
        architecture=spec.architecture,
        positions=sum(game.positions for game in training),
        train_loss=train_loss,
        holdout_loss=found.total(weight),
        parent_holdout_loss=parent.total(weight) if parent else None,
        holdout_value_accuracy=found.accuracy,
        seconds=time.monotonic() - began,
        golden=GoldenVectors.model_validate(vectors.document()),
        onnx_difference=compared(path, sha, config, vectors),
    )
    return Trained(path, result)


def training_device() -> torch.device:
    """Return the GPU if there is one. Equal runs give equal weights on one CPU thread only."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _games(spec: TrainSpec, inputs: Path) -> list[Game]:
    """Load the games of the data set and make sure that they are worth training on."""
    if dataset_sha(spec.config, spec.shards) != spec.dataset:
        raise BadInput("the shards are not those of the named data set", hint="plan the training again")
    games = load_games(GameConfig.parse(spec.config), spec.shards, inputs)
    check_statistics(statistics(games))
    return games


def _starting_net(spec: TrainSpec, inputs: Path) -> RingRiftNet:
    """Return the parent's net, or a fresh one where the specification says "from scratch"."""
    wanted = ArchConfig(blocks=spec.architecture.blocks, channels=spec.architecture.channels)
    if spec.parent is None:
        torch.manual_seed(derive("weights", spec.seed) >> 1)
        return RingRiftNet(wanted)
    net, _ = load_checkpoint(inputs / spec.parent, spec.parent, spec.config)
    if net.arch != wanted:
        raise IncompatibleModel(
            f"parent {spec.parent[:12]} has {net.arch.blocks} blocks of {net.arch.channels} channels, "
            f"the job wants {wanted.blocks} of {wanted.channels}"
        )
    return net


def _optimise(
    spec: TrainSpec, net: RingRiftNet, games: Sequence[Game], report: Report, deadline: float
) -> float:
    """Take every step of the recipe; return the running training loss at the end."""
    recipe, config = spec.recipe, GameConfig.parse(spec.config)
    optimizer = make_optimizer(net, recipe.learning_rate, recipe.weight_decay)
    stream = batches(games, Board(config), recipe.batch_size, derive("batches", spec.seed))
    dice = np.random.default_rng(derive("orientations", spec.seed))
    device = training_device()
    running, encoder = RunningLoss(), Encoder(config.board)
    net.train()
    for step in range(recipe.steps):
        batch = next(stream)
        turned = dice.integers(symmetries(config.board), size=len(batch))
        found = losses(net, encoder, batch, device, turned)
        total = found.policy + recipe.value_weight * found.value
        set_rate(optimizer, recipe.learning_rate * rate_factor(step, recipe.steps))
        descend(net, optimizer, total, recipe.gradient_clip)
        running.add(float(total.detach()), know_nothing(batch, config.players, recipe.value_weight))
        if time.monotonic() > deadline:
            raise Refused(f"training passed its limit of {recipe.max_seconds:.0f} s at step {step + 1}")
        report(step + 1)
    return running.loss


class _Holdout:
    """The held-out positions that a net answers to."""

    def __init__(self, spec: TrainSpec, games: Sequence[Game]) -> None:
        self._config = GameConfig.parse(spec.config)
        self._recipe = spec.recipe
        self._positions = replay_positions(_first_positions(games), Board(self._config))
        if not len(self._positions):
            raise Refused("no held-out game has a position to measure", hint="use more games")

    def score(self, net: RingRiftNet) -> Scores:
        size = self._recipe.batch_size
        return score(net, Encoder(self._config.board), self._positions, size, training_device())

    def check(self, found: Scores, parent: Scores | None) -> None:
        """Raise `Refused` for a net that has learned nothing, or is worse than its parent.

        A run too short to judge need only not have collapsed.
        """
        weight = self._recipe.value_weight
        loss = found.total(weight)
        ignorance = know_nothing(self._positions, self._config.players, weight)
        limit = ignorance if self._recipe.steps > COLLAPSE_AFTER else COLLAPSE_RATIO * ignorance
        if not loss < limit:
            raise Refused(f"training collapsed: held-out loss {loss:.3f}, {ignorance:.3f} is knowing nothing")
        before = parent.total(weight) if parent else loss
        if not loss <= REGRESSION_RATIO * before:
            raise Refused(f"training collapsed: held-out loss {loss:.3f}, the parent has {before:.3f}")


def _first_positions(games: Sequence[Game]) -> list[Game]:
    """Return the first games that together have at most `HOLDOUT_POSITIONS`, but at least one."""
    kept: list[Game] = []
    filled = 0
    for game in games:
        if kept and filled + game.positions > HOLDOUT_POSITIONS:
            break
        kept.append(game)
        filled += game.positions
    return kept


def _save(
    spec: TrainSpec, net: RingRiftNet, outputs: Path, found: Scores, vectors: dict[str, Any]
) -> tuple[Path, str]:
    """Write the checkpoint and read it back: what others load must say what this net says."""
    metadata = {
        "config": spec.config,
        "parent": spec.parent,
        "dataset": spec.dataset,
        "recipe": spec.recipe.model_dump(mode="json"),
        "seed": spec.seed,
        "holdout": {"policy": found.policy, "value": found.value, "accuracy": found.accuracy},
        "golden": vectors,
    }
    unnamed = outputs / "checkpoint.pth"
    sha = save_checkpoint(unnamed, net, metadata)
    golden.check_own(*load_checkpoint(unnamed, sha, spec.config), GameConfig.parse(spec.config))
    return unnamed.rename(outputs / f"{sha}.pth"), sha
