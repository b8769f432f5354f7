"""A move, a phase and an ending in words."""

from __future__ import annotations

from ringrift.draw.palette import LETTERS
from ringrift.game import moves as m
from ringrift.game.geometry import NONE
from ringrift.game.phases import OVER, PENDING_NAMES, PHASE_NAMES, REASON_NAMES
from ringrift.game.play import Game
from ringrift.notation.cells import cell_names
from ringrift.notation.cellsets import chosen_cells, region_cells, run_cells

_PLAIN = {
    m.SKIP_PLACEMENT: "places nothing",
    m.NO_PLACEMENT: "has nothing to place",
    m.SWAP_SIDES: "swaps sides",
    m.SKIP_CAPTURE: "captures nothing",
    m.SKIP_RECOVERY: "does not recover",
    m.NO_MOVEMENT: "has nothing to move",
    m.NO_LINE: "has no line",
    m.SKIP_TERRITORY: "claims no region",
    m.NO_TERRITORY: "has no region",
}
_ENDINGS = {
    "ring_elimination": "enough rings eliminated",
    "territory_control": "enough territory",
    "last_player_standing": "last player standing for three rounds",
    "sole_survivor": "sole survivor",
    "stalemate": "nobody can move: the tie-break decides",
}


def describe(game: Game, move: int) -> str:
    """Return a move that is legal in `game` as a sentence without its subject: `moves 3,1 to 0,4`."""
    fields = m.unpack(move)
    kind, names = fields.kind, cell_names(game.config.board)
    if kind in _PLAIN:
        return _PLAIN[kind]
    if kind == m.PLACE_RING:
        return f"places {_count(fields.count, 'ring')} on {names[fields.to]}"
    if kind == m.MOVE_STACK:
        return f"moves {names[fields.source]} to {names[fields.to]}"
    if kind in (m.OVERTAKING_CAPTURE, m.CONTINUE_CAPTURE):
        again = "captures on" if kind == m.CONTINUE_CAPTURE else "captures"
        return f"{again} from {names[fields.source]} over {names[fields.target]} to {names[fields.to]}"
    if kind == m.RECOVERY_SLIDE:
        return _recovery(fields, move, names)
    if kind in (m.ELIMINATE, m.FORCED_ELIMINATION):
        return _elimination(game, fields, names)
    return _collapse(game, move, kind)


def _recovery(fields: m.Unpacked, move: int, names: tuple[str, ...]) -> str:
    how = ("into a line", "to an empty cell", "against a stack")[int(m.recovery_mode(move))]
    paid = "free" if fields.extraction == NONE else f"paid from {names[fields.extraction]}"
    return f"recovers: slides {names[fields.source]} to {names[fields.to]} {how}, {paid}"


def _elimination(game: Game, fields: m.Unpacked, names: tuple[str, ...]) -> str:
    cap = int(game.states[0]["cap"][fields.to])
    if fields.kind == m.FORCED_ELIMINATION:
        return f"is forced to eliminate the cap of {names[fields.to]} ({_count(cap, 'ring')})"
    owed = PENDING_NAMES[fields.count]
    cap_words = f"the cap ({_count(cap, 'ring')})"
    what = {"line": "the top ring", "territory": cap_words}.get(str(owed), "a buried ring")
    return f"pays for the {owed}: eliminates {what} of {names[fields.to]}"


def _collapse(game: Game, move: int, kind: int) -> str:
    names = cell_names(game.config.board)
    if kind == m.CHOOSE_TERRITORY:
        cells = region_cells(game, move)
        return f"claims the region of {_count(len(cells), 'cell')} at {names[cells[0]]}"
    run, chosen = run_cells(game, move), chosen_cells(game, move)
    span = f"{names[chosen[0]]} to {names[chosen[-1]]}"
    if len(chosen) < len(run):
        return f"collapses {len(chosen)} of a line of {len(run)}: {span}, for free"
    return f"collapses the line of {len(run)}: {span}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def phase_words(game: Game) -> str:
    """Return what is to be done: `movement`, `line processing: a ring is owed`."""
    name = PHASE_NAMES[game.phase].replace("_", " ")
    owed = PENDING_NAMES[int(game.states[0]["pending"])]
    return f"{name}: owes for the {owed}" if owed else name


def ending(game: Game) -> str:
    """Return who won and why; empty while the game runs."""
    if game.phase != OVER:
        return ""
    reason = REASON_NAMES[int(game.states[0]["reason"])]
    won = f"{LETTERS[game.winner]} wins" if game.winner else "nobody wins"
    return f"{won}: {_ENDINGS[reason]}" if reason else won
