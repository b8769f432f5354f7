"""Playing one move: its effect and what follows it."""

from __future__ import annotations

from ringrift.game._jit import jit
from ringrift.game.capture import apply_capture
from ringrift.game.elimination import apply_elimination, apply_forced_elimination
from ringrift.game.lines import apply_line
from ringrift.game.movement import apply_stack_move
from ringrift.game.moves import (
    CHOOSE_LINE,
    CHOOSE_TERRITORY,
    CONTINUE_CAPTURE,
    ELIMINATE,
    FORCED_ELIMINATION,
    MOVE_STACK,
    NO_LINE,
    NO_MOVEMENT,
    NO_PLACEMENT,
    NO_TERRITORY,
    NOT_ACTING,
    OVERTAKING_CAPTURE,
    PLACE_RING,
    PROCESS_LINE,
    RECOVERY_SLIDE,
    SKIP_CAPTURE,
    SKIP_PLACEMENT,
    SKIP_RECOVERY,
    SKIP_TERRITORY,
    SWAP_SIDES,
    line_axis,
    line_window,
    move_aux,
    move_count,
    move_from,
    move_target,
    move_to,
    move_type,
)
from ringrift.game.phases import CAPTURE, CHAIN, LINES, MOVEMENT
from ringrift.game.placement import apply_placement
from ringrift.game.recovery import apply_recovery
from ringrift.game.territory import apply_region
from ringrift.game.turn import (
    after_landing,
    after_line,
    after_lines,
    after_region,
    after_territory,
    end_turn,
    enter_lines,
)

OK, UNKNOWN_MOVE = range(2)
"""Return codes of `apply`."""


@jit
def note_actor(states, i, kind):
    """Keep the facts that the rules read from the history (section 2.2)."""
    s = states[i]
    s["last_actor"] = s["player"]
    s["moved"] |= 1 << s["player"]
    s["ply"] += 1
    if not NOT_ACTING >> kind & 1:
        s["acted"] = 1
    if kind == RECOVERY_SLIDE:
        s["recovered"] = 1


@jit
def play_movement(geo, states, i, move):
    """Placement, movement and capture moves; return False for any other type."""
    s = states[i]
    kind = move_type(move)
    if kind == PLACE_RING:
        apply_placement(geo, states, i, move_to(move), move_count(move))
        s["phase"] = MOVEMENT
    elif kind in (SKIP_PLACEMENT, NO_PLACEMENT):
        s["phase"] = MOVEMENT
    elif kind == SWAP_SIDES:
        s["swapped"] = 1
    elif kind == MOVE_STACK:
        apply_stack_move(geo, states, i, move_from(move), move_to(move))
        after_landing(geo, states, i, move_to(move), CAPTURE)
    elif kind in (OVERTAKING_CAPTURE, CONTINUE_CAPTURE):
        apply_capture(geo, states, i, move_from(move), move_target(move), move_to(move))
        after_landing(geo, states, i, move_to(move), CHAIN)
    elif kind == RECOVERY_SLIDE:
        apply_recovery(geo, states, i, move)
        enter_lines(states, i)
    elif kind in (SKIP_CAPTURE, SKIP_RECOVERY, NO_MOVEMENT):
        enter_lines(states, i)
    else:
        return False
    return True


@jit
def play_processing(geo, states, i, scratch, move):
    """Line, territory and elimination moves; return False for any other type."""
    kind = move_type(move)
    if kind in (PROCESS_LINE, CHOOSE_LINE):
        window = line_window(move)
        apply_line(geo, states, i, move_from(move), move_count(move), line_axis(move), window)
        after_line(geo, states, i, scratch)
    elif kind == NO_LINE:
        after_lines(geo, states, i, scratch)
    elif kind == CHOOSE_TERRITORY:
        apply_region(geo, states, i, scratch, move_from(move), move_aux(move))
    elif kind == ELIMINATE:
        apply_elimination(geo, states, i, move_to(move), move_count(move))
        if states[i]["phase"] != LINES:
            after_region(geo, states, i, scratch)
    elif kind in (SKIP_TERRITORY, NO_TERRITORY):
        after_territory(geo, states, i)
    elif kind == FORCED_ELIMINATION:
        apply_forced_elimination(geo, states, i, move_to(move))
        end_turn(geo, states, i)
    else:
        return False
    return True


@jit
def apply(geo, states, i, scratch, move):
    """Play a legal move on position `i`; return `OK`, or `UNKNOWN_MOVE` and change nothing.

    Only the type is judged: the move must come from the legal set, or be accepted by `is_legal`.
    """
    kind = move_type(move)
    if kind > FORCED_ELIMINATION:
        return UNKNOWN_MOVE
    note_actor(states, i, kind)
    if not play_movement(geo, states, i, move):
        play_processing(geo, states, i, scratch, move)
    return OK
