"""Which edge a simulation follows, and what the statistics of a node say.

Gumbel search (Danihelka et al. 2022, "Policy improvement by planning with Gumbel"): inside the tree the edge
whose visits lag most behind the improved policy softmax(prior + sigma(completed q)), with
sigma(q) = (C_VISIT + most visits of an edge) * C_SCALE * q and unvisited edges completed by the mixed value
(appendix D of the paper). PUCT (Silver et al. 2017) for the MCTS player. All q are results in 0..1 of the
seat that moves at the node, so every seat maximises its own component (max^n).
"""

from __future__ import annotations

import math

from ringrift.game._jit import jit

C_VISIT = 50.0
C_SCALE = 1.0
"""Constants of sigma, the paper's values for board games."""

C_PUCT = 0.8
FIRST_PLAY = 0.1
"""An unvisited edge counts as the node's value minus this times the root of the visited prior mass."""


@jit
def seat_at_child(forest, node, child, seat):
    """Return the component (0..3) of `child`'s values that the player of `seat` (1..4) at `node` owns."""
    if seat <= 2 and forest.states[child]["swapped"] != forest.states[node]["swapped"]:
        return 2 - seat
    return seat - 1


@jit
def mean_result(forest, node, child, seat):
    """Return the mean result of a visited child for the player of `seat` at `node`."""
    return forest.total[child, seat_at_child(forest, node, child, seat)] / forest.visits[child]


@jit
def edge_visits(forest, node, edge):
    child = forest.child[node, edge]
    return forest.visits[child] if child >= 0 else 0


@jit
def mixed_value(forest, node, seat):
    """Return what an unvisited edge is worth to `seat`: own evaluation and visited edges, weighed."""
    visits = 0
    mass = 0.0
    weighted = 0.0
    for edge in range(forest.edges[node]):
        count = edge_visits(forest, node, edge)
        if count > 0:
            visits += count
            probability = math.exp(forest.prior[node, edge])
            mass += probability
            weighted += probability * mean_result(forest, node, forest.child[node, edge], seat)
    own = forest.own[node, seat - 1]
    if visits == 0:
        return own
    return (own + visits * weighted / mass) / (1 + visits)


@jit
def most_visits(forest, node):
    most = 0
    for edge in range(forest.edges[node]):
        most = max(most, edge_visits(forest, node, edge))
    return most


@jit
def sigma(most, q):
    """Scale a result to the unit of logits."""
    return (C_VISIT + most) * C_SCALE * q


@jit
def edge_q(forest, node, edge, seat, missing):
    """Return the mean result of an edge for `seat`, `missing` if it was never visited."""
    if edge_visits(forest, node, edge) == 0:
        return missing
    return mean_result(forest, node, forest.child[node, edge], seat)


@jit
def gumbel_edge(forest, node, score):
    """Return the edge of an inner node whose visit share lags most behind the improved policy.

    `score` (K,) is working memory.
    """
    seat = forest.mover[node]
    missing = mixed_value(forest, node, seat)
    most = most_visits(forest, node)
    top = -1e300
    for edge in range(forest.edges[node]):
        q = edge_q(forest, node, edge, seat, missing)
        score[edge] = forest.prior[node, edge] + sigma(most, q)
        top = max(top, score[edge])
    total = 0.0
    for edge in range(forest.edges[node]):
        score[edge] = math.exp(score[edge] - top)
        total += score[edge]
    best = 0
    best_lag = -1e300
    for edge in range(forest.edges[node]):
        lag = score[edge] / total - edge_visits(forest, node, edge) / forest.visits[node]
        if lag > best_lag:
            best = edge
            best_lag = lag
    return best


@jit
def puct_edge(forest, node):
    """Return the edge with the highest mean result plus exploration bonus."""
    seat = forest.mover[node]
    visited = 0.0
    for edge in range(forest.edges[node]):
        if edge_visits(forest, node, edge) > 0:
            visited += math.exp(forest.prior[node, edge])
    value = forest.total[node, seat - 1] / forest.visits[node]
    missing = value - FIRST_PLAY * math.sqrt(visited)
    scale = C_PUCT * math.sqrt(forest.visits[node])
    best = 0
    best_score = -1e300
    for edge in range(forest.edges[node]):
        q = edge_q(forest, node, edge, seat, missing)
        bonus = scale * math.exp(forest.prior[node, edge]) / (1 + edge_visits(forest, node, edge))
        if q + bonus > best_score:
            best = edge
            best_score = q + bonus
    return best


@jit
def keep_best(key, count, keys, picked, width):
    """Put the indices of the `width` largest of `key[:count]` into `picked`, best first; return how many.

    `keys` (>= width,) is working memory. Of equal keys the earlier index stays first.
    """
    kept = 0
    for index in range(count):
        if kept == width and key[index] <= keys[width - 1]:
            continue
        place = min(kept, width - 1)
        while place > 0 and keys[place - 1] < key[index]:
            keys[place] = keys[place - 1]
            picked[place] = picked[place - 1]
            place -= 1
        keys[place] = key[index]
        picked[place] = index
        kept = min(kept + 1, width)
    return kept
