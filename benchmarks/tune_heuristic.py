"""`python benchmarks/tune_heuristic.py hex8_2p square8_2p`: better weights for the heuristic, one move ahead.

Two steps. SPSA (Spall 1992, as chess engines use it): both signs of a random perturbation of the weights play
against a fixed pool, the present weights and random moves, seats rotating, and the weights follow the better
sign. The pool matters: weights that were tuned against themselves alone beat these and lost to random moves.
Then a conditional logit fit of one common factor on positions of such games turns scores into probabilities.
Prints the weights; a few minutes on one core.
"""

from __future__ import annotations

import math
import sys

import numpy as np

from ringrift.game._jit import jit
from ringrift.game.apply import apply
from ringrift.game.config import GameConfig
from ringrift.game.geometry import geometry
from ringrift.game.playout import copy_position, next_decision, settle
from ringrift.game.state import new_positions, new_scratch, start
from ringrift.players.heuristic import COUNT, TERMS, WEIGHTS, measure, new_terms, weights_row
from ringrift.players.randomness import below, mix

OPENING = 5
STEPS = 6000
STEP, PERTURBATION = 0.2, 0.3


@jit
def result_of(geo, states, terms, weights, seat):
    """Return the log-probability of `seat` at position 1 under `weights` (COUNT,)."""
    if states[1]["winner"] > 0:
        return 0.0 if states[1]["winner"] == seat else -99.0
    measure(geo, states, 1, terms)
    own = 0.0
    total = 0.0
    for other in range(1, states[1]["players"] + 1):
        score = 0.0
        for term in range(COUNT):
            score += weights[term] * terms[other, term]
        total += math.exp(score)
        if other == seat:
            own = score
    return own - math.log(total)


@jit
def play(geo, states, scratch, terms, moves, weights, seed, seen):
    """Play position 0 to its end, seat p by `weights[p]`, NaN at random; note terms, return how many."""
    count = next_decision(geo, states, 0, scratch, moves)
    decision = 0
    noted = 0
    while count > 0:
        word = mix(seed, decision)
        best = below(word, 0, count)
        seat = states[0]["player"]
        if decision >= OPENING and not math.isnan(weights[seat, 0]):
            top = -1e300
            for j in range(count):
                copy_position(states, 1, states, 0)
                apply(geo, states, 1, scratch, moves[j])
                settle(geo, states, 1, scratch)
                result = result_of(geo, states, terms, weights[seat], seat)
                if result > top:
                    top = result
                    best = j
            if below(word, 1, 4) == 0 and noted < seen.shape[0]:
                measure(geo, states, 0, seen[noted])
                noted += 1
        apply(geo, states, 0, scratch, moves[best])
        count = next_decision(geo, states, 0, scratch, moves)
        decision += 1
    return noted


class Bench:
    """Working memory for games of one config."""

    def __init__(self, key: str) -> None:
        self.config = GameConfig.parse(key)
        self.geo, self.scratch = geometry(self.config.board), new_scratch(self.config.board)
        self.states, self.terms = new_positions(2), new_terms()
        self.moves = np.zeros(self.geo.max_moves, np.int64)
        self.seen = np.zeros((200, 5, COUNT))

    def winner(self, weights: np.ndarray, seed: int) -> tuple[int, np.ndarray]:
        """Play one game; return the winning seat and the terms of some of its positions."""
        start(self.states, 0, self.config, swap=False)
        noted = play(self.geo, self.states, self.scratch, self.terms, self.moves, weights, seed, self.seen)
        return int(self.states[0]["winner"]), self.seen[:noted].copy()


def spsa(benches: list[Bench], weights: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return weights after `STEPS` steps, averaged over the second half."""
    pool = (weights.copy(), np.full(COUNT, np.nan))
    total = np.zeros(COUNT)
    for t in range(STEPS):
        bench = benches[t % len(benches)]
        direction = random.choice([-1.0, 1.0], COUNT) * PERTURBATION
        gain = 0
        for sign in (1, -1):
            for seat in range(1, bench.config.players + 1):
                table = np.tile(pool[t // len(benches) % 2], (5, 1))
                table[seat] = weights + sign * direction
                gain += sign * (bench.winner(table, t)[0] == seat)
        weights = weights + STEP / (1 + 3 * t / STEPS) * gain * direction
        total += weights * (t >= STEPS // 2)
    return total / (STEPS - STEPS // 2)


def factor(benches: list[Bench], weights: np.ndarray) -> float:
    """Return the factor under which the scores predict the winners of 400 games a config best."""
    scores, winners = [], []
    for bench in benches:
        for seed in range(400):
            winner, seen = bench.winner(np.tile(weights, (5, 1)), 10_000_000 + seed)
            exists = np.arange(1, 5) <= bench.config.players
            scores.append(np.where(exists, seen[:, 1:] @ weights, -np.inf))
            winners.append(np.full(len(seen), winner - 1))
    table, index = np.concatenate(scores), np.concatenate(winners)

    def loss(scale: float) -> float:
        scaled = table * scale
        chosen = scaled[np.arange(len(index)), index]
        return float(np.mean(np.log(np.exp(scaled).sum(1)) - chosen))

    return float(min(np.linspace(0.1, 3, 59), key=loss))


def main() -> None:
    benches = [Bench(key) for key in sys.argv[1:]]
    weights = spsa(benches, WEIGHTS[weights_row(benches[0].config.players)].copy(), np.random.default_rng(1))
    scale = factor(benches, weights)
    print(f"factor {scale:.2f}")
    for name, weight in zip(TERMS, weights * scale, strict=True):
        print(f"{name:15} {weight:6.2f}")


if __name__ == "__main__":
    main()
