"""Random numbers that are the same on every machine: 32-bit xorshift in an int64 (Marsaglia, 2003)."""

from __future__ import annotations

import numpy as np

from ringrift.game._jit import jit

MASK = 0xFFFFFFFF


@jit
def seed_rng(seed):
    """Turn any int64 into a well-mixed, non-zero generator state (finaliser of MurmurHash3)."""
    x = (seed ^ seed >> 32) & MASK
    x = (x ^ x >> 16) * 0x85EBCA6B & MASK
    x = (x ^ x >> 13) * 0xC2B2AE35 & MASK
    x ^= x >> 16
    return x if x != 0 else 0x9E3779B9


@jit
def step_rng(x):
    """Return the state that follows."""
    x ^= x << 13 & MASK
    x ^= x >> 17
    x ^= x << 5 & MASK
    return x


@jit
def draw(states, i, bound):
    """Draw an integer in [0, bound) from the generator of position `i`."""
    x = step_rng(np.int64(states[i]["rng"]))
    states[i]["rng"] = x
    return x * bound >> 32
