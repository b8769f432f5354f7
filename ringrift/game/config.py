"""The twelve configs: a board and a player count, with every constant that follows from them.

Pure Python on purpose: the controller and the terminal use it without numpy.
Source of the numbers: the rules document, sections 1.1 (boards), 1.3 (lines), 1.4 (thresholds).
"""

from __future__ import annotations

from dataclasses import dataclass

from ringrift.errors import UnknownConfig

SQUARE8, SQUARE19, HEX8, HEXAGONAL = range(4)
BOARDS = ("square8", "square19", "hex8", "hexagonal")
PLAYER_COUNTS = (2, 3, 4)

_SIZE = {"square8": 8, "square19": 19, "hex8": 9, "hexagonal": 25}
_CELLS = {"square8": 64, "square19": 361, "hex8": 61, "hexagonal": 469}
_RINGS = {"square8": 18, "square19": 72, "hex8": 18, "hexagonal": 96}


@dataclass(frozen=True, slots=True, order=True)
class GameConfig:
    """One board with one player count, for example `hex8_3p`."""

    board: str
    players: int

    def __post_init__(self) -> None:
        if self.board not in BOARDS:
            raise UnknownConfig(f"unknown board {self.board!r}", hint=f"use one of {', '.join(BOARDS)}")
        if self.players not in PLAYER_COUNTS:
            raise UnknownConfig(f"unknown player count {self.players!r}", hint="use 2, 3 or 4")

    @classmethod
    def parse(cls, key: str) -> GameConfig:
        """Read a key such as `square19_2p`; raise `UnknownConfig` for anything else."""
        board, _, players = key.rpartition("_")
        if board in BOARDS and players in ("2p", "3p", "4p"):
            return cls(board, int(players[0]))
        known = ", ".join(config.key for config in ALL_CONFIGS)
        raise UnknownConfig(f"unknown config {key!r}", hint=f"use one of {known}")

    @property
    def key(self) -> str:
        return f"{self.board}_{self.players}p"

    @property
    def is_hex(self) -> bool:
        return self.board in ("hex8", "hexagonal")

    @property
    def size(self) -> int:
        """Bounding width on the wire: 8, 19, 9 or 25."""
        return _SIZE[self.board]

    @property
    def cells(self) -> int:
        return _CELLS[self.board]

    @property
    def rings_per_player(self) -> int:
        return _RINGS[self.board]

    @property
    def line_length(self) -> int:
        """R120: three markers on the small boards with three or four players, else four."""
        return 3 if self.board in ("square8", "hex8") and self.players > 2 else 4

    @property
    def ring_threshold(self) -> int:
        """R061: round(rings * (2/3 + (n-1)/3)), exact in integers."""
        return (self.rings_per_player * (self.players + 1)) // 3

    @property
    def territory_minimum(self) -> int:
        """R062: floor(cells / n) + 1."""
        return self.cells // self.players + 1

    @property
    def legacy_territory(self) -> int:
        """Half of the board, for states that carry no territory minimum."""
        return self.cells // 2 + 1


ALL_CONFIGS = tuple(GameConfig(board, players) for board in BOARDS for players in PLAYER_COUNTS)
