"""The rules on a GPU: the kernel compiles for sm_90, and plays the same games ply for ply."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
from pathlib import Path

import numba
import numpy as np
import pytest

from ringrift.game.config import ALL_CONFIGS, GameConfig
from ringrift.game.geometry import geometry
from ringrift.game.playout import playout
from ringrift.game.state import new_scratch

pytestmark = pytest.mark.skipif(
    "NUMBA_DISABLE_JIT" in os.environ, reason="compiling is switched off (NUMBA_DISABLE_JIT)"
)
with_the_extra = pytest.mark.skipif(
    importlib.util.find_spec("numba_cuda") is None,
    reason="numba-cuda is not installed (extra: pip install 'ringrift[cuda]', or `make cuda`)",
)
H100 = (9, 0)
ROOM = 8192
"""Plies; random games are shorter."""


def gpu_at_hand() -> bool:
    if importlib.util.find_spec("numba_cuda") is None:
        return False
    from numba import cuda

    return bool(cuda.is_available())


def test_the_batch_of_a_kernel_plays_what_a_playout_plays():
    from ringrift.bench.cuda import new_batch, play_in_turn

    config = GameConfig("hex8", 3)
    batch, alone = new_batch(config, 5, ROOM), new_batch(config, 5)
    play_in_turn(*batch)
    scratch = new_scratch(config.board)
    plies = [playout(alone.geo, alone.states, i, scratch, int(seed)) for i, seed in enumerate(alone.seeds)]
    assert batch.states.tobytes() == alone.states.tobytes()
    assert np.count_nonzero(batch.moves, axis=1).tolist() == plies


def test_one_kernel_serves_every_board():
    assert len({numba.typeof(geometry(config.board)) for config in ALL_CONFIGS}) == 1
    assert len({numba.typeof(new_scratch(config.board)) for config in ALL_CONFIGS}) == 1


def test_without_the_extra_the_compiler_says_what_to_install(monkeypatch):
    from ringrift.bench.cuda import ptx
    from ringrift.errors import EnvironmentProblem

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EnvironmentProblem, match="numba-cuda") as refusal:
        ptx(H100)
    assert "ringrift[cuda]" in refusal.value.hint


@with_the_extra
def test_the_kernel_compiles_for_sm_90(tmp_path, capsys):
    from ringrift.bench.cuda import ptx

    code = ptx(H100)
    assert ".target sm_90" in code
    assert re.search(r"\.entry \w*play_at_once", code)
    report = assembled(code, tmp_path)
    with capsys.disabled():
        print("", *re.findall(r"\d+ bytes spill stores|Used \d+ registers", report), sep="\n")
    assert "Used" in report


def assembled(code: str, folder: Path) -> str:
    """Make machine code of PTX; return what the assembler says of registers and spills."""
    from cuda.pathfinder import find_nvidia_binary_utility

    (folder / "kernel.ptx").write_text(code)
    command = [find_nvidia_binary_utility("ptxas"), "-v", "-arch=sm_90", "kernel.ptx", "-o", "kernel.cubin"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (folder / "kernel.cubin").stat().st_size > 0
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def kernel():
    from numba import cuda

    from ringrift.bench.cuda import play_at_once

    return cuda.jit(play_at_once)


@with_the_extra
@pytest.mark.skipif(not gpu_at_hand(), reason="no GPU here")
@pytest.mark.parametrize("config", ALL_CONFIGS, ids=lambda config: config.key)
def test_a_gpu_plays_the_same_games_ply_for_ply(config, kernel):
    from ringrift.bench.cuda import new_batch, play_in_turn, play_on_gpu

    on_gpu, on_cpu = new_batch(config, 64, ROOM), new_batch(config, 64, ROOM)
    play_on_gpu(kernel, on_gpu)
    play_in_turn(*on_cpu)
    assert np.array_equal(on_gpu.moves, on_cpu.moves)
    assert on_gpu.states.tobytes() == on_cpu.states.tobytes()
