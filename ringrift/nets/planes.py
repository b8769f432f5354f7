"""What the network sees: the numbering of its input planes, scalars and move kinds.

All seats are relative: seat k is the k-th after the mover in turn order, so 0 is the mover itself. Counts are
scaled to about 0..1. A change here changes the meaning of every checkpoint, so it changes the counts below,
which every checkpoint records, or `FORMAT` in `nets.checkpoint`.

| plane | per cell |
|---|---|
| 0 | 1 on the board, 0 in the corners of a hex board's grid |
| 1-4 | 1 where seat k controls a stack |
| 5-8 | 1 where seat k has a marker |
| 9-12 | 1 where seat k owns a collapsed space |
| 13-16 | buried rings of seat k, divided by 4 |
| 17, 18 | height and cap of the stack, divided by 8 |
| 19-21 | 1 where the height is at least 2, 3, 4 |
| 22, 23 | 1 where the cap is at least 2, 3 |
| 24 | 1 on the stack that was placed this turn or that is in the middle of a capture |

| scalar | |
|---|---|
| 0-3 | 1 if seat k exists |
| 4-7 | rings in hand / rings per player |
| 8-11 | eliminated rings / ring threshold |
| 12-15 | territory / territory threshold |
| 16-19 | stacks controlled / rings per player |
| 20-23 | own rings in stacks / rings per player |
| 24-27 | completed rounds as the only seat with real actions / rounds required |
| 28-34 | phase, one-hot, from ring placement to forced elimination |
| 35-37 | a line, territory or recovery elimination is owed |
| 38 | 1 if lines need three markers instead of four |
| 39, 40 | the pie rule may still be used; it was used |
| 41 | 1 if the mover has acted this turn |
| 42 | 1 on hex boards |

A move's kind is `8 * type + detail`: the number placed, what an elimination pays for, mode + 4 * free for a
recovery, surplus length (at most 3) + 4 * "only a window" for a line; else 0. Its cells by role are:
0 from, 1 captured stack, 2 to (lines: first collapsed cell), 3 extraction stack (lines: last collapsed cell).
"""

from __future__ import annotations

SEATS = 4

(MASK, STACKS, MARKERS, COLLAPSED, BURIED, HEIGHT, CAP, TALL, THICK, ACTIVE_STACK, PLANES) = (
    0, 1, 5, 9, 13, 17, 18, 19, 22, 24, 25,
)  # fmt: skip

(
    EXISTS,
    HAND,
    ELIMINATED,
    TERRITORY,
    CONTROLLED,
    RINGS,
    LONE,
    PHASE,
    OWED,
    SHORT_LINES,
    SWAP_OPEN,
    SWAP_USED,
    ACTED,
    HEXAGONS,
    SCALARS,
) = (0, 4, 8, 12, 16, 20, 24, 28, 35, 38, 39, 40, 41, 42, 43)

DETAILS = 8
MOVE_KINDS = 19 * DETAILS
MOVE_ROLES = 4
