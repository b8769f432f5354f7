"""How often the registered test decides wrongly: thousands of gates with games of known strength.

A gate is played block by block as evaluations are, and ends where `ringrift.learning.sprt` would end it; with
`even` it is a mirror test. The ratio is computed for all gates at once with the same steps
as there; a test holds the two to each other.

Games are drawn from worlds that differ in what blocks hide: seats that are worth something, and openings
that favour one side in every game of their block.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ringrift.learning.sprt import MIN_BLOCKS, NORMALISED, PRIOR, Test

Floats = npt.NDArray[np.float64]
_Z95 = 1.959964
_TOLERANCE = 1e-9
_ITERATIONS = 300
_BISECTIONS = 60


@dataclass(frozen=True)
class World:
    """How games come out. `seats`: half the range over which a seat shifts the logit of a win; `openings`:
    how far an opening shifts it, up or down, in all games of its block."""

    name: str
    seats: float
    openings: float


WORLDS = (
    World("even seats", 0.0, 0.0),
    World("strong seats", 1.5, 0.0),
    World("lopsided openings", 0.5, 1.0),
)


@dataclass(frozen=True)
class OperatingPoint:
    """What became of `gates` gates whose candidate has the strength `elo` (normalised)."""

    players: int
    world: str
    elo: float
    gates: int
    accepted: int
    undecided: int
    """Of the rejected ones, those that reached the registered number of blocks."""
    mean_blocks: float
    p95_blocks: float

    @property
    def share(self) -> float:
        """Return the share of gates that accepted."""
        return self.accepted / self.gates

    @property
    def error(self) -> float:
        """Return half of the 95 % interval of `share`."""
        return _Z95 * math.sqrt(max(self.share * (1 - self.share), 1e-9) / self.gates)


def operating_point(
    test: Test, world: World, elo: float, gates: int, seed: int, *, even: bool = False
) -> OperatingPoint:
    """Play `gates` gates of `test` with a candidate of strength `elo`.

    With `even` they are mirror tests, and `elo` is what playing in its place is worth to the candidate.
    """
    random = np.random.default_rng((seed, test.players, WORLDS.index(world), round(elo * 1000) % (1 << 32)))
    outcomes = block_distribution(test.players, elo, world)
    wins = random.choice(len(outcomes), size=(test.max_blocks, gates), p=outcomes)
    accepted, ended = _play(test, wins, even=even)
    undecided = int(np.count_nonzero(ended == 0))
    ended[ended == 0] = test.max_blocks
    return OperatingPoint(
        players=test.players,
        world=world.name,
        elo=elo,
        gates=gates,
        accepted=int(accepted.sum()),
        undecided=undecided,
        mean_blocks=float(ended.mean()),
        p95_blocks=float(np.percentile(ended, 95)),
    )


def _play(
    test: Test, wins: npt.NDArray[np.int64], *, even: bool = False
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Return per gate whether it accepted, and the block at which it was decided, 0 for never."""
    gates = wins.shape[1]
    counts = np.zeros((gates, test.players + 1))
    accepted, ended = np.zeros(gates, bool), np.zeros(gates, np.int64)
    live = np.arange(gates)
    for block, drawn in enumerate(wins, 1):
        counts[live, drawn[live]] += 1
        if block < MIN_BLOCKS:
            continue
        ratios = log_likelihood_ratios(test, counts[live])
        if even:
            weaker = replace(test, elo0=-test.elo1, elo1=-test.elo0)
            ratios = np.maximum(ratios, -log_likelihood_ratios(weaker, counts[live]))
        accepted[live[ratios <= test.lower if even else ratios >= test.upper]] = True
        done = (ratios >= test.upper) | (ratios <= test.lower)
        ended[live[done]] = block
        live = live[~done]
        if not len(live):
            break
    return accepted, ended


def block_distribution(players: int, elo: float, world: World) -> Floats:
    """Return (players + 1,): probabilities of winning 0, 1, ... games of a block at a strength.

    The strength is found at which the score's mean above 1/players is `elo` times its deviation, in the
    test's units.
    """
    scale = math.sqrt(players) / NORMALISED
    scores = np.arange(players + 1) / players - 1 / players

    def lead(strength: float) -> float:
        found = _at_strength(players, strength, world)
        mean = float(found @ scores)
        return mean - elo * scale * math.sqrt(float(found @ scores**2) - mean * mean)

    return _at_strength(players, _root(lead, -20.0, 20.0), world)


def _at_strength(players: int, strength: float, world: World) -> Floats:
    seats = np.linspace(world.seats, -world.seats, players)
    even = -math.log(players - 1)
    total = np.zeros(players + 1)
    for opening in (-world.openings, world.openings):
        found = np.ones(1)
        for seat in seats:
            chance = 1 / (1 + math.exp(-(strength + even + seat + opening)))
            found = np.convolve(found, (1 - chance, chance))
        total += found / 2
    return total


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    """Return where a rising function crosses 0."""
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) < 0 else (low, middle)
    return (low + high) / 2


def log_likelihood_ratios(test: Test, counts: Floats) -> Floats:
    """Return the ratio of each row of `counts` (gates, players + 1); as `sprt.log_likelihood_ratio`."""
    weights = np.where(counts == 0, PRIOR, counts)
    shares = weights / weights.sum(axis=1, keepdims=True)
    scores = np.arange(test.players + 1) / test.players - 1 / test.players
    scale = math.sqrt(test.players) / NORMALISED
    under0, under1 = (_fit(scores, shares, elo * scale) for elo in (test.elo0, test.elo1))
    return np.asarray((weights * np.log(under1 / under0)).sum(axis=1))


def _fit(scores: Floats, shares: Floats, t: float) -> Floats:
    """Return the most likely distributions with mean = t * deviation; rows as `sprt._fit_t_value`."""
    base = -scores[0] / (scores[-1] - scores[0])
    middle, square = 2 * base + t * t, 1 + t * t
    top = (middle + math.copysign(math.sqrt(middle * middle - 4 * square * base * base), t)) / (2 * square)
    fit = np.zeros_like(shares)
    fit[:, 0], fit[:, -1] = 1 - top, top
    moving = np.arange(len(shares))
    for _ in range(_ITERATIONS):
        part = fit[moving]
        mean = part @ scores
        deviation = np.sqrt((part * (scores - mean[:, None]) ** 2).sum(axis=1))
        spread = deviation[:, None] + (scores - mean[:, None]) ** 2 / deviation[:, None]
        found = _mean_zero(scores - t * spread / 2, shares[moving])
        fit[moving] = found
        moving = moving[np.abs(found - part).max(axis=1) >= _TOLERANCE]
        if not len(moving):
            break
    return fit


def _mean_zero(values: Floats, shares: Floats) -> Floats:
    """Return the most likely distributions with mean 0 over `values`; rows as `sprt._fit_mean_zero`."""
    low, high = -1 / values.max(axis=1), -1 / values.min(axis=1)
    x = np.zeros(len(values))
    for _ in range(_ITERATIONS):
        terms = values / (1 + x[:, None] * values)
        mean = (shares * terms).sum(axis=1)
        if np.abs(mean).max() < _TOLERANCE:
            break
        slope = (shares * terms * terms).sum(axis=1)
        low, high = np.where(mean > 0, x, low), np.where(mean > 0, high, x)
        step = x + mean / slope
        x = np.where((low < step) & (step < high), step, (low + high) / 2)
    return np.asarray(shares / (1 + x[:, None] * values))
