"""Positions from random play, with their legal moves, and small networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
import torch

from ringrift.game import phases
from ringrift.game.apply import apply
from ringrift.game.config import GameConfig
from ringrift.game.geometry import geometry
from ringrift.game.legal import legal_moves
from ringrift.game.playout import settle
from ringrift.game.state import new_positions, new_scratch, start
from ringrift.nets.network import ArchConfig, RingRiftNet


class Sample(NamedTuple):
    states: npt.NDArray[np.void]
    moves: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]


def sample(config: GameConfig, count: int, decisions: int, seed: int = 0) -> Sample:
    """Return active positions after up to `decisions` random decisions, with all legal moves."""
    geo, scratch = geometry(config.board), new_scratch(config.board)
    random = np.random.default_rng(seed)
    states = new_positions(count)
    lists = []
    for i in range(count):
        start(states, i, config)
        for _ in range(int(random.integers(0, decisions + 1))):
            before = states[i].copy()
            moves = scratch.moves[: legal_moves(geo, states, i, scratch, scratch.moves)]
            apply(geo, states, i, scratch, int(random.choice(moves)))
            settle(geo, states, i, scratch)
            if states[i]["status"] != phases.ACTIVE:
                states[i] = before
                break
        lists.append(scratch.moves[: legal_moves(geo, states, i, scratch, scratch.moves)].copy())
    return Sample(states, np.concatenate(lists), np.cumsum([0, *map(len, lists)]))


@pytest.fixture
def positions() -> Callable[..., Sample]:
    return sample


@pytest.fixture
def net() -> RingRiftNet:
    """A small net with weights everywhere, also where training starts from zero."""
    torch.manual_seed(1)
    made = RingRiftNet(ArchConfig(blocks=2, channels=16))
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.1)
    return made.eval()
