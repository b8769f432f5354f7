"""What the rules need to know of the moves before a loaded position (section 2.2)."""

from __future__ import annotations

from dataclasses import dataclass

from ringrift.game.config import GameConfig
from ringrift.game.geometry import NONE
from ringrift.game.moves import MOVE_NAMES, NOT_ACTING
from ringrift.notation.cells import read_position
from ringrift.notation.fields import Fields

_LEGACY_NAMES = (
    "move_ring",
    "build_stack",
    "choose_line_reward",
    "process_territory_region",
    "line_formation",
    "territory_claim",
    "chain_capture",
)
_HOST_NAMES = ("resign", "timeout")
KNOWN_NAMES = MOVE_NAMES + _LEGACY_NAMES + _HOST_NAMES

_NOT_ACTING = frozenset(name for kind, name in enumerate(MOVE_NAMES) if NOT_ACTING >> kind & 1)
_LANDING = frozenset(
    ("move_stack", "overtaking_capture", "continue_capture_segment", "move_ring", "chain_capture")
)


@dataclass(frozen=True, slots=True)
class PastMove:
    """One entry of `moveHistory`, as far as it matters."""

    name: str
    player: int
    fields: Fields

    def cell(self, name: str, board: str) -> int:
        """Return the cell of a position field, `NONE` when absent."""
        if not self.fields.has(name):
            return NONE
        return read_position(board, self.fields.get(name), self.fields.at(name))


@dataclass(frozen=True, slots=True)
class Past:
    """Facts read from a move history; `player` is the seat to move now."""

    moves: tuple[PastMove, ...]
    player: int

    @property
    def last(self) -> PastMove | None:
        """The last move, if the seat to move made it."""
        if self.moves and self.moves[-1].player == self.player:
            return self.moves[-1]
        return None

    @property
    def last_actor(self) -> int:
        return self.moves[-1].player if self.moves else 0

    @property
    def moved(self) -> int:
        """Bit set of the seats that have moved."""
        seats = 0
        for move in self.moves:
            seats |= 1 << move.player
        return seats

    @property
    def swapped(self) -> bool:
        return any(move.name == "swap_sides" for move in self.moves)

    @property
    def tail(self) -> tuple[PastMove, ...]:
        """The unbroken run of moves by the seat to move, up to now."""
        start = len(self.moves)
        while start and self.moves[start - 1].player == self.player:
            start -= 1
        return self.moves[start:]

    @property
    def acted(self) -> bool:
        return any(move.name not in _NOT_ACTING for move in self.tail)

    @property
    def recovered(self) -> bool:
        return any(move.name == "recovery_slide" for move in self.tail)

    def placed_cell(self, board: str) -> int:
        """Cell of the stack placed by the last move, or `NONE`."""
        if self.last and self.last.name == "place_ring":
            return self.last.cell("to", board)
        return NONE

    def landing(self, board: str) -> int:
        """Cell on which the last move put its stack, or `NONE`."""
        if self.last and self.last.name in _LANDING:
            return self.last.cell("to", board)
        return NONE

    @property
    def claimed_region(self) -> bool:
        """True when the last move claimed a region, so that an elimination is owed."""
        last = self.last
        if last is None or last.name not in ("choose_territory_option", "process_territory_region"):
            return False
        return bool(last.fields.optional_array("disconnectedRegions"))

    @property
    def collapsed_line(self) -> bool:
        """True when the last move collapsed a whole run."""
        last = self.last
        if last is None or last.name not in ("process_line", "choose_line_option"):
            return False
        if last.name == "process_line" or not last.fields.has("collapsedMarkers"):
            return True
        lines = last.fields.entries("formedLines")
        run = lines[0].optional_array("positions") if lines else []
        return len(last.fields.array("collapsedMarkers")) >= len(run)


def read_past(state: Fields, config: GameConfig, player: int) -> Past:
    """Read `moveHistory`; an absent one is an empty one."""
    moves = tuple(
        PastMove(entry.choice("type", KNOWN_NAMES), entry.integer("player", 1, config.players), entry)
        for entry in state.entries("moveHistory")
    )
    return Past(moves, player)
