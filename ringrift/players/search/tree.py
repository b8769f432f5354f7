"""Growing the trees: walk down, make a node, collect leaves, take their evaluation in, pass values up."""

from __future__ import annotations

import math

from ringrift.game._jit import jit
from ringrift.game.apply import apply
from ringrift.game.legal import legal_moves
from ringrift.game.playout import copy_position, next_decision
from ringrift.players.search.selection import gumbel_edge, keep_best, puct_edge

GUMBEL, PUCT = range(2)
"""How a search chooses: by Gumbel with sequential halving at the root, or by PUCT everywhere."""

LEAST_PRIOR = -30.0
"""Logarithm of the smallest prior probability, so that sums of priors never vanish."""


@jit
def add_node(forest, game, parent):
    """Take the next free node of a game, without edges; its position is not set."""
    per_game = forest.mover.shape[0] // forest.used.shape[0]
    node = game * per_game + forest.used[game]
    forest.used[game] += 1
    forest.parent[node] = parent
    forest.visits[node] = 0
    forest.edges[node] = 0
    for k in range(4):
        forest.total[node, k] = 0.0
    return node


@jit
def walk(forest, root, first_edge, method, score):
    """Follow `first_edge` and then the method down to a missing or finished child.

    Returns `(node, edge)`: the last node and the edge to take from it.
    """
    node = root
    edge = first_edge
    while forest.child[node, edge] >= 0 and forest.mover[forest.child[node, edge]] > 0:
        node = forest.child[node, edge]
        edge = puct_edge(forest, node) if method == PUCT else gumbel_edge(forest, node, score)
    return node, edge


@jit
def collect_leaf(geo, forest, leaves, slot, game, first_edge, method, scratch, work):
    """Run one simulation down to a leaf and put it into `slot`; return False if the game ends there.

    A finished game is backed up at once.
    """
    per_game = forest.mover.shape[0] // forest.used.shape[0]
    node, edge = walk(forest, game * per_game, first_edge, method, work.score)
    child = forest.child[node, edge]
    if child >= 0:
        back_up(forest, child, forest.own, child, work.carry)
        return False
    child = add_node(forest, game, node)
    forest.child[node, edge] = child
    copy_position(forest.states, child, forest.states, node)
    apply(geo, forest.states, child, scratch, forest.moves[node, edge])
    if fill_leaf(geo, forest, leaves, slot, child, scratch):
        return True
    back_up(forest, child, forest.own, child, work.carry)
    return False


@jit
def fill_leaf(geo, forest, leaves, slot, node, scratch):
    """Go to the node's decision and note its legal moves in `slot`; return False if the game is over."""
    first = leaves.offsets[slot]
    count = next_decision(geo, forest.states, node, scratch, leaves.moves[first:])
    forest.mover[node] = forest.states[node]["player"]
    if count == 0:
        for k in range(4):
            forest.own[node, k] = 0.0
        forest.own[node, forest.states[node]["winner"] - 1] = 1.0
        return False
    leaves.node[slot] = node
    leaves.offsets[slot + 1] = first + count
    return True


@jit
def collect_roots(geo, forest, leaves, first, last, scratch):
    """Put the roots of games `first..last-1` into the leaves; return how many found room.

    A root is searched as it is, also when it offers a single move.
    """
    slot = 0
    while first + slot < last and has_room(geo, leaves, slot):
        forest.used[first + slot] = 0
        root = add_node(forest, first + slot, -1)
        begin = leaves.offsets[slot]
        count = legal_moves(geo, forest.states, root, scratch, leaves.moves[begin:])
        forest.mover[root] = forest.states[root]["player"]
        leaves.node[slot] = root
        leaves.offsets[slot + 1] = begin + count
        slot += 1
    return slot


@jit
def has_room(geo, leaves, slot):
    """True when one more leaf of any size fits at `slot`."""
    return slot < leaves.node.shape[0] and leaves.offsets[slot] + geo.max_moves <= leaves.moves.shape[0]


@jit
def collect(geo, forest, leaves, games, edges, first, last, method, scratch, work):
    """Run the simulations `first..last-1`, one down each root edge `edges[t]` of game `games[t]`.

    Stops early when the leaves are full. Returns `(simulations done, leaves waiting)`.
    """
    slot = 0
    task = first
    while task < last and has_room(geo, leaves, slot):
        if collect_leaf(geo, forest, leaves, slot, games[task], edges[task], method, scratch, work):
            slot += 1
        task += 1
    return task - first, slot


@jit
def normalise(leaves, slot):
    """Turn the logits of a leaf into logarithms of probabilities."""
    top = -1e300
    for j in range(leaves.offsets[slot], leaves.offsets[slot + 1]):
        top = max(top, leaves.logits[j])
    total = 0.0
    for j in range(leaves.offsets[slot], leaves.offsets[slot + 1]):
        total += math.exp(leaves.logits[j] - top)
    shift = top + math.log(total)
    for j in range(leaves.offsets[slot], leaves.offsets[slot + 1]):
        leaves.logits[j] = max(leaves.logits[j] - shift, LEAST_PRIOR)


@jit
def absorb(forest, leaves, count, work):
    """Give the first `count` leaves their edges and values and pass the values up."""
    for slot in range(count):
        node = leaves.node[slot]
        normalise(leaves, slot)
        first = leaves.offsets[slot]
        moves = leaves.offsets[slot + 1] - first
        kept = keep_best(leaves.logits[first:], moves, work.key, work.picked, forest.moves.shape[1])
        forest.edges[node] = kept
        for edge in range(kept):
            set_edge(forest, node, edge, leaves.moves[first + work.picked[edge]], work.key[edge])
        for k in range(4):
            forest.own[node, k] = leaves.values[slot, k]
        back_up(forest, node, leaves.values, slot, work.carry)


@jit
def set_edge(forest, node, edge, move, prior):
    forest.moves[node, edge] = move
    forest.prior[node, edge] = prior
    forest.child[node, edge] = -1


@jit
def back_up(forest, node, values, row, carry):
    """Add `values[row]` to the node and to all above it, seats exchanged where the pie rule was used."""
    for k in range(4):
        carry[k] = values[row, k]
    while node >= 0:
        forest.visits[node] += 1
        for k in range(4):
            forest.total[node, k] += carry[k]
        parent = forest.parent[node]
        if parent >= 0 and forest.states[parent]["swapped"] != forest.states[node]["swapped"]:
            carry[0], carry[1] = carry[1], carry[0]
        node = parent
