"""The minimax player: alpha-beta on decisions, deeper until its budget is spent, judged by the heuristic.

The mover maximises its own probability of winning and every other seat is taken to minimise it ("paranoid",
Sturtevant and Korf 2000), which is exact minimax for two players and keeps alpha-beta pruning for more.
Depth counts decisions; forced plies are free.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ringrift.game._jit import jit
from ringrift.game.apply import apply
from ringrift.game.config import GameConfig
from ringrift.game.geometry import Geometry
from ringrift.game.playout import copy_position, next_decision
from ringrift.game.state import new_positions
from ringrift.players.base import (
    Deadline,
    Moves,
    Player,
    PlayerSpec,
    Positions,
    SearchResult,
    best_of,
    signed,
)
from ringrift.players.heuristic import evaluate, new_terms

DEEPEST = 12
"""Decisions looked ahead at most."""

AT_ONCE = 256
"""Positions looked at before the clock is: about a millisecond in which other threads may run Python."""


class Stack(NamedTuple):
    """One entry per depth of the line that is being looked at."""

    states: npt.NDArray[np.void]
    moves: npt.NDArray[np.int64]
    """(depth, max_moves)"""
    count: npt.NDArray[np.int64]
    cursor: npt.NDArray[np.int64]
    """Next move to look at."""
    low: npt.NDArray[np.float64]
    """The searching seat already has this much elsewhere."""
    high: npt.NDArray[np.float64]
    """The others already can hold it down to this."""
    values: npt.NDArray[np.float64]
    """(1, 4) working memory."""
    terms: npt.NDArray[np.float64]


def new_stack(geo: Geometry) -> Stack:
    return Stack(
        states=new_positions(DEEPEST + 2),
        moves=np.zeros((DEEPEST + 2, geo.max_moves), np.int64),
        count=np.zeros(DEEPEST + 2, np.int64),
        cursor=np.zeros(DEEPEST + 2, np.int64),
        low=np.zeros(DEEPEST + 2),
        high=np.zeros(DEEPEST + 2),
        values=np.zeros((1, 4)),
        terms=new_terms(),
    )


class MinimaxPlayer(Player):
    """Kind `minimax`: looks at `spec.simulations` positions, and always at every move once."""

    def __init__(self, spec: PlayerSpec, config: GameConfig) -> None:
        super().__init__(spec, config)
        self.stack = new_stack(self.geo)

    def _search(
        self,
        states: Positions,
        seeds: npt.NDArray[np.uint64],
        deadline: Deadline | None,
        simulations: Moves | None,
    ) -> SearchResult:
        chosen = np.zeros(len(states), np.int64)
        values = np.zeros((len(states), 4))
        policy = []
        for i, seed in enumerate(signed(seeds)):
            budget = self.spec.simulations if simulations is None else int(simulations[i])
            legal = self.legal(states, i)
            scores = self._deepen(states, i, legal, budget, deadline)
            best = best_of(scores, self.word(states, i, seed))
            chosen[i] = legal[best]
            evaluate(self.geo, states, i, self.stack.terms, values, i)
            policy.append((legal, np.eye(1, len(legal), best, dtype=np.float32)[0]))
        return SearchResult(chosen, values.astype(np.float32), policy)

    def _deepen(
        self, states: Positions, i: int, legal: Moves, budget: int, deadline: Deadline | None
    ) -> npt.NDArray[np.float64]:
        """Return a score per legal move from the deepest look that got at least past its first move."""
        scores = self._look(states, i, legal, np.arange(len(legal)), 0, budget, None)[0]
        spent = len(legal)
        for depth in range(1, DEEPEST):
            if spent >= budget or len(legal) < 2:
                break
            order = np.argsort(-scores, kind="stable")
            deeper, nodes = self._look(states, i, legal, order, depth, budget - spent, deadline)
            spent += nodes
            if np.isfinite(deeper).any():
                scores = deeper
        return scores

    def _look(
        self,
        states: Positions,
        i: int,
        legal: Moves,
        order: Moves,
        depth: int,
        budget: int,
        deadline: Deadline | None,
    ) -> tuple[npt.NDArray[np.float64], int]:
        """Score the moves in that order; return the scores and how many positions were seen.

        Beyond depth 0 a move that is no better than the best before it scores one less than that, and moves
        not reached within budget and deadline score -inf.
        """
        scores = np.full(len(legal), -np.inf)
        at = spent = 0
        while at < len(order) and not (depth and deadline is not None and deadline.passed()):
            at, spent = look(
                self.geo, self.stack, self.scratch, states, i, legal, order, scores, at, depth, spent, budget
            )
        return scores, spent


@jit
def look(geo, stack, scratch, states, i, legal, order, scores, at, depth, spent, budget):
    """Score moves in `order` from `at` on, `AT_ONCE` positions or a little more; return `(next at, spent)`.

    `spent` positions of `budget` have been seen before. When the budget is used up, the next one is the end.
    """
    enough = spent + AT_ONCE
    low = -np.inf
    if depth > 0:
        for j in range(scores.shape[0]):
            low = max(low, scores[j])
    while at < order.shape[0] and spent < enough:
        if depth > 0 and spent >= budget:
            return order.shape[0], spent
        copy_position(stack.states, 0, states, i)
        stack.moves[0, 0] = legal[order[at]]
        limit = max(1, budget - spent)
        seat, swapped = states[i]["player"], states[i]["swapped"]
        value, seen = alpha_beta(geo, stack, scratch, depth, low, seat, swapped, limit)
        spent += seen
        if seen > limit:
            return order.shape[0], spent
        scores[order[at]] = value if value > low else low - 1
        if depth > 0:
            low = max(low, value)
        at += 1
    return at, spent


@jit
def seat_now(stack, level, seat, swapped):
    """Return where the player sits who sat at `seat` before any exchange of seats 1 and 2."""
    if seat <= 2 and stack.states[level]["swapped"] != swapped:
        return 3 - seat
    return seat


@jit
def judge(geo, stack, level, seat, swapped):
    """Return the heuristic's result of the searching player at `level`."""
    evaluate(geo, stack.states, level, stack.terms, stack.values, 0)
    return stack.values[0, seat_now(stack, level, seat, swapped) - 1]


@jit
def alpha_beta(geo, stack, scratch, depth, low, seat, swapped, limit):
    """Return `(value, positions seen)` of the move `stack.moves[0, 0]`, looking `depth` decisions beyond it.

    The move is played on the position at level 0. The value is the searching player's result; it is exact if
    above `low`, else an upper bound. More than `limit` positions seen means given up without a value.
    """
    open_root(stack, low)
    level = 0
    seen = 0
    while True:
        if stack.cursor[level] < stack.count[level] and stack.low[level] < stack.high[level]:
            move = stack.moves[level, stack.cursor[level]]
            descend(stack, level)
            level += 1
            seen += 1
            apply(geo, stack.states, level, scratch, move)
            stack.count[level] = next_decision(geo, stack.states, level, scratch, stack.moves[level])
            if stack.count[level] > 0 and level <= depth and seen <= limit:
                continue
            value = judge(geo, stack, level, seat, swapped)
        else:
            value = bound_of(stack, level, seat, swapped)
        if level == 1 or seen > limit:
            return value, seen
        level -= 1
        take_in(stack, level, value, seat, swapped)


@jit
def open_root(stack, low):
    """Make level 0 a decision with the single move that is looked at."""
    stack.cursor[0] = 0
    stack.count[0] = 1
    stack.low[0] = low
    stack.high[0] = 2.0


@jit
def descend(stack, level):
    """Begin the level below with the position and the window of this one; its move is still to be played."""
    stack.cursor[level] += 1
    stack.cursor[level + 1] = 0
    stack.low[level + 1] = stack.low[level]
    stack.high[level + 1] = stack.high[level]
    copy_position(stack.states, level + 1, stack.states, level)


@jit
def is_own(stack, level, seat, swapped):
    """True when the searching player decides at `level`."""
    return stack.states[level]["player"] == seat_now(stack, level, seat, swapped)


@jit
def bound_of(stack, level, seat, swapped):
    """Return the value of a level whose moves have been looked at (fail-hard)."""
    return stack.low[level] if is_own(stack, level, seat, swapped) else stack.high[level]


@jit
def take_in(stack, level, value, seat, swapped):
    """Narrow the window of a level by the value of one of its moves."""
    if is_own(stack, level, seat, swapped):
        stack.low[level] = max(stack.low[level], value)
    else:
        stack.high[level] = min(stack.high[level], value)
