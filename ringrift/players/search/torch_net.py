"""A network in torch, as the search asks it."""

from __future__ import annotations

import torch

from ringrift.game.config import GameConfig
from ringrift.nets.features import Buffers, as_inputs
from ringrift.nets.network import Inputs, RingRiftNet
from ringrift.players.search.net_evaluator import CHUNK, Floats, NetEvaluator


def evaluator(net: RingRiftNet, config: GameConfig, chunk: int = CHUNK) -> NetEvaluator:
    """Return what judges leaves by this net where it lies, `chunk` a call; it is put into evaluation mode."""
    net.eval()
    device = net.device

    def compute(buffers: Buffers, positions: int, moves: int) -> tuple[Floats, Floats]:
        with torch.inference_mode():
            inputs = as_inputs(buffers, chunk, moves)
            if device.type != "cpu":
                inputs = Inputs(*(tensor.to(device) for tensor in inputs))
            value, logits = net(inputs)
            return torch.softmax(value, 1).cpu().numpy(), logits.cpu().numpy()

    return NetEvaluator(compute, config, chunk)
