"""Where torch computes the nets: on a GPU that works, else on the processor (`RINGRIFT_DEVICE`)."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING

from inference import logs
from ringrift.errors import BadInput, EnvironmentProblem

if TYPE_CHECKING:
    from ringrift.nets.network import RingRiftNet

VARIABLE = "RINGRIFT_DEVICE"
DEVICES = ("auto", "cpu", "cuda")

POSITIONS = {"cpu": 4, "cuda": 32}
"""Positions per call of a net. The service searches one game at a time, in rounds of one to 32 leaves. On a
processor what a call leaves empty is computed for nothing: of 1, 2, 4, 8 and 16 the 4 took least time. A GPU
takes as long for one as for 32."""

_FAULTS = (RuntimeError, AssertionError)
"""What torch raises where a driver, a card or its own build does not do."""


def chosen() -> str:
    """Return what is asked for; `BadInput` for a device that there is not."""
    name = os.environ.get(VARIABLE) or DEVICES[0]
    if name not in DEVICES:
        raise BadInput(f"{VARIABLE} is {name[:40]!r}", hint=f"use {', '.join(DEVICES[:-1])} or {DEVICES[-1]}")
    return name


@cache
def device() -> str:
    """Return "cuda" or "cpu", found out once.

    Where no GPU computes although torch tells of one, or `cuda` was asked for: a warning in the log with
    `auto`, an `EnvironmentProblem` with `cuda`.
    """
    import torch

    wanted = chosen()
    if wanted == "cpu" or (wanted == "auto" and not torch.cuda.is_available()):
        return "cpu"
    try:
        _try_gpu()
    except _FAULTS as error:
        reason = str(error).strip().partition("\n")[0][:200]
        if wanted == "cuda":
            raise EnvironmentProblem(
                f"{VARIABLE} is cuda, and no GPU computes: {reason}", hint="use auto or cpu"
            ) from None
        logs.log.warning("gpu refused", extra=logs.fields(reason=reason))
        return "cpu"
    logs.log.info("gpu", extra=logs.fields(name=torch.cuda.get_device_name()))
    return "cuda"


def place(net: RingRiftNet) -> RingRiftNet:
    """Return the net in the memory of the device; one that finds no room there stays with the processor."""
    if device() == "cpu":
        return net
    try:
        return net.to("cuda")
    except _FAULTS as error:
        if chosen() == "cuda":
            raise EnvironmentProblem(f"the net does not fit into the GPU: {str(error)[:200]}") from None
        logs.log.warning("net stays on the processor", extra=logs.fields(reason=str(error)[:200]))
        return net.to("cpu")


def _try_gpu() -> None:
    """Convolve something on the GPU, set up so that equal inputs give equal bits and floats keep theirs."""
    import torch

    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    picture, kernel = torch.ones(1, 1, 3, 3, device="cuda"), torch.ones(1, 1, 3, 3, device="cuda")
    if torch.nn.functional.conv2d(picture, kernel).item() != 9.0:
        raise RuntimeError("it counts wrongly")
