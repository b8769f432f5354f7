"""A move as one int64.

| bits | field | meaning |
|---|---|---|
| 0-4 | type | one of the constants below |
| 5-13 | from | source cell; moves with a single cell carry it here and in `to` |
| 14-22 | target | captured stack |
| 23-31 | to | destination, landing or chosen cell |
| 32-36 | count | rings placed, run length of a line, recovery option, or elimination context |
| 37-45 | aux | see below |
| 46-54 | extraction | stack that pays for a recovery slide, `NONE` if the slide is free |

Lines: `from` = `to` = first cell of the run, `count` = its length, `aux` = axis + 4 * window, where window 0
stands for the whole run and window w for the required number of cells from the w-th cell (counted from 1) on.
Recovery: `count` = option, `aux` = mode + 4 * axis + 16 * start of the collapsed window (0-based, option 2).
Region: `from` = `to` = its smallest cell, `aux` = family: 0 = bounded by collapsed spaces alone, else the
border's colour. Elimination: `count` = what is owed (`OWED_*` of `phases`).
"""

from __future__ import annotations

from typing import NamedTuple

from ringrift.game._jit import jit

(
    PLACE_RING,
    SKIP_PLACEMENT,
    NO_PLACEMENT,
    SWAP_SIDES,
    MOVE_STACK,
    OVERTAKING_CAPTURE,
    CONTINUE_CAPTURE,
    SKIP_CAPTURE,
    RECOVERY_SLIDE,
    SKIP_RECOVERY,
    NO_MOVEMENT,
    PROCESS_LINE,
    CHOOSE_LINE,
    NO_LINE,
    CHOOSE_TERRITORY,
    SKIP_TERRITORY,
    NO_TERRITORY,
    ELIMINATE,
    FORCED_ELIMINATION,
) = range(19)

MOVE_NAMES = (
    "place_ring",
    "skip_placement",
    "no_placement_action",
    "swap_sides",
    "move_stack",
    "overtaking_capture",
    "continue_capture_segment",
    "skip_capture",
    "recovery_slide",
    "skip_recovery",
    "no_movement_action",
    "process_line",
    "choose_line_option",
    "no_line_action",
    "choose_territory_option",
    "skip_territory_processing",
    "no_territory_action",
    "eliminate_rings_from_stack",
    "forced_elimination",
)

NOT_ACTING = sum(
    1 << kind
    for kind in (
        NO_PLACEMENT, NO_MOVEMENT, NO_LINE, NO_TERRITORY,
        SKIP_PLACEMENT, SKIP_CAPTURE, SKIP_RECOVERY, SKIP_TERRITORY,
    )
)  # fmt: skip
"""Bit set of the move types after which the mover has not acted (section 2.2)."""

LARGEST_MOVE = (1 << 55) - 1
"""A packed move is no larger."""

RECOVER_LINE, RECOVER_FALLBACK, RECOVER_STRIKE = range(3)
RECOVERY_MODES = ("line", "fallback", "stack_strike")


@jit
def pack(kind, source, target, to, count, aux, extraction):
    """Build a move from its seven fields."""
    return kind | source << 5 | target << 14 | to << 23 | count << 32 | aux << 37 | extraction << 46


@jit
def at_cell(kind, cell, count):
    """Build a move that names a single cell."""
    return kind | cell << 5 | cell << 23 | count << 32


@jit
def move_type(move):
    return move & 31


@jit
def move_from(move):
    return move >> 5 & 511


@jit
def move_target(move):
    return move >> 14 & 511


@jit
def move_to(move):
    return move >> 23 & 511


@jit
def move_count(move):
    return move >> 32 & 31


@jit
def move_aux(move):
    return move >> 37 & 511


@jit
def move_extraction(move):
    return move >> 46 & 511


@jit
def line_axis(move):
    """Axis of a line move."""
    return move >> 37 & 3


@jit
def line_window(move):
    """Window of a line move: 0 = the whole run, w = from the w-th cell on."""
    return move >> 39 & 127


@jit
def recovery_mode(move):
    return move >> 37 & 3


@jit
def recovery_axis(move):
    return move >> 39 & 3


@jit
def recovery_window(move):
    """First collapsed cell of recovery option 2, counted from 0 along the run."""
    return move >> 41 & 31


class Unpacked(NamedTuple):
    """The seven fields of a move."""

    kind: int
    source: int
    target: int
    to: int
    count: int
    aux: int
    extraction: int


def unpack(move: int) -> Unpacked:
    """Return all fields at once; from plain Python this is faster than the compiled accessors."""
    return Unpacked(
        move & 31,
        move >> 5 & 511,
        move >> 14 & 511,
        move >> 23 & 511,
        move >> 32 & 31,
        move >> 37 & 511,
        move >> 46 & 511,
    )


def with_extraction(move: int, cell: int) -> int:
    """Return a recovery slide that another stack pays for."""
    return move & ~(511 << 46) | cell << 46


def with_window(move: int, start: int) -> int:
    """Return a recovery slide, option 2, with another window."""
    return move & ~(31 << 41) | start << 41
