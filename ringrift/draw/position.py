"""A position as plain data for drawing: what stands on each cell, and which cells the last move touched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ringrift.game import moves as m
from ringrift.game.geometry import NONE
from ringrift.game.play import Game
from ringrift.notation.canonical import stack_rings
from ringrift.notation.cellsets import chosen_cells, region_cells

Kind = Literal["empty", "stack", "marker", "territory"]


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands on a cell. `owner` is the controller, marker or territory owner; `rings` are top first."""

    kind: Kind = "empty"
    owner: int = 0
    rings: tuple[int, ...] = ()

    @property
    def height(self) -> int:
        return len(self.rings)

    @property
    def cap(self) -> int:
        """Length of the run of the controller's rings from the top."""
        return next((depth for depth, ring in enumerate(self.rings) if ring != self.owner), len(self.rings))


EMPTY = Cell()


@dataclass(frozen=True, slots=True)
class Marks:
    """Cells to show apart, by number: a move's origin and destination, and others that it changed."""

    origin: int | None = None
    to: int | None = None
    others: frozenset[int] = frozenset()


UNMARKED = Marks()


def cells_of(game: Game) -> list[Cell]:
    """Return what stands on each cell, in the order of cell numbers."""
    position = game.states[0]
    heights, tops = position["height"].tolist(), position["top"].tolist()
    markers, land = position["marker"].tolist(), position["collapsed"].tolist()
    found = [EMPTY] * game.geo.n_cells
    for cell in range(game.geo.n_cells):
        if heights[cell]:
            found[cell] = Cell("stack", tops[cell], tuple(stack_rings(game, cell)))
        elif markers[cell]:
            found[cell] = Cell("marker", markers[cell])
        elif land[cell]:
            found[cell] = Cell("territory", land[cell])
    return found


def marks_of(before: Game, move: int) -> Marks:
    """Return the cells that a move touches; `before` is the position in which it is legal."""
    fields = m.unpack(move)
    kind = fields.kind
    if kind in (m.PROCESS_LINE, m.CHOOSE_LINE):
        return Marks(others=frozenset(chosen_cells(before, move)))
    if kind == m.CHOOSE_TERRITORY:
        return Marks(others=frozenset(region_cells(before, move)))
    if kind in (m.PLACE_RING, m.ELIMINATE, m.FORCED_ELIMINATION):
        return Marks(to=fields.to)
    if kind in (m.OVERTAKING_CAPTURE, m.CONTINUE_CAPTURE):
        return Marks(fields.source, fields.to, frozenset((fields.target,)))
    if kind == m.MOVE_STACK:
        return Marks(fields.source, fields.to)
    if kind == m.RECOVERY_SLIDE:
        paid = frozenset(() if fields.extraction == NONE else (fields.extraction,))
        return Marks(fields.source, fields.to, paid)
    return UNMARKED
