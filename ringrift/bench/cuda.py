"""Random games on a GPU: each thread plays one game, with the same functions as the CPU.

`python -m ringrift.bench.cuda` prints the rate of every config; it needs a GPU and the extra `cuda`. One
kernel serves all boards, because a board is data, and it compiles without a GPU.
"""

from __future__ import annotations

import importlib.util
import sys
import time
from types import SimpleNamespace
from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt
from numba import cuda
from numba.cuda.cudadrv.error import CudaDriverError, CudaSupportError, NvvmError

from ringrift.errors import EnvironmentProblem, RingRiftError
from ringrift.game._jit import jit
from ringrift.game.apply import apply
from ringrift.game.config import ALL_CONFIGS, GameConfig
from ringrift.game.geometry import Geometry, geometry
from ringrift.game.legal import legal_moves
from ringrift.game.rng import draw, seed_rng
from ringrift.game.state import Scratch, new_positions, new_scratch, start

GAMES = 16_384
"""Games at once in a measurement: enough to fill a large GPU, half a gigabyte on the largest board."""
BLOCK = 64
"""Threads of a block."""
_FAILURES = (CudaDriverError, CudaSupportError, NvvmError)


class Batch(NamedTuple):
    """The arguments of the kernel: games of one config."""

    geo: Geometry
    states: npt.NDArray[np.void]
    scratch: Scratch
    """Working memory, with a first axis for the game."""
    seeds: npt.NDArray[np.int64]
    moves: npt.NDArray[np.int64]
    """(games, room): the moves that were played, as many as there is room for."""


def new_batch(config: GameConfig, games: int, room: int = 0) -> Batch:
    """Return opening positions; game k has the seed k + 1."""
    states = new_positions(games)
    start(states, 0, config)
    states[1:] = states[0]
    scratch = Scratch(*(np.zeros((games, *part.shape), part.dtype) for part in new_scratch(config.board)))
    seeds = np.arange(1, games + 1, dtype=np.int64)
    return Batch(geometry(config.board), states, scratch, seeds, np.zeros((games, room), np.int64))


@jit
def own_scratch(scratch, i):
    """Return the part of the working memory that game i uses."""
    return Scratch(moves=scratch.moves[i], work=scratch.work[i])


@jit
def play_game(geo, states, scratch, seeds, moves, i):
    """Play random game i ply by ply."""
    own = own_scratch(scratch, i)
    states[i]["rng"] = seed_rng(seeds[i])
    count = 1
    while count > 0:
        count = legal_moves(geo, states, i, own, own.moves)
        if count > 0:
            move = own.moves[draw(states, i, count) if count > 1 else 0]
            ply = np.int64(states[i]["ply"])
            if ply < moves.shape[1]:
                moves[i, ply] = move
            apply(geo, states, i, own, move)


@jit
def play_in_turn(geo, states, scratch, seeds, moves):
    """Play every game of a batch, on the CPU."""
    for i in range(len(seeds)):
        play_game(geo, states, scratch, seeds, moves, i)


def play_at_once(geo, states, scratch, seeds, moves):
    """Play every game of a batch: the kernel, to be compiled by `cuda.jit`."""
    i = cuda.grid(1)
    if i < len(seeds):
        play_game(geo, states, scratch, seeds, moves, i)


def ptx(capability: tuple[int, int]) -> str:
    """Compile the kernel for GPUs of that compute capability; none need be here.

    Raises `EnvironmentProblem` without the extra.
    """
    if importlib.util.find_spec("numba_cuda") is None:
        raise EnvironmentProblem("numba-cuda is not installed", hint="pip install 'ringrift[cuda]'")
    from numba.cuda import dispatcher

    arguments = tuple(numba.typeof(argument) for argument in new_batch(ALL_CONFIGS[0], 1))
    at_hand = dispatcher.get_current_device
    # Whatever the kernel is compiled for, the functions it calls are compiled for the GPU at hand.
    dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=capability)
    try:
        return str(cuda.compile_ptx(play_at_once, arguments, cc=capability)[0])
    finally:
        dispatcher.get_current_device = at_hand


def play_on_gpu(kernel: Any, batch: Batch) -> float:
    """Play the batch in place with `kernel = cuda.jit(play_at_once)`; return the seconds of the kernel."""
    sent = Batch(*(_sent(argument) for argument in batch))
    cuda.synchronize()
    began = time.perf_counter()
    kernel[-(-len(batch.seeds) // BLOCK), BLOCK](*sent)
    cuda.synchronize()
    took = time.perf_counter() - began
    sent.states.copy_to_host(batch.states)
    sent.moves.copy_to_host(batch.moves)
    return took


def _sent(argument: Any) -> Any:
    """Copy arrays, and those in a named tuple, to the GPU."""
    if isinstance(argument, np.ndarray):
        return cuda.to_device(argument)
    return type(argument)(*map(_sent, argument)) if isinstance(argument, tuple) else argument


def main() -> None:
    """Print plies per second of every config; `EnvironmentProblem` when the GPU or its driver fails."""
    if not cuda.is_available():
        raise EnvironmentProblem("no GPU or no driver for it", hint="use a machine with an NVIDIA GPU")
    try:
        _measure()
    except _FAILURES as failure:
        reason = f"the GPU failed: {type(failure).__name__}: {failure}"
        raise EnvironmentProblem(reason, hint="see `nvidia-smi` for its memory and its driver") from failure


def _measure() -> None:
    kernel = cuda.jit(play_at_once)
    play_on_gpu(kernel, new_batch(ALL_CONFIGS[0], BLOCK))
    for config in ALL_CONFIGS:
        batch = new_batch(config, GAMES)
        took = play_on_gpu(kernel, batch)
        plies = int(batch.states["ply"].sum())
        sys.stdout.write(f"{config.key:<13} {plies / took:>13,.0f} plies/s  {GAMES / took:>11,.0f} games/s\n")


if __name__ == "__main__":
    try:
        main()
    except RingRiftError as error:
        sys.stderr.write(f"error: {error.line()}\n")
        sys.exit(error.exit_status)
