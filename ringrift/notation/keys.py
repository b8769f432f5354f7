"""Moves as short text keys, such as `M:3,1>0,4`.

| key | move |
|---|---|
| `P:A*n`, `SP`, `NP`, `SW` | place n rings on A, skip, nothing to place, swap sides |
| `M:A>B`, `C:A^T>B`, `CC:A^T>B`, `SC`, `NM` | move, capture over T, go on, stop, nothing to move |
| `RL1:A>B`, `RL2:A>B`, `RF:A>B`, `RS:A>B`, `SR` | recovery: line (option 1, 2), fallback, strike, skip |
| `PL:cells`, `LO:cells\\|chosen`, `NL` | exact line, longer line with the cells that collapse, no line |
| `T:cells`, `ST`, `NT` | claim a region, skip, no region |
| `E:line:A`, `E:territory:A`, `E:recovery:A`, `FE:A` | eliminations owed, forced elimination |

Cell lists are sorted as strings and joined by `/`. A recovery key may end with `@S`, the stack that pays
(RL1, RF, RS), or with `=cells`, the window that collapses (RL2); the legal set names neither.
"""

from __future__ import annotations

import re

from ringrift.errors import BadInput, IllegalMove
from ringrift.game import moves as m
from ringrift.game.geometry import NONE
from ringrift.game.phases import PENDING_NAMES
from ringrift.game.play import Game
from ringrift.notation.cells import cell_list, cell_names, cells_by_name
from ringrift.notation.cellsets import chosen_cells, region_cells, run_cells, slide_run

_PLAIN = {
    m.SKIP_PLACEMENT: "SP",
    m.NO_PLACEMENT: "NP",
    m.SWAP_SIDES: "SW",
    m.SKIP_CAPTURE: "SC",
    m.SKIP_RECOVERY: "SR",
    m.NO_MOVEMENT: "NM",
    m.NO_LINE: "NL",
    m.SKIP_TERRITORY: "ST",
    m.NO_TERRITORY: "NT",
}
_CELL = r"-?\d{1,2},-?\d{1,2}"
_CELLS = rf"{_CELL}(/{_CELL})*"
_SYNTAX = re.compile(
    rf"SP|NP|SW|SC|NM|SR|NL|ST|NT|P:{_CELL}\*[1-3]|M:{_CELL}>{_CELL}|CC?:{_CELL}\^{_CELL}>{_CELL}"
    rf"|(RL1|RF|RS):{_CELL}>{_CELL}(@{_CELL})?|RL2:{_CELL}>{_CELL}(={_CELLS})?"
    rf"|PL:{_CELLS}|LO:{_CELLS}\|{_CELLS}|T:{_CELLS}|E:(line|territory|recovery):{_CELL}|FE:{_CELL}"
)


def key_of(game: Game, move: int) -> str:
    """Return the key, without a suffix, of a move that is legal in `game`."""
    fields = m.unpack(move)
    kind = fields.kind
    if kind in _PLAIN:
        return _PLAIN[kind]
    names = cell_names(game.config.board)
    if kind == m.PLACE_RING:
        return f"P:{names[fields.to]}*{fields.count}"
    if kind == m.MOVE_STACK:
        return f"M:{names[fields.source]}>{names[fields.to]}"
    if kind in (m.OVERTAKING_CAPTURE, m.CONTINUE_CAPTURE):
        letters = "C" if kind == m.OVERTAKING_CAPTURE else "CC"
        return f"{letters}:{names[fields.source]}^{names[fields.target]}>{names[fields.to]}"
    if kind == m.RECOVERY_SLIDE:
        return f"{_slide_letters(move)}:{names[fields.source]}>{names[fields.to]}"
    if kind == m.ELIMINATE:
        return f"E:{PENDING_NAMES[fields.count]}:{names[fields.to]}"
    if kind == m.FORCED_ELIMINATION:
        return f"FE:{names[fields.to]}"
    return _key_of_cells(game, move, kind)


def _slide_letters(move: int) -> str:
    mode = m.recovery_mode(move)
    if mode == m.RECOVER_LINE:
        return f"RL{m.move_count(move)}"
    return "RS" if mode == m.RECOVER_STRIKE else "RF"


def _key_of_cells(game: Game, move: int, kind: int) -> str:
    board = game.config.board
    if kind == m.CHOOSE_TERRITORY:
        return f"T:{cell_list(board, region_cells(game, move))}"
    run = cell_list(board, run_cells(game, move))
    if kind == m.PROCESS_LINE:
        return f"PL:{run}"
    return f"LO:{run}|{cell_list(board, chosen_cells(game, move))}"


def keyed_moves(game: Game) -> dict[str, int]:
    """Return the legal set by key."""
    return {key_of(game, move): move for move in game.legal().tolist()}


def legal_keys(game: Game) -> list[str]:
    """Return the keys of the legal set, sorted by code point."""
    return sorted(keyed_moves(game))


def move_of(game: Game, key: str, keyed: dict[str, int] | None = None) -> int:
    """Return the legal move with that key; `keyed` may hold what `keyed_moves` has just returned.

    Raises `BadInput` for text that is no key at all and `IllegalMove` for a key outside the legal set.
    """
    if not isinstance(key, str) or not _SYNTAX.fullmatch(key):
        raise BadInput(f"not a move key: {str(key)[:80]!r}", hint="the key format is described in the rules")
    base, _, payer = key.partition("@")
    base, _, window = base.partition("=")
    move = (keyed or keyed_moves(game)).get(base)
    if move is None:
        raise IllegalMove(f"{key[:80]} is not legal here")
    return _with_choice(game, move, key, payer, window) if payer or window else move


def _with_choice(game: Game, move: int, key: str, payer: str, window: str) -> int:
    """Return a recovery move with the paying stack or the window that the suffix names."""
    if payer:
        move = m.with_extraction(move, cells_by_name(game.config.board).get(payer, NONE))
    if window:
        move = m.with_window(move, _window_start(game, move, window))
    if not game.is_legal(move):
        raise IllegalMove(f"{key[:80]} is not legal here")
    return move


def _window_start(game: Game, move: int, window: str) -> int:
    """Return where the named cells start on the run of a slide; a place off the run if they are no window."""
    run = slide_run(game, move)
    need = int(game.states[0]["line_length"])
    for start in range(len(run) - need + 1):
        if cell_list(game.config.board, run[start : start + need]) == "/".join(sorted(window.split("/"))):
            return start
    return len(run)
