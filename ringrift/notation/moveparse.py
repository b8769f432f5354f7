"""Move JSON into a legal move. Only the fields that tell moves apart are read."""

from __future__ import annotations

from ringrift.errors import IllegalMove
from ringrift.game import moves as m
from ringrift.game.geometry import NONE
from ringrift.game.phases import PENDING_NAMES
from ringrift.game.play import Game
from ringrift.notation.cells import read_position, read_wire_key
from ringrift.notation.cellsets import chosen_cells, region_cells, run_cells, slide_run
from ringrift.notation.fields import Fields

_CONTEXTS = ("line", "territory", "recovery", "forced")


def move_from_json(game: Game, value: object) -> int:
    """Return the legal move that a Move object describes.

    Raises `BadInput` for a malformed object and `IllegalMove` for a move that is not legal in `game`.
    """
    fields = Fields(value, "move")
    name = fields.choice("type", m.MOVE_NAMES)
    player = fields.integer("player", 1, game.config.players)
    if player != game.player:
        raise IllegalMove(f"player {player} is not to move")
    kind = m.MOVE_NAMES.index(name)
    candidates = [move for move in game.legal().tolist() if _same_kind(kind, int(m.move_type(move)))]
    for move in _select(game, fields, kind, candidates):
        if game.is_legal(move):
            return int(move)
    raise IllegalMove(f"{name} is not legal here as described")


def _same_kind(asked: int, kind: int) -> bool:
    """A line of exactly the required length may be named either way."""
    return asked == kind or (asked == m.CHOOSE_LINE and kind == m.PROCESS_LINE)


def _select(game: Game, fields: Fields, kind: int, moves: list[int]) -> list[int]:
    if kind in (m.PROCESS_LINE, m.CHOOSE_LINE):
        return _select_line(game, fields, moves)
    if kind == m.CHOOSE_TERRITORY:
        return _select_region(game, fields, moves)
    if kind in (m.PLACE_RING, m.ELIMINATE, m.FORCED_ELIMINATION):
        return _select_cell(game, fields, kind, moves)
    if kind in (m.MOVE_STACK, m.OVERTAKING_CAPTURE, m.CONTINUE_CAPTURE):
        return _select_movement(game, fields, moves)
    if kind == m.RECOVERY_SLIDE:
        return _select_recovery(game, fields, moves)
    return moves


def _cell(game: Game, fields: Fields, name: str) -> int:
    return read_position(game.config.board, fields.object(name).value, fields.at(name))


def _cells(game: Game, fields: Fields, name: str) -> set[int]:
    return {
        read_position(game.config.board, value, f"{fields.at(name)}[{n}]")
        for n, value in enumerate(fields.array(name))
    }


def _select_cell(game: Game, fields: Fields, kind: int, moves: list[int]) -> list[int]:
    to = _cell(game, fields, "to")
    found = [move for move in moves if m.move_to(move) == to]
    if kind == m.PLACE_RING:
        count = fields.integer("placementCount", 1, 3) if fields.has("placementCount") else 1
        return [move for move in found if m.move_count(move) == count]
    if kind == m.ELIMINATE and fields.has("eliminationContext"):
        context = fields.choice("eliminationContext", _CONTEXTS)
        return [move for move in found if PENDING_NAMES[m.move_count(move)] == context]
    return found


def _select_movement(game: Game, fields: Fields, moves: list[int]) -> list[int]:
    source, to = _cell(game, fields, "from"), _cell(game, fields, "to")
    found = [move for move in moves if m.move_from(move) == source and m.move_to(move) == to]
    if fields.has("captureTarget"):
        target = _cell(game, fields, "captureTarget")
        return [move for move in found if m.move_target(move) == target]
    return found


def _first(fields: Fields, name: str) -> Fields:
    entries = fields.entries(name)
    if not entries:
        raise fields.wrong(name, "missing")
    return entries[0]


def _select_line(game: Game, fields: Fields, moves: list[int]) -> list[int]:
    run = _cells(game, _first(fields, "formedLines"), "positions")
    found = [move for move in moves if set(run_cells(game, move)) == run]
    if fields.has("collapsedMarkers"):
        chosen = _cells(game, fields, "collapsedMarkers")
        return [move for move in found if set(chosen_cells(game, move)) == chosen]
    return [move for move in found if m.line_window(move) == 0]


def _select_region(game: Game, fields: Fields, moves: list[int]) -> list[int]:
    spaces = _cells(game, _first(fields, "disconnectedRegions"), "spaces")
    return [move for move in moves if set(region_cells(game, move)) == spaces]


def _select_recovery(game: Game, fields: Fields, moves: list[int]) -> list[int]:
    name = "recoveryOption" if fields.has("recoveryOption") else "option"
    option = fields.integer(name, 1, 2) if fields.has(name) else 1
    found = [move for move in _select_movement(game, fields, moves) if m.move_count(move) == option]
    if fields.has("recoveryMode"):
        mode = m.RECOVERY_MODES.index(fields.choice("recoveryMode", m.RECOVERY_MODES))
        found = [move for move in found if m.recovery_mode(move) == mode]
    return [_with_choices(game, fields, move, option) for move in found]


def _with_choices(game: Game, fields: Fields, move: int, option: int) -> int:
    """Put the paying stack, or the collapsing window, that the object names into the move."""
    payers = fields.optional_array("extractionStacks")
    if option == 1 and payers:
        payer = read_wire_key(game.config.board, payers[0], fields.at("extractionStacks"))
        return m.with_extraction(move, payer)
    if option == 2 and fields.has("collapsePositions"):
        window = _cells(game, fields, "collapsePositions")
        run, need = slide_run(game, move), int(game.states[0]["line_length"])
        starts = [n for n in range(len(run) - need + 1) if set(run[n : n + need]) == window]
        return m.with_window(move, starts[0]) if starts else m.with_extraction(move, NONE - 1)
    return move
