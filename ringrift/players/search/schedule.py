"""How a Gumbel search spends its simulations on root moves: sequential halving.

Source: Danihelka, Guez, Schrittwieser, Silver 2022, "Policy improvement by planning with Gumbel", section
3.3, after Karnin, Koren, Somekh 2013: with n simulations and m moves there are ceil(log2 m) phases; in each
phase every move still considered gets floor(n / (ceil(log2 m) * considered)) simulations, at least one, and
then the worse half is dropped (two always remain) until the budget is spent.
"""

from __future__ import annotations

from functools import cache


@cache
def rounds(simulations: int, considered: int) -> tuple[int, ...]:
    """Return the rounds of a search: entry r is the number of moves that get one simulation each in round r.

    The moves of a round lie in different subtrees, so that their leaves can be evaluated together. The
    entries sum to `simulations`.
    """
    if considered <= 1:
        return (1,) * simulations
    phases = (considered - 1).bit_length()
    sizes: list[int] = []
    left = simulations
    while left > 0:
        for _ in range(max(1, simulations // (phases * considered))):
            size = min(considered, left)
            if size > 0:
                sizes.append(size)
            left -= size
        considered = max(2, considered // 2)
    return tuple(sizes)
