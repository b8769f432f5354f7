"""Phases of a turn, states of a game and their names on the wire."""

from __future__ import annotations

PLACEMENT, MOVEMENT, CAPTURE, CHAIN, LINES, TERRITORY, FORCED, OVER = range(8)

PHASE_NAMES = (
    "ring_placement",
    "movement",
    "capture",
    "chain_capture",
    "line_processing",
    "territory_processing",
    "forced_elimination",
    "game_over",
)

ACTIVE, COMPLETED, ABANDONED, WAITING, PAUSED = range(5)
"""Only an active game has legal moves. Completed and abandoned games are over; hosts set the last two."""

STATUS_NAMES = ("active", "completed", "abandoned", "waiting", "paused")

NOTHING_OWED, OWED_LINE, OWED_TERRITORY, OWED_RECOVERY = range(4)
"""What the mover still has to eliminate before anything else (field `pending`)."""

PENDING_NAMES = (None, "line", "territory", "recovery")

(
    RUNNING,
    RING_ELIMINATION,
    TERRITORY_CONTROL,
    LAST_PLAYER_STANDING,
    SOLE_SURVIVOR,
    STALEMATE,
) = range(6)
"""Why a game ended (field `reason`)."""

REASON_NAMES = (
    None,
    "ring_elimination",
    "territory_control",
    "last_player_standing",
    "sole_survivor",
    "stalemate",
)
