"""The searching player: Gumbel search or MCTS over a batch of games, with a net or the heuristic.

For each group of games: evaluate the roots; then, round by round, plan the simulations of all games, walk
them down to leaves, evaluate the leaves together, pass the values up; at the end read off move, value and
policy. Tree work is compiled, evaluation is one call per batch of leaves.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ringrift.game.config import GameConfig
from ringrift.players.base import Deadline, Moves, Player, PlayerSpec, Positions, SearchResult, signed
from ringrift.players.search import root, tree
from ringrift.players.search.evaluators import Evaluator, HeuristicEvaluator
from ringrift.players.search.forest import (
    SEATS,
    Floats,
    Forest,
    Ints,
    Roots,
    new_forest,
    new_leaves,
    new_workspace,
)
from ringrift.players.search.schedule import rounds
from ringrift.players.search.whole_rounds import simulate_rounds

WIDTH = 48
"""Edges kept per node, those with the highest prior."""

LEAVES = 256
"""Leaves evaluated together at most."""

NODES = 1 << 15
"""Nodes of one group of games, about 0.25 GB; more games than fit are searched group after group."""

AT_ONCE = 64
"""Simulations done with the heuristic before the clock is looked at: about a millisecond."""

TIE_NOISE = 1e-6
"""Scale of the root noise of MCTS: it only settles ties."""


class TreePlayer(Player):
    """Kinds `gumbel`, `mcts` and `policy`.

    The policy player is a Gumbel search without simulations and with one considered move: the largest sum of
    logit and noise is a sample from the policy at that temperature.
    """

    def __init__(self, spec: PlayerSpec, config: GameConfig, net: Any = None) -> None:
        super().__init__(spec, config)
        self.method = tree.PUCT if spec.kind == "mcts" else tree.GUMBEL
        self.budget = 0 if spec.kind == "policy" else spec.simulations
        self.width = {"mcts": WIDTH, "gumbel": spec.considered, "policy": 1}[spec.kind]
        self.noise = TIE_NOISE if spec.kind == "mcts" else spec.noise
        self.evaluator = evaluator_of(net, config)
        self.leaves = new_leaves(self.geo, LEAVES)
        self.work = new_workspace(self.geo, WIDTH)
        self._forest: Forest | None = None

    def _search(
        self,
        states: Positions,
        seeds: npt.NDArray[np.uint64],
        deadline: Deadline | None,
        simulations: Moves | None,
    ) -> SearchResult:
        budgets = np.full(len(states), self.budget) if simulations is None or not self.budget else simulations
        per_game = int(budgets.max(initial=1)) + 1
        group = max(1, NODES // per_game)
        parts = []
        for first in range(0, len(states), group):
            part = slice(first, first + group)
            parts.append(
                self._search_group(states[part], signed(seeds)[part], budgets[part], per_game, deadline)
            )
        return joined(parts)

    def _search_group(
        self, states: Positions, seeds: Ints, budgets: Ints, per_game: int, deadline: Deadline | None
    ) -> SearchResult:
        forest = self._planted(states, per_game)
        roots = self._evaluate_roots(forest, len(states))
        schedule = self._schedule(np.diff(roots.offsets), budgets)
        for game, seed in enumerate(seeds):
            root.set_root(self.geo, forest, roots, game, seed, self.noise, self.width, self.work)
        self._simulate(forest, roots, schedule, deadline)
        return self._answer(forest, roots)

    def _planted(self, states: Positions, per_game: int) -> Forest:
        """Return a forest with the positions at its roots; memory is kept from search to search."""
        kept = self._forest
        if kept is None or len(kept.used) < len(states) or len(kept.mover) < len(kept.used) * per_game:
            self._forest = kept = new_forest(len(states), per_game, WIDTH)
        spacing = len(kept.mover) // len(kept.used)
        kept.states[: len(states) * spacing : spacing] = states
        return kept

    def _evaluate_roots(self, forest: Forest, games: int) -> Roots:
        counts, moves, prior = [np.zeros(1, np.int64)], [], []
        first = 0
        while first < games:
            slots = tree.collect_roots(self.geo, forest, self.leaves, first, games, self.work)
            self.evaluator.evaluate_roots(forest.states, self.leaves, slots)
            tree.absorb(forest, self.leaves, slots, self.work)
            end = self.leaves.offsets[slots]
            counts.append(np.diff(self.leaves.offsets[: slots + 1]))
            moves.append(self.leaves.moves[:end].copy())
            prior.append(self.leaves.logits[:end].copy())
            first += slots
        return Roots(
            offsets=np.cumsum(np.concatenate(counts)),
            moves=np.concatenate(moves),
            prior=np.concatenate(prior),
            noise=np.zeros(sum(map(len, moves))),
            origin=np.zeros((games, WIDTH), np.int64),
            active=np.zeros((games, WIDTH), np.int64),
            n_active=np.zeros(games, np.int64),
        )

    def _schedule(self, legal: Ints, budgets: Ints) -> Ints:
        """Return the sizes of each game's rounds, (games, rounds) padded with 0; none for a forced move."""
        plans = []
        for count, budget in zip(legal, budgets, strict=True):
            considered = 1 if self.method == tree.PUCT else min(self.spec.considered, int(count))
            plans.append(rounds(int(budget), considered) if count > 1 else ())
        table = np.zeros((len(plans), max(map(len, plans), default=0)), np.int64)
        for game, sizes in enumerate(plans):
            table[game, : len(sizes)] = sizes
        return table

    def _simulate(self, forest: Forest, roots: Roots, schedule: Ints, deadline: Deadline | None) -> None:
        tasks = np.zeros((int(schedule.sum(0).max(initial=0)), 2), np.int64)
        if isinstance(self.evaluator, HeuristicEvaluator):
            self._simulate_compiled(forest, roots, schedule, deadline, tasks, self.evaluator.trial.terms)
            return
        for turn in range(schedule.shape[1]):
            count = root.plan_round(forest, roots, schedule, turn, self.method, tasks, self.work)
            done = 0
            while done < count:
                if deadline is not None and deadline.passed():
                    return
                step, slots = tree.collect(
                    self.geo, forest, self.leaves, tasks, done, count, self.method, self.work
                )
                self.evaluator.evaluate(forest.states, self.leaves, slots)
                tree.absorb(forest, self.leaves, slots, self.work)
                done += step

    def _simulate_compiled(
        self,
        forest: Forest,
        roots: Roots,
        schedule: Ints,
        deadline: Deadline | None,
        tasks: Ints,
        terms: Floats,
    ) -> None:
        """Do the same with the heuristic, looking at the clock every `AT_ONCE` simulations."""
        turn = 0
        while turn < schedule.shape[1] and not (deadline is not None and deadline.passed()):
            turn = simulate_rounds(
                self.geo,
                forest,
                roots,
                self.leaves,
                schedule,
                turn,
                AT_ONCE,
                self.method,
                tasks,
                terms,
                self.work,
            )

    def _answer(self, forest: Forest, roots: Roots) -> SearchResult:
        games = len(roots.n_active)
        moves = np.zeros(games, np.int64)
        values = np.zeros((games, SEATS))
        policy: Floats = np.zeros(len(roots.moves))
        root.read_off(forest, roots, self.method, moves, values, policy, self.work)
        lists = []
        for first, last in zip(roots.offsets[:-1], roots.offsets[1:], strict=True):
            lists.append((roots.moves[first:last], policy[first:last].astype(np.float32)))
        return SearchResult(moves, values.astype(np.float32), lists)


def evaluator_of(net: Any, config: GameConfig) -> Evaluator:
    """Return the net as an evaluator, or the heuristic for None; torch is imported only for a net."""
    if net is None:
        return HeuristicEvaluator(config.board)
    from ringrift.players.search import torch_net

    return torch_net.evaluator(net, config)


def joined(parts: list[SearchResult]) -> SearchResult:
    """Return the results of several groups as one."""
    return SearchResult(
        moves=np.concatenate([np.zeros(0, np.int64), *(part.moves for part in parts)]),
        values=np.concatenate([np.zeros((0, SEATS), np.float32), *(part.values for part in parts)]),
        policy=[entry for part in parts for entry in part.policy],
    )
