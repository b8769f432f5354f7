"""The one network for all twelve configs: convolutions over the cells, pooling, a head over legal moves.

Nothing in it depends on the board's size or the number of seats, so that the same class (and, if wished, the
same weights) serves every config. What makes that possible:

- cells outside the board are masked to zero before every convolution, exactly like zero padding;
- whole-board information travels through masked mean and max pooling that knows the board's area
  (Wu 2019, "Accelerating Self-Play Learning in Go", section on global pooling);
- the policy scores each legal move from the vectors of the cells that it names, so there is no move table.

Residual blocks carry no normalisation: their last convolution starts at zero (Zhang et al. 2019, "Fixup"),
which keeps a small network stable and a position's result independent of its batch.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding_bag, relu

from ringrift.errors import IncompatibleModel
from ringrift.nets.planes import MOVE_KINDS, MOVE_ROLES, PLANES, SCALARS, SEATS

_AREA_CENTRE = 14.0
_AREA_SCALE = 10.0
"""Pooled means are also given times (sqrt(area) - 14) / 10, KataGo's constants."""


@dataclass(frozen=True, slots=True)
class ArchConfig:
    """Shape of a network. `planes`, `scalars` and `move_kinds` name the encoding that it was made for."""

    blocks: int = 4
    channels: int = 32
    planes: int = PLANES
    scalars: int = SCALARS
    move_kinds: int = MOVE_KINDS

    def __post_init__(self) -> None:
        if not (1 <= self.blocks <= 64 and 8 <= self.channels <= 1024):
            raise IncompatibleModel(f"no such network: {self.blocks} blocks of {self.channels} channels")

    def to_dict(self) -> dict[str, int]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Any) -> ArchConfig:
        """Read what `to_dict` wrote; `IncompatibleModel` for unknown, missing or non-integer entries."""
        names = {field.name for field in fields(cls)}
        if not isinstance(data, dict) or set(data) != names:
            raise IncompatibleModel("the architecture is not one of this version", hint="retrain the model")
        if any(type(value) is not int for value in data.values()):
            raise IncompatibleModel("the architecture entry holds something that is not an integer")
        return cls(**data)


class Inputs(NamedTuple):
    """A batch of B positions with M legal moves in all, as tensors. `nets.features` fills one.

    `planes` (B, H, W, planes) float32, channels last; plane 0 is the on-board mask.
    `scalars` (B, scalars) float32; the first four tell which relative seats exist.
    `kinds` (M,) int64 in 0..move_kinds-1; `cells` (M, 4) int64 grid cells (y*W + x) by role, -1 for none;
    `rows` (M,) int64, the position of each move, ascending.
    """

    planes: Tensor
    scalars: Tensor
    kinds: Tensor
    cells: Tensor
    rows: Tensor


class RingRiftNet(nn.Module):
    """Maps `Inputs` to value logits (B, 4) over seats relative to the mover and move logits (M,).

    Seats that don't exist have value logit -inf. The softmax of the value logits is the chance of winning,
    that of one position's move logits its policy. The same input gives the same output on one machine.
    """

    def __init__(self, arch: ArchConfig) -> None:
        super().__init__()
        self.arch = arch
        width = arch.channels
        self.stem = nn.Conv2d(arch.planes, width, 3, padding=1)
        self.stem_scalars = nn.Linear(arch.scalars, width)
        self.blocks = nn.ModuleList(Block(width, pooled=index % 2 == 1) for index in range(arch.blocks))
        self.value = ValueHead(width, arch.scalars)
        self.policy = PolicyHead(width, arch.move_kinds)
        self.to(memory_format=torch.channels_last)

    @property
    def device(self) -> torch.device:
        """Where the weights lie, and inputs must."""
        return self.policy.out.device

    def forward(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """Return `(value logits (B, 4), move logits (M,))`."""
        mask = inputs.planes[..., :1].permute(0, 3, 1, 2)
        board = Board(mask, mask.sum((2, 3)))
        x = self.stem(inputs.planes.permute(0, 3, 1, 2))
        x = x + self.stem_scalars(inputs.scalars)[:, :, None, None]
        for block in self.blocks:
            x = block(x, board)
        x = relu(x) * mask
        pooled = board.pool(x)
        value = self.value(pooled, inputs.scalars)
        return value, self.policy(x, pooled, inputs)


class Board(NamedTuple):
    """Which cells count: `mask` (B, 1, H, W) of 0 and 1, `area` (B, 1) number of cells on the board."""

    mask: Tensor
    area: Tensor

    def pool(self, x: Tensor) -> Tensor:
        """Reduce masked, non-negative `x` (B, C, H, W) to (B, 3C): mean, mean scaled by size, maximum."""
        mean = x.sum((2, 3)) / self.area
        size = (self.area.sqrt() - _AREA_CENTRE) / _AREA_SCALE
        return torch.cat([mean, mean * size, x.amax((2, 3))], 1)


class Block(nn.Module):
    """Pre-activation residual block; a `pooled` one adds whole-board information between its convolutions."""

    def __init__(self, width: int, pooled: bool) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.pooling = nn.Linear(3 * width, width) if pooled else None
        nn.init.kaiming_normal_(self.first.weight, nonlinearity="relu")
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)

    def forward(self, x: Tensor, board: Board) -> Tensor:
        y = relu(x) * board.mask
        hidden = self.first(y)
        if self.pooling is not None:
            hidden = hidden + self.pooling(board.pool(y))[:, :, None, None]
        return x + self.second(relu(hidden) * board.mask)


class ValueHead(nn.Module):
    """From pooled trunk and scalars to one logit per relative seat."""

    def __init__(self, width: int, scalars: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(3 * width + scalars, 64)
        self.out = nn.Linear(64, SEATS)

    def forward(self, pooled: Tensor, scalars: Tensor) -> Tensor:
        logits = self.out(relu(self.hidden(torch.cat([pooled, scalars], 1))))
        return logits.masked_fill(scalars[:, :SEATS] == 0, float("-inf"))


class PolicyHead(nn.Module):
    """Scores a move by relu(kind + board + sum of its cells' role vectors) . weight + bias of its kind."""

    def __init__(self, width: int, kinds: int) -> None:
        super().__init__()
        self.width = width
        self.cells = nn.Conv2d(width, MOVE_ROLES * width, 1)
        self.board = nn.Linear(3 * width, width)
        self.kind = nn.Embedding(kinds, width)
        self.kind_bias = nn.Embedding(kinds, 1)
        self.out = nn.Parameter(torch.zeros(width))
        nn.init.normal_(self.kind.weight, std=0.1)
        nn.init.zeros_(self.kind_bias.weight)
        nn.init.normal_(self.out, std=width**-0.5)

    def forward(self, x: Tensor, pooled: Tensor, inputs: Inputs) -> Tensor:
        area = x.shape[2] * x.shape[3]
        table = self.cells(x).permute(0, 2, 3, 1).reshape(-1, self.width)
        roles = torch.arange(MOVE_ROLES, device=x.device)
        index = (inputs.rows[:, None] * area + inputs.cells.clamp_min(0)) * MOVE_ROLES + roles
        present = (inputs.cells >= 0).to(table.dtype)
        cells = embedding_bag(index, table, mode="sum", per_sample_weights=present)
        hidden = relu(cells + self.kind(inputs.kinds) + self.board(pooled)[inputs.rows])
        return (hidden * self.out).sum(1) + self.kind_bias(inputs.kinds)[:, 0]


def segment_log_softmax(logits: Tensor, rows: Tensor, positions: int) -> Tensor:
    """Return the log-probabilities (M,) of move logits (M,), normalised within each of `positions` rows."""
    top = logits.new_full((positions,), float("-inf")).scatter_reduce(0, rows, logits.detach(), "amax")
    shifted = logits - top[rows]
    total = logits.new_zeros(positions).index_add(0, rows, shifted.exp())
    return shifted - total.log()[rows]
