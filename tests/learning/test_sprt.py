"""The sequential test: published values, an independent second computation, error rates, refusals."""

from __future__ import annotations

import itertools
import math
import random

import pytest

from ringrift.errors import BadInput
from ringrift.learning import sprt


def registered(elo0=0.0, elo1=150.0, players=2, alpha=0.05, beta=0.05, max_blocks=500) -> sprt.Test:
    return sprt.Test(elo0, elo1, alpha, beta, players, max_blocks)


PUBLISHED = [
    # fishtest's raw statistics page of test 69d3c8dc7c5b3724e29d2712 ("Normalized (exact)")
    ((13, 37, 50, 25, 3), 0, 4, -0.54912, 5e-6),
    # fastchess, app/tests/sprt_test.cpp (normalized pentanomial 1 and 2, wins-losses and draws joined)
    ((365, 16618, 36229, 16974, 390), 0, 2, 2.25, 0.01),
    ((127, 4883, 10712, 5150, 104), -1.75, 0.25, 3.01, 0.01),
    # fishtest's live pages, two decimals
    ((19, 4020, 10316, 4215, 24), -1.75, 0.25, 2.94, 0.01),
    ((103, 3851, 8316, 3728, 98), 0, 2, -2.03, 0.01),
    ((99, 3323, 8399, 3606, 109), 0, 2, 2.98, 0.01),
    ((2, 40, 72, 14, 0), 0, 2, -0.36, 0.01),
    ((45, 8506, 25934, 8883, 57), 0.5, 2.5, 2.94, 0.01),
    ((105, 19880, 51075, 20005, 108), 0.5, 2.5, -2.94, 0.01),
]


@pytest.mark.parametrize(("counts", "elo0", "elo1", "expected", "tolerance"), PUBLISHED)
def test_ratio_equals_values_published_for_pentanomial_counts(counts, elo0, elo1, expected, tolerance):
    assert sprt.log_likelihood_ratio(registered(elo0, elo1), counts) == pytest.approx(expected, abs=tolerance)


def best_log_likelihood(shares: list[float], t: float) -> float:
    """Most likely three-outcome distribution with mean - 1/2 = t * deviation, by scanning its mean.

    Mean and variance fix a distribution over 0, 1/2, 1; the condition fixes the variance by the mean.
    """

    def value(mean: float, variance: float) -> float:
        top = 2 * (variance + mean * mean) - mean
        middle = 4 * mean - 4 * (variance + mean * mean)
        fit = (1 - top - middle, middle, top)
        if min(fit) <= 0:
            return -math.inf
        return sum(share * math.log(p) for share, p in zip(shares, fit, strict=True))

    if t == 0:
        return scan(lambda variance: value(0.5, variance), 0.0, 0.25)
    ends = (0.5, 1.0) if t > 0 else (0.0, 0.5)
    return scan(lambda mean: value(mean, ((mean - 0.5) / t) ** 2), *ends)


def scan(function, low: float, high: float) -> float:
    for _ in range(12):
        points = [low + (high - low) * i / 60 for i in range(1, 60)]
        best = max(points, key=function)
        width = (high - low) / 60
        low, high = max(low, best - width), min(high, best + width)
    return function(best)


@pytest.mark.parametrize("elo0,elo1", [(0, 50), (-100, 0), (0, 200), (50, 300)])
@pytest.mark.parametrize("counts", [(3, 5, 9), (0, 0, 12), (12, 0, 0), (0, 7, 0), (40, 2, 55), (1, 0, 200)])
def test_ratio_equals_an_independent_maximisation(counts, elo0, elo1):
    weights = [count or sprt.PRIOR for count in counts]
    shares = [weight / sum(weights) for weight in weights]
    scale = math.sqrt(2) / sprt.NORMALISED
    best0, best1 = (best_log_likelihood(shares, elo * scale) for elo in (elo0, elo1))
    found = sprt.log_likelihood_ratio(registered(elo0, elo1), counts)
    assert found == pytest.approx(sum(weights) * (best1 - best0), abs=2e-3, rel=2e-4)


@pytest.mark.parametrize("players", [2, 3, 4])
def test_ratio_is_found_for_every_extreme_count_and_rises_with_wins(players):
    for elo0, elo1 in [(0, 50), (0, 500), (-500, 0), (300, 500)]:
        test = registered(elo0, elo1, players)
        for lost, *others in itertools.product((20, 300), *[(0, 2, 300)] * players):
            counts, better = (lost, *others), (lost - 1, *others[:-1], others[-1] + 1)
            assert sprt.log_likelihood_ratio(test, better) > sprt.log_likelihood_ratio(test, counts)


def test_ratio_agrees_with_the_closed_form_near_the_hypotheses():
    counts, games = (90, 220, 110), 840
    mean = sum(i / 2 * c for i, c in enumerate(counts)) / 420
    deviation = math.sqrt(2 * sum((i / 2 - mean) ** 2 * c for i, c in enumerate(counts)) / 420)
    t, t1 = (mean - 0.5) / deviation, 20 / sprt.NORMALISED
    closed = games / 2 * math.log((1 + t * t) / (1 + (t - t1) ** 2))
    assert sprt.log_likelihood_ratio(registered(0, 20), counts) == pytest.approx(closed, rel=0.02)


def win_probabilities(players: int, elo: float) -> list[float]:
    """Chance to win from each seat of a player `elo` above equal opponents; the first seat is worth more."""
    advantage = [0.12, *[-0.12 / (players - 1)] * (players - 1)]

    def t_value(lift: float) -> float:
        chances = [1 / players + a + lift for a in advantage]
        return lift * players / math.sqrt(sum(p * (1 - p) for p in chances))

    low, high = 0.0, (1 - 1 / players) * 0.8
    wanted = elo / sprt.NORMALISED * math.sqrt(players)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if t_value(middle) < wanted else (low, middle)
    return [1 / players + a + low for a in advantage]


def run_to_verdict(
    test: sprt.Test, chances: list[float], dice: random.Random, decide=sprt.decide
) -> sprt.Verdict:
    counts = [0] * (test.players + 1)
    while True:
        for _ in range(4):
            counts[sum(dice.random() < p for p in chances)] += 1
        verdict = decide(test, counts)
        if verdict.verdict != "continue":
            return verdict


@pytest.mark.parametrize("players", [2, 3, 4])
def test_error_rates_stay_near_the_registered_ones_with_a_first_move_advantage(players):
    test = registered(0, 150, players, max_blocks=2000)
    runs = 250
    # 5 % registered; 250 runs have a standard error of 1.4 %, so 10 % is 3.6 of them away.
    for elo, wrong in ((0, "accept"), (150, "reject")):
        dice = random.Random(players)
        chances = win_probabilities(players, elo)
        errors = sum(run_to_verdict(test, chances, dice).verdict == wrong for _ in range(runs))
        assert errors / runs <= 0.10, (elo, errors)


def test_no_games_give_no_verdict():
    verdict = sprt.decide(registered(), (0, 0, 0))
    assert (verdict.verdict, verdict.llr, verdict.blocks) == ("continue", 0.0, 0)
    assert (verdict.elo_low, verdict.elo_high) == (-sprt.ELO_SCALE_END, sprt.ELO_SCALE_END)


def test_three_perfect_blocks_give_no_verdict_although_the_bound_is_crossed():
    test = registered(0, 300, players=4)
    verdict = sprt.decide(test, (0, 0, 0, 0, 3))
    assert verdict.llr > verdict.upper
    assert verdict.verdict == "continue"
    assert sprt.decide(test, (0, 0, 0, 0, 4)).verdict == "accept"


def test_a_candidate_that_wins_everything_is_accepted_within_a_few_dozen_games():
    verdict = sprt.decide(registered(0, 50), (0, 0, 17))
    assert verdict.verdict == "accept"
    assert verdict.games == 34 and verdict.score == 1.0


def test_a_candidate_that_loses_everything_is_rejected():
    assert sprt.decide(registered(0, 50), (17, 0, 0)).verdict == "reject"


def test_an_undecided_test_is_rejected_at_its_last_block_and_says_so():
    test = registered(0, 50, max_blocks=40)
    counts = (8, 19, 12)
    assert sprt.decide(test, counts).verdict == "continue"
    last = sprt.decide(test, (8, 20, 12))
    assert last.verdict == "reject"
    assert "undecided after the registered 40 blocks" in last.reason


@pytest.mark.parametrize("players", [2, 3, 4])
def test_equal_strength_is_elo_zero_for_every_player_count(players):
    assert sprt.share_to_elo(1 / players, players) == pytest.approx(0)
    assert sprt.share_to_elo(10 / (players + 9), players) == pytest.approx(400)


def test_the_elo_interval_holds_the_estimate_and_narrows_with_games():
    few, many = (sprt.decide(registered(), counts) for counts in ((2, 4, 6), (20, 40, 60)))
    assert few.elo_low < few.elo < few.elo_high
    assert many.elo == pytest.approx(few.elo)
    assert many.elo_high - many.elo_low < few.elo_high - few.elo_low


def test_wilson_interval_equals_a_textbook_value():
    low, high = sprt.wilson_interval(15, 50)
    assert (low, high) == (pytest.approx(0.1910, abs=5e-4), pytest.approx(0.4375, abs=5e-4))


def test_a_block_counts_wins_of_the_candidate_by_seat():
    assert sprt.block_wins(3, [2, 2, 3], [1, 2, 3]) == 2
    assert sprt.tally(3, [2, 0, 3, 2]) == (1, 0, 2, 1)


@pytest.mark.parametrize(
    ("players", "winners", "seats"),
    [
        (2, [1], [1]), (2, [1, 2], [1, 1]), (3, [1, 2, 3], [1, 2, 4]), (2, [1, None], [1, 2]),
        (2, [1, 3], [1, 2]),
    ],
)  # fmt: skip
def test_an_incomplete_or_impossible_block_is_refused(players, winners, seats):
    with pytest.raises(BadInput):
        sprt.block_wins(players, winners, seats)


@pytest.mark.parametrize(
    "change",
    [
        {"players": 5}, {"players": 1}, {"elo0": 50.0, "elo1": 50.0}, {"elo1": 900.0}, {"alpha": 0.0},
        {"beta": 0.5}, {"max_blocks": 3}, {"elo0": math.nan},
    ],
)  # fmt: skip
def test_a_test_that_cannot_decide_is_refused(change):
    with pytest.raises(BadInput):
        registered(**change)


@pytest.mark.parametrize("counts", [(1, 2), (1, 2, 3, 4), (1, -1, 5)])
def test_counts_of_another_player_count_are_refused(counts):
    with pytest.raises(BadInput):
        sprt.decide(registered(), counts)


@pytest.mark.parametrize(("players", "blocks"), [(2, 6), (3, 5), (4, 4)])
def test_a_player_that_wins_one_game_of_every_block_is_even_with_itself(players, blocks):
    test = mirror(players)
    counts = [0, blocks - 1, *[0] * (players - 1)]
    assert sprt.decide_even(test, counts).verdict == "continue"
    counts[1] += 1
    last = sprt.decide_even(test, counts)
    assert last.verdict == "accept" and last.llr <= last.lower


@pytest.mark.parametrize("wins", [0, 2])
def test_whoever_wins_or_loses_both_games_of_every_block_is_not_even(wins):
    counts = [0, 0, 0]
    counts[wins] = 15
    last = sprt.decide_even(mirror(2), counts)
    assert last.verdict == "reject" and last.llr >= last.upper


def test_a_mirror_test_that_stays_undecided_rejects():
    test = mirror(2, max_blocks=10)
    assert sprt.decide_even(test, (4, 2, 4)).verdict == "reject"
    assert sprt.decide_even(mirror(2), (4, 2, 4)).verdict == "continue"


@pytest.mark.parametrize("players", [2, 3, 4])
def test_mirror_tests_seldom_reject_what_is_even_and_seldom_accept_what_is_not(players):
    test, runs = mirror(players, alpha=0.05), 250
    # 5 % for each side registered; 250 runs have a standard error of 1.4 to 1.9 %.
    for elo, wrong, bound in ((0, "reject", 0.15), (200, "accept", 0.10), (-200, "accept", 0.10)):
        dice = random.Random(players)
        chances = win_probabilities(players, abs(elo))
        if elo < 0:
            chances = [1 / players - (chance - 1 / players) for chance in chances]
        errors = sum(
            run_to_verdict(test, chances, dice, sprt.decide_even).verdict == wrong for _ in range(runs)
        )
        assert errors / runs <= bound, (elo, errors)


def mirror(players: int, alpha: float = 0.001, max_blocks: int = 200) -> sprt.Test:
    return sprt.Test(0.0, 200.0, alpha, 0.05, players, max_blocks)
