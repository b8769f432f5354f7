"""The sequential test that decides evaluations: a generalised SPRT on blocks of games.

The unit of evidence is a block: the candidate plays once in every seat, against copies of the opponent, from
one opening. With two players that is a seat-swapped pair. A block scores the share of its games that the
candidate won, so a config with n players has n + 1 possible scores; RingRift has no draws.

Strength is measured in normalised Elo, the mean of the score above 1/n in units of its standard deviation
*per game*, times 800 / ln 10 (M. Van den Bergh, "Normalized Elo", "A practical introduction to normalized
Elo"; 2 players, used by fishtest). Blocks of n games have a standard deviation that is sqrt(n) smaller, so
the t-value of blocks is sqrt(n) times the t-value of games; for n = 2 this is fishtest's pentanomial test.

The log likelihood ratio is exact: likelihoods are maximised over all distributions with the given t-value.
The closed form (N/2) ln((1+(t-t0)^2)/(1+(t-t1)^2)) approximates it near t0 and t1, but falls back to 0 when a
candidate wins almost everything (t grows without bound), which is the very case of a first champion against
the random anchor. Outcomes that were never seen get the weight `PRIOR`, as in fishtest, so that no hypothesis
has likelihood 0 because of a short sample and a run of equal blocks has a variance.

Pure Python on purpose: the controller decides with it and imports no numpy.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from ringrift.errors import BadInput

NORMALISED = 800 / math.log(10)
"""Normalised Elo of one standard deviation per game (347.4)."""

PRIOR = 1e-3
"""Blocks that an outcome counts for when it was not seen."""

MIN_BLOCKS = 4
"""No verdict before: the bounds are derived for many small steps, but with 4 players three lucky blocks could
cross them, and a variance from fewer than four blocks is no estimate."""

ELO_SCALE_END = 1200.0
"""Elo estimates are cut here: shares of 0 or 1 have no finite Elo."""

_Word = Literal["accept", "reject", "continue"]
_Z95 = 1.959964
_TOLERANCE = 1e-10
_ACCEPTED = 1e-6
_ITERATIONS = 300


@dataclass(frozen=True, slots=True)
class Test:
    """A test as registered before game 1: H1 "at least `elo1`" against H0 "at most `elo0`" (normalised Elo).

    `alpha` bounds the chance to accept at `elo0`, `beta` the chance to reject at `elo1`.
    Raises `BadInput` for a test that cannot decide.
    """

    elo0: float
    elo1: float
    alpha: float
    beta: float
    players: int
    max_blocks: int

    def __post_init__(self) -> None:
        if self.players not in (2, 3, 4):
            raise BadInput(f"a test needs 2, 3 or 4 players, not {self.players!r}")
        if not -500 <= self.elo0 < self.elo1 <= 500:
            raise BadInput(f"Elo bounds {self.elo0!r}, {self.elo1!r} must satisfy -500 <= elo0 < elo1 <= 500")
        for name, value in (("alpha", self.alpha), ("beta", self.beta)):
            if not 0 < value < 0.5:
                raise BadInput(f"{name} {value!r} must lie between 0 and 0.5")
        if self.max_blocks < MIN_BLOCKS:
            raise BadInput(f"max_blocks {self.max_blocks!r} must be at least {MIN_BLOCKS}")

    @property
    def lower(self) -> float:
        """Reject at or below this log likelihood ratio (Wald)."""
        return math.log(self.beta / (1 - self.alpha))

    @property
    def upper(self) -> float:
        """Accept at or above this log likelihood ratio (Wald)."""
        return math.log((1 - self.beta) / self.alpha)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Where a test stands. `score` is the candidate's share of won games; `elo` is logistic, 0 = equal.

    `elo_low` and `elo_high` are a 95 % interval as if the number of games had been fixed beforehand; after an
    early stop the estimate leans away from 0.
    """

    verdict: _Word
    reason: str
    llr: float
    lower: float
    upper: float
    blocks: int
    games: int
    score: float
    elo: float
    elo_low: float
    elo_high: float


def block_wins(players: int, winners: Sequence[int | None], candidate_seats: Sequence[int]) -> int:
    """Return how many of a block's games the candidate won; raise `BadInput` unless it is a whole block.

    `winners[i]` and `candidate_seats[i]` are seats (1..players) of game i. A block is whole when the
    candidate sat once in every seat and every game has a winner: half a block carries the advantage of seats.
    """
    if sorted(candidate_seats) != list(range(1, players + 1)) or len(winners) != players:
        raise BadInput(f"a block has the candidate once in each of {players} seats, not {candidate_seats!r}")
    if any(winner not in range(1, players + 1) for winner in winners):
        raise BadInput(f"a block needs a winner in every game, not {winners!r}")
    return sum(winner == seat for winner, seat in zip(winners, candidate_seats, strict=True))


def tally(players: int, wins: Iterable[int]) -> tuple[int, ...]:
    """Count blocks by the number of games won: entry w of the result is the number of blocks with w wins."""
    counts = [0] * (players + 1)
    for won in wins:
        if not 0 <= won <= players:
            raise BadInput(f"a block of {players} games cannot have {won!r} wins")
        counts[won] += 1
    return tuple(counts)


def decide(test: Test, counts: Sequence[int]) -> Verdict:
    """Return the verdict of `test` on `counts` (see `tally`).

    Accept and reject need at least `MIN_BLOCKS` blocks; a test that reaches `max_blocks` undecided rejects,
    since a promotion needs evidence for it and not only none against it.
    """
    blocks = _blocks(test, counts)
    ratio = log_likelihood_ratio(test, counts) if blocks else 0.0
    return _told(test, counts, ratio, *_verdict(test, ratio, blocks))


def decide_even(test: Test, counts: Sequence[int]) -> Verdict:
    """Return the verdict of a mirror test on `counts`: does a player score evenly against itself?

    Two tests at once, H1 "`elo1` stronger" and H1 "`elo1` weaker", both against H0 "even"; `llr` is that of
    the nearer one. It accepts when both end at `lower` and rejects when one ends at `upper`, so that `alpha`
    bounds the chance to reject what is even, for each side, and `beta` the chance to accept what is not.
    """
    blocks = _blocks(test, counts)
    weaker = replace(test, elo0=-test.elo1, elo1=-test.elo0)
    sides = (log_likelihood_ratio(test, counts), -log_likelihood_ratio(weaker, counts)) if blocks else (0.0,)
    ratio = max(sides)
    verdict, reason = _verdict(test, ratio, blocks)
    if verdict != "continue":
        verdict = "accept" if ratio <= test.lower else "reject"
    return _told(test, counts, ratio, verdict, reason)


def _blocks(test: Test, counts: Sequence[int]) -> int:
    if len(counts) != test.players + 1 or any(count < 0 for count in counts):
        raise BadInput(f"counts {list(counts)!r} are not {test.players + 1} numbers of blocks")
    return sum(counts)


def _told(test: Test, counts: Sequence[int], ratio: float, verdict: _Word, reason: str) -> Verdict:
    blocks = sum(counts)
    won = sum(wins * count for wins, count in enumerate(counts))
    games = blocks * test.players
    low, high = wilson_interval(won, games)
    return Verdict(
        verdict=verdict,
        reason=reason,
        llr=ratio,
        lower=test.lower,
        upper=test.upper,
        blocks=blocks,
        games=games,
        score=won / games if games else 0.0,
        elo=share_to_elo(won / games, test.players) if games else 0.0,
        elo_low=share_to_elo(low, test.players),
        elo_high=share_to_elo(high, test.players),
    )


def _verdict(test: Test, ratio: float, blocks: int) -> tuple[_Word, str]:
    if blocks < MIN_BLOCKS:
        return "continue", f"{blocks} of at least {MIN_BLOCKS} blocks"
    if ratio >= test.upper:
        return "accept", f"LLR {ratio:.2f} reached {test.upper:.2f}"
    if ratio <= test.lower:
        return "reject", f"LLR {ratio:.2f} reached {test.lower:.2f}"
    if blocks >= test.max_blocks:
        return "reject", f"undecided after the registered {test.max_blocks} blocks (LLR {ratio:.2f})"
    return "continue", f"LLR {ratio:.2f} between {test.lower:.2f} and {test.upper:.2f}"


def share_to_elo(share: float, players: int) -> float:
    """Return the Elo at which a player wins `share` of its games against `players - 1` equal opponents.

    Plackett-Luce: a player of strength g against n - 1 of strength 1 wins g / (g + n - 1); Elo = 400 log10 g.
    """
    end = 10 ** (-ELO_SCALE_END / 400)
    odds = share * (players - 1) / (1 - share) if share < 1 else math.inf
    return 400 * math.log10(min(max(odds, end), 1 / end))


def wilson_interval(won: int, games: int) -> tuple[float, float]:
    """Return the 95 % Wilson score interval of a share; games of a block are taken as independent."""
    if games == 0:
        return 0.0, 1.0
    share, z2 = won / games, _Z95 * _Z95
    centre = (share + z2 / (2 * games)) / (1 + z2 / games)
    half = _Z95 / (1 + z2 / games) * math.sqrt(share * (1 - share) / games + z2 / (4 * games * games))
    return max(0.0, centre - half), min(1.0, centre + half)


def log_likelihood_ratio(test: Test, counts: Sequence[float]) -> float:
    """Return ln(L(elo1) / L(elo0)) of block scores.

    `counts[i]` blocks scored i / (len(counts) - 1); any equally spaced support will do, such as fishtest's
    pentanomial counts for pairs of chess games.
    """
    return _ratio(tuple(counts), test.players, test.elo0, test.elo1)


@lru_cache(maxsize=4096)
def _ratio(counts: tuple[float, ...], players: int, elo0: float, elo1: float) -> float:
    weights = [count or PRIOR for count in counts]
    total = sum(weights)
    shares = [weight / total for weight in weights]
    scores = [i / (len(counts) - 1) - 1 / players for i in range(len(counts))]
    scale = math.sqrt(players) / NORMALISED
    under0, under1 = (_fit_t_value(scores, shares, elo * scale) for elo in (elo0, elo1))
    return sum(weight * math.log(p1 / p0) for weight, p0, p1 in zip(weights, under0, under1, strict=True))


def _fit_t_value(scores: Sequence[float], shares: Sequence[float], t: float) -> list[float]:
    """Return the most likely distribution over `scores` with mean = t * standard deviation.

    The deviation is replaced by its tangent at the last estimate, which makes the condition linear, until the
    estimate stays (Van den Bergh, "A practical introduction to normalized Elo", section 4.1). The tangent of
    a concave function lies above it, so after a first estimate that meets the condition every step can be
    solved.
    """
    fit = _two_point(scores, t)
    for _ in range(_ITERATIONS):
        mean, deviation = _moments(scores, fit)
        tangent = [score - t * (deviation + (score - mean) ** 2 / deviation) / 2 for score in scores]
        previous, fit = fit, _fit_mean_zero(tangent, shares)
        if max(abs(new - old) for new, old in zip(fit, previous, strict=True)) < _TOLERANCE:
            break
    mean, deviation = _moments(scores, fit)
    if abs(sum(fit) - 1) > _ACCEPTED or abs(mean - t * deviation) > _ACCEPTED:
        raise BadInput(f"no distribution with t-value {t:.3f} fits", hint="register smaller Elo bounds")
    return fit


def _two_point(scores: Sequence[float], t: float) -> list[float]:
    """Return the distribution over the lowest and highest score with mean = t * standard deviation."""
    low, high = scores[0], scores[-1]
    base = -low / (high - low)
    middle, square = 2 * base + t * t, 1 + t * t
    root = math.sqrt(middle * middle - 4 * square * base * base)
    top = (middle + math.copysign(root, t)) / (2 * square)
    return [1 - top, *[0.0] * (len(scores) - 2), top]


def _moments(scores: Sequence[float], fit: Sequence[float]) -> tuple[float, float]:
    mean = sum(p * score for p, score in zip(fit, scores, strict=True))
    return mean, math.sqrt(sum(p * (score - mean) ** 2 for p, score in zip(fit, scores, strict=True)))


def _fit_mean_zero(values: Sequence[float], shares: Sequence[float]) -> list[float]:
    """Return the most likely distribution with mean 0 over `values`, observed with the given shares.

    It is shares / (1 + x * values) with x the only root of its mean between the poles (Van den Bergh, "MLE
    for multinomial distributions", proposition 1.1); found by Newton steps that stay in a shrinking bracket.
    """
    low, high = -1 / max(values), -1 / min(values)
    x = 0.0
    for _ in range(_ITERATIONS):
        terms = [value / (1 + x * value) for value in values]
        mean = sum(p * term for p, term in zip(shares, terms, strict=True))
        if abs(mean) < _TOLERANCE:
            break
        slope = sum(p * term * term for p, term in zip(shares, terms, strict=True))
        low, high = (x, high) if mean > 0 else (low, x)
        step = x + mean / slope
        x = step if low < step < high else (low + high) / 2
    return [p / (1 + x * value) for p, value in zip(shares, values, strict=True)]
