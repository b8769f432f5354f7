"""Positions and legal moves as network inputs, written by compiled code into buffers that torch views.

The numbering of planes, scalars and kinds is in `nets.planes`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from ringrift.game._jit import jit
from ringrift.game.cellset import cell_beyond
from ringrift.game.geometry import NONE, geometry
from ringrift.game.moves import (
    CHOOSE_LINE,
    CHOOSE_TERRITORY,
    CONTINUE_CAPTURE,
    ELIMINATE,
    FORCED_ELIMINATION,
    MOVE_STACK,
    OVERTAKING_CAPTURE,
    PLACE_RING,
    PROCESS_LINE,
    RECOVERY_SLIDE,
    line_axis,
    line_window,
    move_count,
    move_extraction,
    move_from,
    move_target,
    move_to,
    move_type,
    recovery_mode,
)
from ringrift.nets import planes as at
from ringrift.nets.grid import grid

if TYPE_CHECKING:
    from ringrift.nets.network import Inputs


class Buffers(NamedTuple):
    """Arrays behind one batch of inputs; shapes as in `network.Inputs`."""

    planes: npt.NDArray[np.float32]
    scalars: npt.NDArray[np.float32]
    kinds: npt.NDArray[np.int64]
    cells: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]


def new_buffers(board: str, positions: int, moves: int) -> Buffers:
    """Allocate room for that many positions and moves."""
    table = grid(board)
    return Buffers(
        planes=np.zeros((positions, table.height, table.width, at.PLANES), np.float32),
        scalars=np.zeros((positions, at.SCALARS), np.float32),
        kinds=np.zeros(moves, np.int64),
        cells=np.zeros((moves, at.MOVE_ROLES), np.int64),
        rows=np.zeros(moves, np.int64),
    )


def as_inputs(buffers: Buffers, positions: int, moves: int) -> Inputs:
    """Return torch views of the first `positions` and `moves` entries; nothing is copied."""
    # Not above: a process that computes its nets with onnxruntime encodes without torch.
    import torch

    from ringrift.nets.network import Inputs

    views = (array[:positions] for array in buffers[:2])
    lists = (array[:moves] for array in buffers[2:])
    return Inputs(*(torch.from_numpy(array) for array in (*views, *lists)))


class Encoder:
    """Encodes batches of one board into the same memory: what it returned before is overwritten."""

    def __init__(self, board: str) -> None:
        self._board, self._geo, self._cells = board, geometry(board), grid(board).cells
        self._buffers = new_buffers(board, 0, 0)

    def encode(
        self,
        states: npt.NDArray[np.void],
        nodes: npt.NDArray[np.int64],
        moves: npt.NDArray[np.int64],
        offsets: npt.NDArray[np.int64],
        orientations: npt.NDArray[np.int64] | None = None,
    ) -> Inputs:
        """Encode the active positions `states[nodes]`; position i has `moves[offsets[i]:offsets[i + 1]]`.

        `orientations[i]` below `grid.symmetries(board)` turns position and moves together (training data
        augmentation); None means as they are.
        """
        if orientations is None:
            orientations = np.zeros(len(nodes), np.int64)
        if len(nodes) > len(self._buffers.planes) or len(moves) > len(self._buffers.kinds):
            self._buffers = new_buffers(self._board, len(nodes), len(moves) * 5 // 4)
        encode_into(self._geo, self._cells, orientations, states, nodes, moves, offsets, self._buffers)
        return as_inputs(self._buffers, len(nodes), len(moves))


def encode(
    board: str,
    states: npt.NDArray[np.void],
    moves: npt.NDArray[np.int64],
    offsets: npt.NDArray[np.int64],
    orientations: npt.NDArray[np.int64] | None = None,
) -> Inputs:
    """Encode all of `states` once, see `Encoder.encode`."""
    return Encoder(board).encode(states, np.arange(len(states)), moves, offsets, orientations)


@jit
def encode_into(geo, grid_cells, orientations, states, nodes, moves, offsets, buffers):
    """Encode the positions `states[nodes[row]]` and their moves into the first rows of the buffers."""
    area = buffers.planes.shape[1] * buffers.planes.shape[2]
    planes = buffers.planes.reshape((buffers.planes.shape[0], area, buffers.planes.shape[3]))
    for row in range(nodes.shape[0]):
        i = nodes[row]
        turned = grid_cells[orientations[row]]
        encode_cells(geo, turned, states, i, planes, row)
        encode_scalars(geo, states, i, buffers.scalars, row)
        for j in range(offsets[row], offsets[row + 1]):
            buffers.rows[j] = row
            buffers.kinds[j] = move_kind(states, i, moves[j])
            encode_roles(geo, turned, states, i, moves[j], buffers.cells, j)


@jit
def to_absolute(states, nodes, relative, absolute):
    """Write values over relative seats `relative` (n, 4) to `absolute` (n, 4), column = seat - 1."""
    for row in range(nodes.shape[0]):
        for k in range(at.SEATS):
            absolute[row, k] = 0.0
        for seat in range(1, states[nodes[row]]["players"] + 1):
            absolute[row, seat - 1] = relative[row, relative_seat(states, nodes[row], seat)]


@jit
def relative_seat(states, i, seat):
    """Return how many turns after the mover that seat comes: 0 for the mover."""
    turns = seat - states[i]["player"]
    return turns if turns >= 0 else turns + states[i]["players"]  # a remainder would cost more than all else


@jit
def encode_cells(geo, turned, states, i, planes, row):
    """Write all planes of position i into `planes[row]` (cells, planes)."""
    planes[row] = np.float32(0.0)
    s = states[i]
    for cell in range(geo.n_cells):
        spot = turned[cell]
        planes[row, spot, at.MASK] = 1.0
        marker, collapsed = np.int64(s["marker"][cell]), np.int64(s["collapsed"][cell])
        if marker > 0:
            planes[row, spot, at.MARKERS + relative_seat(states, i, marker)] = 1.0
        elif collapsed > 0:
            planes[row, spot, at.COLLAPSED + relative_seat(states, i, collapsed)] = 1.0
        elif s["height"][cell] > 0:
            encode_stack(states, i, cell, planes, row, spot)
    active = s["must_move"] if s["chain_cell"] == NONE else s["chain_cell"]
    if active != NONE:
        planes[row, turned[active], at.ACTIVE_STACK] = 1.0


@jit
def encode_stack(states, i, cell, planes, row, spot):
    """Write the planes of the stack on `cell`."""
    height = int(states[i]["height"][cell])
    cap = int(states[i]["cap"][cell])
    planes[row, spot, at.STACKS + relative_seat(states, i, int(states[i]["top"][cell]))] = 1.0
    planes[row, spot, at.HEIGHT] = height / 8.0
    planes[row, spot, at.CAP] = cap / 8.0
    for step in range(at.THICK - at.TALL):
        planes[row, spot, at.TALL + step] = 1.0 if height >= step + 2 else 0.0
    for step in range(at.ACTIVE_STACK - at.THICK):
        planes[row, spot, at.THICK + step] = 1.0 if cap >= step + 2 else 0.0
    buried = states[i]["rings"][cell] >> 2
    for _ in range(height - 1):
        planes[row, spot, at.BURIED + relative_seat(states, i, (buried & 3) + 1)] += 0.25
        buried >>= 2


@jit
def encode_scalars(geo, states, i, scalars, row):
    """Write all scalars of position i into `scalars[row]`."""
    scalars[row] = np.float32(0.0)
    rings = states[i]["rings_per_player"]
    for seat in range(1, states[i]["players"] + 1):
        k = relative_seat(states, i, seat)
        scalars[row, at.EXISTS + k] = 1.0
        scalars[row, at.HAND + k] = states[i]["hand"][seat] / rings
        scalars[row, at.ELIMINATED + k] = states[i]["eliminated"][seat] / states[i]["ring_threshold"]
        scalars[row, at.TERRITORY + k] = states[i]["territory"][seat] / states[i]["territory_threshold"]
        scalars[row, at.CONTROLLED + k] = states[i]["stacks"][seat] / rings
        scalars[row, at.RINGS + k] = states[i]["on_board"][seat] / rings
    if states[i]["lps_exclusive"] > 0:
        alone = relative_seat(states, i, states[i]["lps_exclusive"])
        scalars[row, at.LONE + alone] = states[i]["lps_streak"] / states[i]["lps_required"]
    scalars[row, at.PHASE + states[i]["phase"]] = 1.0
    if states[i]["pending"] > 0:
        scalars[row, at.OWED + states[i]["pending"] - 1] = 1.0
    scalars[row, at.SHORT_LINES] = 1.0 if states[i]["line_length"] == 3 else 0.0
    moved_already = states[i]["moved"] >> 2 & 1
    scalars[row, at.SWAP_OPEN] = states[i]["swap_rule"] * (1 - states[i]["swapped"]) * (1 - moved_already)
    scalars[row, at.SWAP_USED] = states[i]["swapped"]
    scalars[row, at.ACTED] = states[i]["acted"]
    scalars[row, at.HEXAGONS] = 1.0 if geo.n_dirs == 6 else 0.0


@jit
def move_kind(states, i, move):
    """Return the move's kind, `DETAILS * type + detail`."""
    kind = move_type(move)
    count = move_count(move)
    detail = np.int64(0)
    if kind in (PLACE_RING, ELIMINATE):
        detail = count
    elif kind == RECOVERY_SLIDE:
        detail = recovery_mode(move) + 4 * (count - 1)
    elif kind in (PROCESS_LINE, CHOOSE_LINE):
        detail = min(count - states[i]["line_length"], 3) + (4 if line_window(move) > 0 else 0)
    return at.DETAILS * kind + detail


@jit
def encode_roles(geo, turned, states, i, move, cells, row):
    """Write the grid cells of a move by role into `cells[row]`, -1 where a role is empty."""
    kind = move_type(move)
    source = captured = to = last = np.int64(NONE)
    if kind in (MOVE_STACK, RECOVERY_SLIDE, PLACE_RING, CHOOSE_TERRITORY):
        source, to = move_from(move), move_to(move)
        if kind == RECOVERY_SLIDE:
            last = move_extraction(move)
    elif kind in (OVERTAKING_CAPTURE, CONTINUE_CAPTURE):
        source, captured, to = move_from(move), move_target(move), move_to(move)
    elif kind in (ELIMINATE, FORCED_ELIMINATION):
        to = move_to(move)
    elif kind in (PROCESS_LINE, CHOOSE_LINE):
        window = line_window(move)
        first = max(window - 1, 0)
        length = move_count(move) if window == 0 else states[i]["line_length"]
        source, to = move_from(move), line_cell(geo, move, first)
        last = line_cell(geo, move, first + length - 1)
    cells[row, 0] = grid_cell(turned, source)
    cells[row, 1] = grid_cell(turned, captured)
    cells[row, 2] = grid_cell(turned, to)
    cells[row, 3] = grid_cell(turned, last)


@jit
def line_cell(geo, move, steps):
    """Return the cell that many steps along the run of a line move."""
    return cell_beyond(geo, move_from(move), line_axis(move), steps)


@jit
def grid_cell(turned, cell):
    return turned[cell] if cell != NONE else -1
