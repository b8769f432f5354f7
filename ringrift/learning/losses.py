"""How wrong a net is: cross-entropy of the policy over legal moves, and of the value over seats."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ringrift.learning.dataset import Positions
from ringrift.nets.features import Encoder
from ringrift.nets.network import Inputs, RingRiftNet, segment_log_softmax


class Losses(NamedTuple):
    """Means over a batch, as scalar tensors: both cross-entropies in nats, and the share of winners named."""

    policy: Tensor
    value: Tensor
    accuracy: Tensor


@dataclass(frozen=True, slots=True)
class Scores:
    """`Losses` over many positions, as numbers."""

    policy: float
    value: float
    accuracy: float

    def total(self, value_weight: float) -> float:
        return self.policy + value_weight * self.value


def losses(
    net: RingRiftNet,
    encoder: Encoder,
    batch: Positions,
    device: torch.device,
    orientations: npt.NDArray[np.int64] | None = None,
) -> Losses:
    """Run the net on a batch; `orientations` (N,) turn each position by one of the board's symmetries.

    The net's inputs lie in the encoder's memory: take the gradient before the next call.
    """
    encoded = encoder.encode(batch.states, batch.nodes, batch.moves, batch.offsets, orientations)
    inputs = Inputs(*(tensor.to(device) for tensor in encoded))
    target = torch.from_numpy(batch.policy).to(device)
    winner = torch.from_numpy(batch.winner).to(device)
    value_logits, move_logits = net(inputs)
    likelihood = segment_log_softmax(move_logits, inputs.rows, len(batch))
    return Losses(
        policy=-(target * likelihood).sum() / len(batch),
        value=nn.functional.cross_entropy(value_logits, winner),
        accuracy=(value_logits.argmax(1) == winner).float().mean(),
    )


def score(
    net: RingRiftNet, encoder: Encoder, positions: Positions, batch_size: int, device: torch.device
) -> Scores:
    """Measure a net on positions as they are, without gradients; the net is left in evaluation mode."""
    net.eval()
    total = np.zeros(3)
    count = len(positions)
    with torch.inference_mode():
        for at in range(0, count, batch_size):
            batch = positions.take(np.arange(at, min(at + batch_size, count)))
            found = losses(net, encoder, batch, device)
            total += len(batch) * np.array([float(part) for part in found])
    return Scores(*(total / count).tolist())


def know_nothing(positions: Positions, players: int, value_weight: float) -> float:
    """Return the loss of a net that thinks every legal move and every winner equally likely."""
    policy = float(np.log(np.diff(positions.offsets)).mean())
    return policy + value_weight * math.log(players)
