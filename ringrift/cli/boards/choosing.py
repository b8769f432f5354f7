"""Choosing a move by cells: first where it begins, then where it ends."""

from __future__ import annotations

from collections.abc import Sequence

from ringrift.draw.layout import layout
from ringrift.game import moves as m
from ringrift.game.config import GameConfig
from ringrift.game.play import Game
from ringrift.notation.cellsets import chosen_cells, region_cells

Stages = tuple[frozenset[int], ...]
"""Per step of a choice, the cells that fit a move."""


def stages(game: Game, move: int) -> Stages:
    """Return the cells to choose for a move: none for skips, one place, or origin and destination."""
    fields = m.unpack(move)
    if fields.kind in (m.PLACE_RING, m.ELIMINATE, m.FORCED_ELIMINATION):
        return (frozenset((fields.to,)),)
    if fields.kind in (m.MOVE_STACK, m.OVERTAKING_CAPTURE, m.CONTINUE_CAPTURE, m.RECOVERY_SLIDE):
        return frozenset((fields.source,)), frozenset((fields.to,))
    if fields.kind in (m.PROCESS_LINE, m.CHOOSE_LINE):
        return (frozenset(chosen_cells(game, move)),)
    if fields.kind == m.CHOOSE_TERRITORY:
        return (frozenset(region_cells(game, move)),)
    return ()


class Choice:
    """The moves of one position, narrowed down cell by cell."""

    def __init__(self, game: Game) -> None:
        self._stages = {move: stages(game, move) for move in game.legal().tolist()}
        self.picked: list[int] = []
        self._pick_only_origin()

    def fitting(self) -> list[int]:
        """Return the moves that fit the picked cells."""
        return [
            move
            for move, steps in self._stages.items()
            if len(steps) >= len(self.picked)
            and all(cell in step for cell, step in zip(self.picked, steps, strict=False))
        ]

    def plain(self) -> list[int]:
        """Return the moves without cells, such as skips."""
        return [move for move, steps in self._stages.items() if not steps]

    def cells(self) -> frozenset[int]:
        """Return the cells that can be picked next."""
        step = len(self.picked)
        open_steps = [self._stages[move][step] for move in self.fitting() if len(self._stages[move]) > step]
        return frozenset().union(*open_steps)

    def pick(self, cell: int) -> int | None:
        """Pick a cell; return the move if only one is left and all its cells are picked.

        A cell that does not fit begins the choice anew; `picked` stays empty when it fits nothing at all.
        """
        if cell not in self.cells():
            self.picked = []
        if cell not in self.cells():
            self._pick_only_origin()
            return None
        self.picked.append(cell)
        left = self.fitting()
        done = len(left) == 1 and len(self._stages[left[0]]) == len(self.picked)
        return left[0] if done else None

    def clear(self) -> None:
        """Forget what was picked."""
        self.picked = []
        self._pick_only_origin()

    def _pick_only_origin(self) -> None:
        """Where every move begins on one cell, begin there."""
        two = [steps for steps in self._stages.values() if len(steps) == 2]
        origins = {steps[0] for steps in two}
        if len(origins) == 1 and len(two) + len(self.plain()) == len(self._stages):
            self.picked = [next(iter(two[0][0]))]


def middle(config: GameConfig) -> int:
    """Return the cell in the middle of the board."""
    return config.cells // 2 + (0 if config.is_hex or config.size % 2 else config.size // 2)


def neighbour(board: str, cell: int, direction: str) -> int:
    """Return the cell that an arrow key leads to: left, right, up or down; the same one at the rim."""
    places = layout(board, "lined").places
    row, column = places[cell]
    rows = sorted({place[0] for place in places})
    if direction in ("left", "right"):
        found = cell + (1 if direction == "right" else -1)
        return found if 0 <= found < len(places) and places[found][0] == row else cell
    at = rows.index(row) + (1 if direction == "down" else -1)
    if not 0 <= at < len(rows):
        return cell
    beside = [number for number, place in enumerate(places) if place[0] == rows[at]]
    return min(beside, key=lambda number: abs(places[number][1] - column))


def following(cells: Sequence[int], cell: int) -> int:
    """Return the next of `cells` after `cell`, going round; `cell` itself when there are none."""
    later = [each for each in sorted(cells) if each > cell]
    return later[0] if later else min(cells, default=cell)
