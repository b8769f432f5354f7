"""Which library computes the nets: torch, or onnxruntime (`RINGRIFT_ENGINE=onnx`), which needs no torch.

Both read the same checkpoints and are held to the same golden vectors. Neither is imported before it is used.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inference import device
from ringrift.errors import BadInput, EnvironmentProblem

if TYPE_CHECKING:
    from ringrift.game.config import GameConfig
    from ringrift.players.base import Player, PlayerSpec

VARIABLE = "RINGRIFT_ENGINE"
ENGINES = ("torch", "onnx")


def chosen() -> str:
    """Return the engine of this process; `BadInput` for one that there is not."""
    name = os.environ.get(VARIABLE) or ENGINES[0]
    if name not in ENGINES:
        raise BadInput(f"{VARIABLE} is {name[:40]!r}", hint=f"use {' or '.join(ENGINES)}")
    return name


def prepare() -> None:
    """Import the engine of this process, one thread per search, and look for a GPU.

    `EnvironmentProblem` where the engine is missing, or a GPU that was asked for.
    """
    if chosen() == "onnx":
        from ringrift.onnx import net

        del net
        return
    try:
        import torch
    except ImportError:
        raise EnvironmentProblem(
            "the engine torch needs torch, which is not installed",
            hint="install it with `pip install 'ringrift[inference]'`, or use the engine onnx",
        ) from None
    torch.set_num_threads(1)
    device.device()


def load_net(path: Path, sha256: str, config_key: str) -> Any:
    """Return the net of a checkpoint; raises what `ringrift.nets.checkpoint.load_checkpoint` raises."""
    if chosen() == "onnx":
        from ringrift.onnx.net import OnnxNet

        return OnnxNet(path, sha256, config_key)
    from ringrift.nets.checkpoint import load_checkpoint

    return device.place(load_checkpoint(path, sha256, config_key)[0])


def player_of(spec: PlayerSpec, config: GameConfig, net: Any = None) -> Player:
    """Return the player of a specification, whose net may be one of either engine."""
    if net is None:
        from ringrift.players.base import build_player

        return build_player(spec, config)
    from ringrift.players.search.player import TreePlayer

    player = TreePlayer(spec, config)
    if hasattr(net, "evaluator"):
        player.evaluator = net.evaluator(config)
    else:
        from ringrift.players.search import torch_net

        player.evaluator = torch_net.evaluator(net, config, device.POSITIONS[net.device.type])
    return player
