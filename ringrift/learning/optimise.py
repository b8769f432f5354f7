"""Steps of gradient descent, and the watch over them."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ringrift.errors import Refused

WARMUP_SHARE = 0.05
"""Share of the steps in which the learning rate rises from 0."""

FINAL_RATE = 0.05
"""Share of the learning rate that the cosine ends at."""

SMOOTHING = 0.98
"""Weight of the past in running means over steps: a memory of about fifty."""

COLLAPSE_AFTER = 50
"""Steps before a loss is judged."""

COLLAPSE_RATIO = 1.2
"""A loss above this times the loss of knowing nothing is a collapse."""


def make_optimizer(net: nn.Module, rate: float, decay: float) -> torch.optim.Optimizer:
    """Return AdamW that decays matrices and kernels but not biases and other vectors."""
    matrices = [p for p in net.parameters() if p.ndim >= 2]
    vectors = [p for p in net.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": decay}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=rate)


def rate_factor(step: int, steps: int) -> float:
    """Return the share of the learning rate at a step: a linear rise, then a cosine to `FINAL_RATE`."""
    warmup = max(1, round(WARMUP_SHARE * steps))
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    return FINAL_RATE + (1 - FINAL_RATE) * (1 + math.cos(math.pi * done)) / 2


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


def descend(net: nn.Module, optimizer: torch.optim.Optimizer, loss: Tensor, limit: float) -> float:
    """Step against the gradient of `loss`, cut to norm `limit`; return its norm before the cut.

    Raises `Refused` when the gradient is not finite; the weights are then as they were.
    """
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    norm = float(nn.utils.clip_grad_norm_(net.parameters(), limit))
    if not math.isfinite(norm):
        raise Refused("training diverged: the gradient is not finite")
    optimizer.step()
    return norm


class RunningLoss:
    """Running means of the loss and of the loss of knowing nothing on the same batches."""

    def __init__(self) -> None:
        self.loss = 0.0
        self._ignorance = 0.0
        self._steps = 0

    def add(self, loss: float, ignorance: float) -> None:
        """Add a step; raise `Refused` when the loss is not finite or training has collapsed."""
        self._steps += 1
        if not math.isfinite(loss):
            raise Refused(f"training diverged: the loss of step {self._steps} is not finite")
        past = min(SMOOTHING, 1 - 1 / self._steps)
        self.loss = past * self.loss + (1 - past) * loss
        self._ignorance = past * self._ignorance + (1 - past) * ignorance
        if self._steps > COLLAPSE_AFTER and self.loss > COLLAPSE_RATIO * self._ignorance:
            raise Refused(
                f"training collapsed by step {self._steps}: running loss {self.loss:.3f}, "
                f"knowing nothing would be {self._ignorance:.3f}"
            )
