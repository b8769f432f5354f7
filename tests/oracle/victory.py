"""The end of a game (RULES 5): the tests of a turn's end, and last player standing by rounds."""

from __future__ import annotations

from tests.oracle.movement import has_real_action, placements
from tests.oracle.state import State

ROUNDS_REQUIRED = 3


def end(state: State, winner: int, reason: str) -> None:
    state.winner, state.reason, state.phase = winner, reason, "game_over"
    state.must_move = state.chain = state.pending = None


def check_victory(state: State) -> None:
    """End the game if a test of 5.1 holds."""
    for seat in state.seats:
        if state.eliminated[seat] >= state.ring_threshold:
            return end(state, seat, "ring_elimination")
    for seat in state.seats:
        own = state.territory[seat]
        if own >= state.territory_minimum and own > sum(state.territory) - own:
            return end(state, seat, "territory_control")
    controllers = {rings[-1] for rings in state.stacks.values()}
    if len(controllers) == 1:
        (seat,) = controllers
        if not any(state.any_rings(other) for other in state.seats if other != seat):
            return end(state, seat, "sole_survivor")
    if not state.stacks and not any(True for seat in state.seats for _ in placements(state, seat)):
        return end(state, stalemate_winner(state), "stalemate")
    return None


def stalemate_winner(state: State) -> int:
    return max(state.seats, key=lambda seat: (*ladder(state, seat), -seat))


def ladder(state: State, seat: int) -> tuple[int, int, int, bool]:
    """Return the rungs of 5.3: territory, eliminated with hand, markers, whether the seat acted last."""
    markers = sum(1 for owner in state.markers.values() if owner == seat)
    return (
        state.territory[seat],
        state.eliminated[seat] + state.hand[seat],
        markers,
        seat == state.player,
    )


def begin_turn(state: State) -> None:
    """Update the counters of last player standing for the new player to move, then test them."""
    c, mask = state.player, state.lps_mask
    active = [seat for seat in state.seats if state.any_rings(seat)]
    if c not in active:
        return
    if state.lps_first not in active:
        state.lps_round += 1
        state.lps_first = c
        mask[:] = [-1] * len(mask)
        if state.lps_exclusive not in active:
            state.lps_streak = state.lps_exclusive = 0
    elif c == state.lps_first and any(bit >= 0 for bit in mask):
        _close_round(state, [seat for seat in active if mask[seat] == 1])
    mask[c] = int(has_real_action(state, c))
    if (
        state.lps_streak >= ROUNDS_REQUIRED
        and c == state.lps_exclusive
        and mask[c]
        and not any(has_real_action(state, seat) for seat in active if seat != c)
    ):
        end(state, c, "last_player_standing")


def _close_round(state: State, able: list[int]) -> None:
    if len(able) != 1:
        state.lps_streak = state.lps_exclusive = 0
    elif able[0] == state.lps_exclusive:
        state.lps_streak += 1
    else:
        state.lps_exclusive, state.lps_streak = able[0], 1
    state.lps_round += 1
    state.lps_mask[:] = [-1] * len(state.lps_mask)
