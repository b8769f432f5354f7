"""Cells, directions and constants of the four boards (RULES 1). Cells are numbered x-major."""

from __future__ import annotations

from functools import cache

SQUARE_RAYS = ((1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1))
SQUARE_AXES = ((1, 0), (1, 1), (0, 1), (1, -1))
ORTHOGONAL = ((1, 0), (0, 1), (-1, 0), (0, -1))
HEX_RAYS = ((1, 0), (0, 1), (-1, 1), (-1, 0), (0, -1), (1, -1))
HEX_AXES = ((1, 0), (1, -1), (0, -1))

# board: (square side or hex radius, rings per player)
SIZES = {"square8": (8, 18), "square19": (19, 72), "hex8": (4, 18), "hexagonal": (12, 96)}
CONFIGS = tuple((name, players) for name in SIZES for players in (2, 3, 4))


class Board:
    """Tables of one board; every table is indexed by cell number."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.hex = name.startswith("hex")
        self.extent, self.rings = SIZES[name]
        self.xy = self._cells()
        self.number = {xy: cell for cell, xy in enumerate(self.xy)}
        self.names = [f"{x},{y}" for x, y in self.xy]
        self.cell = {text: cell for cell, text in enumerate(self.names)}
        steps = HEX_RAYS if self.hex else SQUARE_RAYS
        self.rays = [tuple(self._ray(cell, step) for step in steps) for cell in range(len(self.xy))]
        self.steps = [tuple(ray[0] for ray in rays if ray) for rays in self.rays]
        axes = HEX_AXES if self.hex else SQUARE_AXES
        self.axes = [tuple(self._axis(cell, step) for step in axes) for cell in range(len(self.xy))]
        self.adjacent = self._neighbours(HEX_RAYS if self.hex else ORTHOGONAL)
        self.spread = self._neighbours(() if name == "hexagonal" else SQUARE_RAYS)

    def _cells(self) -> list[tuple[int, int]]:
        if not self.hex:
            return [(x, y) for x in range(self.extent) for y in range(self.extent)]
        span = range(-self.extent, self.extent + 1)
        return [(x, y) for x in span for y in span if abs(x + y) <= self.extent]

    def _ray(self, cell: int, step: tuple[int, int]) -> tuple[int, ...]:
        """Return the cells from `cell`, which is not among them, to the edge."""
        x, y = self.xy[cell]
        cells = []
        while (x + step[0], y + step[1]) in self.number:
            x, y = x + step[0], y + step[1]
            cells.append(self.number[x, y])
        return tuple(cells)

    def _axis(self, cell: int, step: tuple[int, int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the rays against and along a line axis."""
        return self._ray(cell, (-step[0], -step[1])), self._ray(cell, step)

    def _neighbours(self, offsets: tuple[tuple[int, int], ...]) -> list[tuple[int, ...]]:
        number = self.number
        return [
            tuple(number[x + dx, y + dy] for dx, dy in offsets if (x + dx, y + dy) in number)
            for x, y in self.xy
        ]

    def line_length(self, players: int) -> int:
        return 3 if players > 2 and self.name in ("square8", "hex8") else 4

    def ring_threshold(self, players: int) -> int:
        """Return round(rings x (2/3 + (n-1)/3)); all board sizes divide by three."""
        return self.rings * (players + 1) // 3

    def territory_minimum(self, players: int) -> int:
        return len(self.xy) // players + 1


@cache
def board_named(name: str) -> Board:
    return Board(name)
