"""Random numbers that are the same on every machine: a hash of (seed, position, draw).

Nothing is stateful. A draw depends on the caller's seed and on the position only, so a player's choice does
not depend on the games that happen to be searched beside it. All words are 32 bits wide in an int64, so that
no product overflows and no type is promoted.
"""

from __future__ import annotations

import math

from ringrift.game._jit import jit

_WORD = 0xFFFFFFFF
_FIRST = 0x7FEB352D
_SECOND = 0x68E31DA5
"""Odd multipliers below 2**31: a product with a word fits into an int64."""


@jit
def mix(word, value):
    """Return a well-mixed word from two words (xor, then two rounds of shift and multiply)."""
    word = (word ^ value) & _WORD
    word = ((word ^ (word >> 16)) * _FIRST) & _WORD
    word = ((word ^ (word >> 15)) * _SECOND + 0x3C6EF372) & _WORD
    return word ^ (word >> 16)


@jit
def position_word(geo, states, i, seed):
    """Return a word that stands for the caller's 64-bit `seed` together with the position."""
    low = int(seed) & _WORD
    word = mix(mix(low ^ 0x2545F491, int(seed) >> 32 & _WORD), low)
    s = states[i]
    for cell in range(geo.n_cells):
        content = int(s["marker"][cell]) | int(s["collapsed"][cell]) << 3 | int(s["height"][cell]) << 6
        if content > 0:
            rings = int(s["rings"][cell])
            word = mix(word, content | cell << 12)
            word = mix(mix(word, rings & _WORD), rings >> 32 & _WORD)
    for seat in range(1, s["players"] + 1):
        word = mix(word, int(s["hand"][seat]) | int(s["eliminated"][seat]) << 12)
    word = mix(word, s["player"] | s["phase"] << 3 | s["pending"] << 6 | s["swapped"] << 9)
    return mix(word, s["must_move"] | s["chain_cell"] << 10 | s["players"] << 20)


@jit
def uniform(word, draw):
    """Return the draw-th uniform number in (0, 1) of a word."""
    return (mix(word, draw * 2 + 1) + 0.5) / 4294967296.0


@jit
def gumbel(word, draw):
    """Return the draw-th standard Gumbel variate of a word."""
    return -math.log(-math.log(uniform(word, draw)))


@jit
def below(word, draw, count):
    """Return the draw-th integer in 0..count-1 of a word."""
    return mix(word, draw * 2 + 1) * count >> 32
