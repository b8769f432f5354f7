"""The trees of a batch of games as dense arrays that the caller allocates once.

Nodes of game g are numbered from `g * nodes_per_game`; the first is its root. A node is a decision or the
end of the game: plies without a choice are played when the node is made. A node keeps at most `width` edges,
those with the highest prior. Values are vectors over absolute seats as seen by the players who sit there at
that node: where the pie rule exchanged seats between a node and its parent, components 1 and 2 change places
on the way up.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ringrift.game.config import BOARDS
from ringrift.game.geometry import Geometry
from ringrift.game.state import Scratch, new_positions, new_scratch

SEATS = 4

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class Forest(NamedTuple):
    """Trees of all games; N nodes, K edges a node."""

    states: npt.NDArray[np.void]
    """(N,) the positions."""
    mover: Ints
    """(N,) seat to move, 0 when the game is over."""
    parent: Ints
    """(N,) -1 for roots."""
    visits: Ints
    """(N,) simulations that passed through or ended here, the node's own evaluation included."""
    total: Floats
    """(N, 4) sum of the values that were backed up through the node."""
    own: Floats
    """(N, 4) the node's own evaluation."""
    edges: Ints
    """(N,) number of edges kept."""
    moves: Ints
    """(N, K) move of each edge."""
    prior: Floats
    """(N, K) natural logarithm of the prior probability of each edge."""
    child: Ints
    """(N, K) -1 until visited."""
    used: Ints
    """(games,) nodes made so far."""


class Leaves(NamedTuple):
    """Nodes that wait for an evaluation; capacity L."""

    node: Ints
    """(L,) node of each leaf."""
    offsets: Ints
    """(L + 1,) where each leaf's moves begin."""
    moves: Ints
    """(flat,) legal moves of all leaves."""
    logits: Floats
    """(flat,) their policy logits, written by the evaluator."""
    values: Floats
    """(L, 4) value over absolute seats, written by the evaluator."""


class Roots(NamedTuple):
    """What a search remembers of the roots of G games, with all legal moves and not only the kept edges."""

    offsets: Ints
    """(G + 1,) where each root's moves begin."""
    moves: Ints
    """(flat,) legal moves."""
    prior: Floats
    """(flat,) natural logarithm of the prior probabilities."""
    noise: Floats
    """(flat,) Gumbel noise of each move."""
    origin: Ints
    """(G, K) index into the flat arrays of each edge of the root."""
    active: Ints
    """(G, K) edges still considered, best first."""
    n_active: Ints
    """(G,) how many."""


class Workspace(NamedTuple):
    """Per-thread working memory of the search functions; any content between calls."""

    scratch: Scratch
    """Working memory of the rules."""
    carry: Floats
    """(4,) a value on its way up."""
    score: Floats
    """(K,) one number per edge."""
    picked: Ints
    """(K,) edges or moves, best first."""
    key: Floats
    """(K,) their keys."""
    probability: Floats
    """(max_moves,) one number per legal move."""


def new_forest(games: int, nodes_per_game: int, width: int) -> Forest:
    count = games * nodes_per_game
    return Forest(
        states=new_positions(count),
        mover=np.zeros(count, np.int64),
        parent=np.zeros(count, np.int64),
        visits=np.zeros(count, np.int64),
        total=np.zeros((count, SEATS)),
        own=np.zeros((count, SEATS)),
        edges=np.zeros(count, np.int64),
        moves=np.zeros((count, width), np.int64),
        prior=np.zeros((count, width)),
        child=np.zeros((count, width), np.int64),
        used=np.zeros(games, np.int64),
    )


def new_leaves(geo: Geometry, count: int) -> Leaves:
    """Room for up to `count` leaves; large legal sets may fill it earlier, one leaf always fits."""
    usual = 128 if BOARDS[geo.board] in ("square8", "hex8") else 512
    flat = geo.max_moves + count * usual
    return Leaves(
        node=np.zeros(count, np.int64),
        offsets=np.zeros(count + 1, np.int64),
        moves=np.zeros(flat, np.int64),
        logits=np.zeros(flat),
        values=np.zeros((count, SEATS)),
    )


def new_workspace(geo: Geometry, width: int) -> Workspace:
    return Workspace(
        scratch=new_scratch(BOARDS[geo.board]),
        carry=np.zeros(SEATS),
        score=np.zeros(width),
        picked=np.zeros(width, np.int64),
        key=np.zeros(width),
        probability=np.zeros(geo.max_moves),
    )
