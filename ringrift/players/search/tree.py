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
def add_child(forest, game, node, edge):
    """Make the node behind an edge, its position still that of `node`."""
    child = add_node(forest, game, node)
    forest.child[node, edge] = child
    copy_position(forest.states, child, forest.states, node)
    return child


@jit
def note_decision(forest, leaves, slot, node, count):
    """Note that the node's decision has `count` legal moves, which lie in `slot`; 0 means a finished game."""
    forest.mover[node] = forest.states[node]["player"]
    leaves.node[slot] = node
    leaves.offsets[slot + 1] = leaves.offsets[slot] + count
    if count == 0:
        for k in range(4):
            forest.own[node, k] = 0.0
        forest.own[node, forest.states[node]["winner"] - 1] = 1.0


@jit
def has_room(geo, leaves, slot):
    """True when one more leaf of any size fits at `slot`."""
    return slot < leaves.node.shape[0] and leaves.offsets[slot] + geo.max_moves <= leaves.moves.shape[0]


@jit
def collect_roots(geo, forest, leaves, first, last, work):
    """Put the roots of games `first..last-1` into the leaves; return how many found room.

    A root is searched as it is, also when it offers a single move.
    """
    slot = 0
    while first + slot < last and has_room(geo, leaves, slot):
        forest.used[first + slot] = 0
        root = add_node(forest, first + slot, -1)
        out = leaves.moves[leaves.offsets[slot] :]
        note_decision(forest, leaves, slot, root, legal_moves(geo, forest.states, root, work.scratch, out))
        slot += 1
    return slot


@jit
def collect(geo, forest, leaves, tasks, first, last, method, work):
    """Run the simulations `first..last-1`: task t goes down root edge `tasks[t, 1]` of game `tasks[t, 0]`.

    Finished games are backed up at once; the other leaves wait in their slots. Stops early when there is no
    room. Returns `(simulations done, leaves waiting)`.
    """
    per_game = forest.mover.shape[0] // forest.used.shape[0]
    slot = 0
    task = first
    while task < last and has_room(geo, leaves, slot):
        game = tasks[task, 0]
        node, edge = walk(forest, game * per_game, tasks[task, 1], method, work.score)
        child = forest.child[node, edge]
        if child < 0:
            child = add_child(forest, game, node, edge)
            apply(geo, forest.states, child, work.scratch, forest.moves[node, edge])
            out = leaves.moves[leaves.offsets[slot] :]
            count = next_decision(geo, forest.states, child, work.scratch, out)
            note_decision(forest, leaves, slot, child, count)
        if forest.mover[child] == 0:
            back_up(forest, child, forest.own, child, work.carry)
        else:
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
