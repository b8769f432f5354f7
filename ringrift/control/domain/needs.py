"""What a job needs of a host, computed from its spec alone."""

from __future__ import annotations

from dataclasses import dataclass

from ringrift.game.config import GameConfig
from ringrift.protocol.jobs import (
    Architecture,
    EvaluateSpec,
    IngestSpec,
    JobSpec,
    RepeatSpec,
    SelfplaySpec,
    TrainSpec,
)

PROCESS_GB = 0.6
"""A Python process with the compiled rules."""
TORCH_GB = 1.0
"""On top of that, PyTorch."""
POOL_GB = 0.5
"""The training's pool of 32,768 positions of 8 KB, and its records."""
TRAINED_BYTES = 16
"""Of each parameter in training: weight, gradient and two moments, 4 bytes each."""
KEPT_TENSORS = 8
"""Of a block's size that training keeps for the way back; a search keeps half of them."""


@dataclass(frozen=True)
class Needs:
    """Gigabytes of host memory, and of device memory where there is a GPU (else they are host memory too)."""

    ram_gb: float = 0.0
    vram_gb: float = 0.0


def needs_of(spec: JobSpec, shape: Architecture | None = None) -> Needs:
    """Return what a job needs. `shape` is that of the nets that it plays with, None for the default shape."""
    if isinstance(spec, RepeatSpec):
        return needs_of(spec.origin, shape)
    if isinstance(spec, IngestSpec):
        return Needs(PROCESS_GB)
    if isinstance(spec, TrainSpec):
        trained = _parameters(spec.architecture) * TRAINED_BYTES
        kept = _activations(spec.config, spec.architecture, spec.recipe.batch_size, KEPT_TENSORS)
        return Needs(PROCESS_GB + TORCH_GB + POOL_GB, _gb(trained + kept))
    nets = len(_models(spec))
    if not nets:
        return Needs(PROCESS_GB)
    shape = shape or Architecture()
    games = spec.games_per_shard if isinstance(spec, SelfplaySpec) else GameConfig.parse(spec.config).players
    kept = _activations(spec.config, shape, games, KEPT_TENSORS // 2)
    return Needs(PROCESS_GB + TORCH_GB, _gb(nets * _parameters(shape) * 4 + kept))


def _models(spec: SelfplaySpec | EvaluateSpec) -> set[str]:
    players = [spec.player] if isinstance(spec, SelfplaySpec) else [spec.candidate, spec.opponent]
    return {player.model for player in players if player.model}


def _parameters(shape: Architecture) -> int:
    """Return about how many numbers a net has: two 3 x 3 convolutions a block, pooling, and the heads."""
    return shape.channels * (shape.channels * (20 * shape.blocks + 40) + 1000)


def _activations(config: str, shape: Architecture, batch: int, tensors: int) -> int:
    width = GameConfig.parse(config).size
    return batch * width * width * shape.channels * shape.blocks * tensors * 4


def _gb(size: int) -> float:
    return round(size / 1e9, 2)
