"""A network in torch, as the search asks it."""

from __future__ import annotations

import torch

from ringrift.game.config import GameConfig
from ringrift.nets.features import Buffers, as_inputs
from ringrift.nets.network import RingRiftNet
from ringrift.players.search.net_evaluator import CHUNK, Floats, NetEvaluator


def evaluator(net: RingRiftNet, config: GameConfig, chunk: int = CHUNK) -> NetEvaluator:
    """Return what judges leaves by this net, `chunk` a call; the net is put into evaluation mode."""
    net.eval()

    def compute(buffers: Buffers, positions: int, moves: int) -> tuple[Floats, Floats]:
        with torch.inference_mode():
            value, logits = net(as_inputs(buffers, chunk, moves))
            return torch.softmax(value, 1).numpy(), logits.numpy()

    return NetEvaluator(compute, config, chunk)
