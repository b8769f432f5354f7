"""The root of each game: which moves are considered, which one is played, what the policy should learn.

The root draws from the full legal set: the Gumbel trick samples the considered moves without replacement from
the prior, whatever the number of edges that a node keeps.
"""

from __future__ import annotations

import math

from ringrift.game._jit import jit
from ringrift.players.randomness import gumbel, position_word
from ringrift.players.search.selection import (
    edge_q,
    edge_visits,
    keep_best,
    mixed_value,
    most_visits,
    puct_edge,
    seat_at_child,
    sigma,
)
from ringrift.players.search.tree import PUCT, set_edge


@jit
def set_root(geo, forest, roots, game, seed, scale, width, work):
    """Give the root of a game the `width` best edges by prior plus `scale` times Gumbel noise."""
    root = game * (forest.mover.shape[0] // forest.used.shape[0])
    word = position_word(geo, forest.states, root, seed)
    first = roots.offsets[game]
    count = roots.offsets[game + 1] - first
    for j in range(count):
        roots.noise[first + j] = scale * gumbel(word, j)
        work.probability[j] = roots.prior[first + j] + roots.noise[first + j]
    kept = keep_best(work.probability, count, work.key, work.picked, width)
    forest.edges[root] = kept
    roots.n_active[game] = kept
    for edge in range(kept):
        origin = first + work.picked[edge]
        roots.origin[game, edge] = origin
        roots.active[game, edge] = edge
        set_edge(forest, root, edge, roots.moves[origin], roots.prior[origin])


@jit
def root_scores(forest, roots, game, root, score):
    """Write noise + prior + sigma(completed q) of every active edge to `score`, in the order of `active`."""
    seat = forest.mover[root]
    missing = mixed_value(forest, root, seat)
    most = most_visits(forest, root)
    for place in range(roots.n_active[game]):
        edge = roots.active[game, place]
        q = edge_q(forest, root, edge, seat, missing)
        score[place] = forest.prior[root, edge] + roots.noise[roots.origin[game, edge]] + sigma(most, q)


@jit
def narrow(forest, roots, game, root, size, work):
    """Keep the `size` best active edges, best first."""
    root_scores(forest, roots, game, root, work.score)
    kept = keep_best(work.score, roots.n_active[game], work.key, work.picked, size)
    for place in range(kept):
        work.picked[place] = roots.active[game, work.picked[place]]
    for place in range(kept):
        roots.active[game, place] = work.picked[place]
    roots.n_active[game] = kept


@jit
def plan(forest, roots, game, size, method, tasks, task, work):
    """Write the simulations of one round of a game to `tasks` from `task` on; return the next task."""
    root = game * (forest.mover.shape[0] // forest.used.shape[0])
    if method == PUCT:
        tasks[task, 0] = game
        tasks[task, 1] = puct_edge(forest, root)
        return task + 1
    if size < roots.n_active[game]:
        narrow(forest, roots, game, root, size, work)
    for place in range(roots.n_active[game]):
        tasks[task, 0] = game
        tasks[task, 1] = roots.active[game, place]
        task += 1
    return task


@jit
def plan_round(forest, roots, schedule, turn, method, tasks, work):
    """Write the simulations of round `turn` of all games to `tasks`, (game, root edge) each; return how many.

    `schedule` (games, rounds) holds the sizes of the rounds.
    """
    task = 0
    for game in range(schedule.shape[0]):
        if turn < schedule.shape[1] and schedule[game, turn] > 0:
            task = plan(forest, roots, game, schedule[game, turn], method, tasks, task, work)
    return task


@jit
def best_edge(forest, roots, game, work):
    """Return the root edge to play: of the most visited active edges the one that scores highest."""
    root = game * (forest.mover.shape[0] // forest.used.shape[0])
    root_scores(forest, roots, game, root, work.score)
    most = 0
    for place in range(roots.n_active[game]):
        most = max(most, edge_visits(forest, root, roots.active[game, place]))
    best = 0
    for place in range(roots.n_active[game]):
        if edge_visits(forest, root, roots.active[game, place]) == most:
            best_visits = edge_visits(forest, root, roots.active[game, best])
            if best_visits < most or work.score[place] > work.score[best]:
                best = place
    return roots.active[game, best]


@jit
def improved_policy(forest, roots, game, out):
    """Write softmax(prior + sigma(completed q)) over all legal moves of a root to `out[offsets[game]:]`."""
    root = game * (forest.mover.shape[0] // forest.used.shape[0])
    seat = forest.mover[root]
    missing = mixed_value(forest, root, seat)
    most = most_visits(forest, root)
    first = roots.offsets[game]
    last = roots.offsets[game + 1]
    for j in range(first, last):
        out[j] = roots.prior[j] + sigma(most, missing)
    for edge in range(forest.edges[root]):
        q = edge_q(forest, root, edge, seat, missing)
        out[roots.origin[game, edge]] = forest.prior[root, edge] + sigma(most, q)
    softmax(out, first, last)


@jit
def softmax(out, first, last):
    """Replace the logits `out[first:last]` by their probabilities."""
    top = -1e300
    for j in range(first, last):
        top = max(top, out[j])
    total = 0.0
    for j in range(first, last):
        out[j] = math.exp(out[j] - top)
        total += out[j]
    for j in range(first, last):
        out[j] /= total


@jit
def visit_policy(forest, roots, game, out):
    """Write the share of visits of every legal move of a root to `out[offsets[game]:]`; the prior if none."""
    root = game * (forest.mover.shape[0] // forest.used.shape[0])
    first = roots.offsets[game]
    total = forest.visits[root] - 1
    for j in range(first, roots.offsets[game + 1]):
        out[j] = 0.0 if total > 0 else math.exp(roots.prior[j])
    if total > 0:
        for edge in range(forest.edges[root]):
            out[roots.origin[game, edge]] = edge_visits(forest, root, edge) / total


@jit
def root_value(forest, roots, game, policy, values):
    """Write the value vector of a root to `values[game]`: the mean over its edges under `policy`.

    Edges without a visit count as the mixed value of every seat.
    """
    root = game * (forest.mover.shape[0] // forest.used.shape[0])
    players = forest.states[root]["players"]
    seen = 0.0
    for k in range(4):
        values[game, k] = 0.0
    for edge in range(forest.edges[root]):
        if edge_visits(forest, root, edge) > 0:
            share = policy[roots.origin[game, edge]]
            child = forest.child[root, edge]
            seen += share
            for seat in range(1, players + 1):
                result = forest.total[child, seat_at_child(forest, root, child, seat)]
                values[game, seat - 1] += share * result / forest.visits[child]
    for seat in range(1, players + 1):
        values[game, seat - 1] += (1.0 - seen) * mixed_value(forest, root, seat)


@jit
def read_off(forest, roots, method, moves, values, policy, work):
    """Write chosen move, value vector and improved policy of every game."""
    per_game = forest.mover.shape[0] // forest.used.shape[0]
    for game in range(moves.shape[0]):
        if method == PUCT:
            visit_policy(forest, roots, game, policy)
        else:
            improved_policy(forest, roots, game, policy)
        root_value(forest, roots, game, policy, values)
        moves[game] = forest.moves[game * per_game, best_edge(forest, roots, game, work)]
