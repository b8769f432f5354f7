"""A position: dictionaries from cell to content, counters in lists indexed by seat (entry 0 unused)."""

from __future__ import annotations

from collections.abc import Iterable

from tests.oracle.board import board_named


class State:
    """Everything of RULES 2. A stack is the list of its ring owners from bottom to top."""

    def __init__(self, board: str, players: int, swap: bool = False) -> None:
        self.board = board_named(board)
        self.players = players
        self.seats = range(1, players + 1)
        self.line_length = self.board.line_length(players)
        self.ring_threshold = self.board.ring_threshold(players)
        self.territory_minimum = self.board.territory_minimum(players)
        self.stacks: dict[int, list[int]] = {}
        self.markers: dict[int, int] = {}
        self.collapsed: dict[int, int] = {}
        self.hand = [0] + [self.board.rings] * players
        self.eliminated = [0] * (players + 1)
        self.territory = [0] * (players + 1)
        self.phase = "ring_placement"
        self.player = 1
        self.must_move: int | None = None
        self.chain: int | None = None
        self.pending: str | None = None
        self.regions: list[frozenset[int]] | None = None
        self.acted = False
        self.recovered = False
        self.swap_rule = swap and players == 2
        self.swapped = False
        self.opened = [False] * (players + 1)
        self.winner: int | None = None
        self.reason: str | None = None
        self.lps_round = self.lps_first = self.lps_streak = self.lps_exclusive = 0
        self.lps_mask = [-1] * (players + 1)

    @property
    def over(self) -> bool:
        return self.phase == "game_over"

    def controlled(self, seat: int) -> list[int]:
        return [cell for cell, rings in self.stacks.items() if rings[-1] == seat]

    def controls(self, seat: int) -> bool:
        return any(rings[-1] == seat for rings in self.stacks.values())

    def buried(self, seat: int) -> list[int]:
        """Return the cells of stacks in which a ring of the seat lies below the top."""
        return [cell for cell, rings in self.stacks.items() if seat in rings[:-1]]

    def any_rings(self, seat: int) -> bool:
        return self.hand[seat] > 0 or any(seat in rings for rings in self.stacks.values())

    def recovery_eligible(self, seat: int) -> bool:
        return seat in self.markers.values() and not self.controls(seat) and bool(self.buried(seat))

    def collapse(self, cells: Iterable[int], seat: int) -> None:
        """Make cells collapsed spaces of a seat; what lay there is gone."""
        for cell in cells:
            self.markers.pop(cell, None)
            self.stacks.pop(cell, None)
            self.collapsed[cell] = seat
            self.territory[seat] += 1

    def remove_top(self, cell: int, count: int = 1) -> None:
        """Eliminate rings from the top of a stack, credited to the player to move."""
        rings = self.stacks[cell]
        del rings[len(rings) - count :]
        if not rings:
            del self.stacks[cell]
        self.eliminated[self.player] += count

    def extract(self, cell: int) -> None:
        """Eliminate the bottom-most ring of the player to move from a stack."""
        rings = self.stacks[cell]
        rings.remove(self.player)
        if not rings:
            del self.stacks[cell]
        self.eliminated[self.player] += 1


def cap_height(rings: list[int]) -> int:
    """Return how many rings from the top down have the colour of the top ring."""
    top, cap = rings[-1], 0
    for ring in reversed(rings):
        if ring != top:
            break
        cap += 1
    return cap
