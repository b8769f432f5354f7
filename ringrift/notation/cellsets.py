"""The cells that a line, recovery or region move is about."""

from __future__ import annotations

from ringrift.game.cellset import cells_of
from ringrift.game.geometry import ray
from ringrift.game.moves import (
    CHOOSE_LINE,
    line_axis,
    line_window,
    move_aux,
    move_count,
    move_from,
    move_to,
    move_type,
    recovery_axis,
    recovery_window,
)
from ringrift.game.play import Game
from ringrift.game.recovery import cells_behind, run_through
from ringrift.game.state import REGION
from ringrift.game.territory import find_region


def run_cells(game: Game, move: int) -> list[int]:
    """Return the whole run of a line move, first cell first."""
    first, axis = int(move_from(move)), int(line_axis(move))
    return [first, *ray(game.config.board, first, axis)[: int(move_count(move)) - 1]]


def chosen_cells(game: Game, move: int) -> list[int]:
    """Return the cells of a line move that collapse."""
    run, window = run_cells(game, move), int(line_window(move))
    if move_type(move) != CHOOSE_LINE or window == 0:
        return run
    return run[window - 1 : window - 1 + int(game.states[0]["line_length"])]


def slide_run(game: Game, move: int) -> list[int]:
    """Return the run that a line slide makes, first cell first."""
    cell, to, axis = int(move_from(move)), int(move_to(move)), int(recovery_axis(move))
    behind = int(cells_behind(game.geo, game.states, 0, cell, to, axis))
    length = int(run_through(game.geo, game.states, 0, cell, to, axis))
    back = ray(game.config.board, to, axis + game.geo.n_axes)[:behind]
    ahead = ray(game.config.board, to, axis)[: length - behind - 1]
    return [*reversed(back), to, *ahead]


def slide_window(game: Game, move: int) -> list[int]:
    """Return the cells that option 2 of a line slide collapses."""
    first = int(recovery_window(move))
    return slide_run(game, move)[first : first + int(game.states[0]["line_length"])]


def region_cells(game: Game, move: int) -> list[int]:
    """Return the cells of the region that a territory move claims, ascending."""
    find_region(game.geo, game.states, 0, game.scratch, int(move_from(move)), int(move_aux(move)))
    return cells_of(game.geo, game.scratch.work[0]["sets"][REGION])
