"""Compiled functions: one specialisation each, and nothing left to compile after the warm-up."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
from ringrift.players import warmup
warmup.main()
from ringrift.game._jit import compiled, disable_compile
disable_compile()
import numpy as np
from ringrift.game.config import GameConfig
from ringrift.game.state import new_positions, start
from ringrift.nets.network import ArchConfig, RingRiftNet
from ringrift.players.base import build_player, PlayerSpec
net = RingRiftNet(ArchConfig(blocks=1, channels=8))
for key in ("hexagonal_2p", "square19_4p"):
    config = GameConfig.parse(key)
    states = new_positions(2)
    start(states, 0, config); start(states, 1, config)
    seeds = np.arange(2, dtype=np.uint64)
    with_net = (PlayerSpec("gumbel", model="m", simulations=4), PlayerSpec("policy", model="m"))
    for spec in (*warmup.SPECS, *with_net):
        player = build_player(spec, config, net if spec.model else None)
        player.search(states, seeds, simulations=np.array([4, 2]))
double = [d.py_func.__name__ for d in compiled if len(d.signatures) > 1]
assert not double, f"compiled more than once: {double}"
"""


def test_after_the_warm_up_nothing_is_compiled_again():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "ready" in done.stdout


def test_the_warm_up_needs_no_engine():
    script = "import sys; sys.modules['torch'] = None; from ringrift.players import warmup; warmup.main()"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=280)
    assert done.returncode == 0 and "ready" in done.stdout, done.stderr[-2000:]


def test_players_without_a_net_do_not_import_torch():
    script = (
        "import sys; from ringrift.players import ladder, base; from ringrift.game.config import GameConfig;"
        "base.build_player(ladder.LEVELS[4].spec, GameConfig('hex8', 2)); assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
