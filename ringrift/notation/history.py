"""What the rules need to know of the moves before a loaded position (section 2.2).

The wire tells it by `moveHistory`. A position whose moves are not known (of a search, say) is written with an
object `turnFacts` of our own that says what its history does not:

| field | meaning |
|---|---|
| `acted`, `recovered` | true: the mover's unbroken moves up to now include a real one, a recovery slide |
| `regionClaimed` | true: a region has just been claimed, so that an elimination is owed |
| `swapped` | true: seats 1 and 2 have exchanged identities |
| `seatsMoved` | the seats that have moved |
| `lastActor` | the seat of the last move |
| `endReason` | why the game ended |

It only adds to the history, which it must not contradict; other programs ignore it.
"""

from __future__ import annotations

from dataclasses import dataclass

from ringrift.game.config import GameConfig
from ringrift.game.geometry import NONE
from ringrift.game.moves import MOVE_NAMES, NOT_ACTING
from ringrift.game.phases import REASON_NAMES
from ringrift.notation.cells import read_position
from ringrift.notation.fields import Fields, shown

_LEGACY_NAMES = (
    "move_ring",
    "build_stack",
    "choose_line_reward",
    "process_territory_region",
    "line_formation",
    "territory_claim",
    "chain_capture",
)
_HOST_NAMES = ("resign", "timeout")
KNOWN_NAMES = MOVE_NAMES + _LEGACY_NAMES + _HOST_NAMES

_NOT_ACTING = frozenset(name for kind, name in enumerate(MOVE_NAMES) if NOT_ACTING >> kind & 1)
_LANDING = frozenset(
    ("move_stack", "overtaking_capture", "continue_capture_segment", "move_ring", "chain_capture")
)
_CLAIMING = ("choose_territory_option", "process_territory_region")


@dataclass(frozen=True, slots=True)
class PastMove:
    """One entry of `moveHistory`, as far as it matters."""

    name: str
    player: int
    fields: Fields

    def cell(self, name: str, board: str) -> int:
        """Return the cell of a position field, `NONE` when absent."""
        if not self.fields.has(name):
            return NONE
        return read_position(board, self.fields.get(name), self.fields.at(name))


@dataclass(frozen=True, slots=True)
class Facts:
    """The object `turnFacts`; everything is false or 0 when it is absent."""

    acted: bool = False
    recovered: bool = False
    region_claimed: bool = False
    swapped: bool = False
    moved: int = 0
    """Bit set of seats."""
    last_actor: int = 0
    end_reason: int = 0


@dataclass(frozen=True, slots=True)
class Past:
    """Facts read from a move history; `player` is the seat to move now."""

    moves: tuple[PastMove, ...]
    player: int
    facts: Facts

    @property
    def last(self) -> PastMove | None:
        """The last move, if the seat to move made it."""
        if self.moves and self.moves[-1].player == self.player:
            return self.moves[-1]
        return None

    @property
    def last_actor(self) -> int:
        return self.moves[-1].player if self.moves else self.facts.last_actor

    @property
    def moved(self) -> int:
        """Bit set of the seats that have moved."""
        seats = self.facts.moved
        for move in self.moves:
            seats |= 1 << move.player
        return seats

    @property
    def swapped(self) -> bool:
        return self.facts.swapped or any(move.name == "swap_sides" for move in self.moves)

    @property
    def tail(self) -> tuple[PastMove, ...]:
        """The unbroken run of moves by the seat to move, up to now."""
        start = len(self.moves)
        while start and self.moves[start - 1].player == self.player:
            start -= 1
        return self.moves[start:]

    @property
    def acted(self) -> bool:
        return self.facts.acted or any(move.name not in _NOT_ACTING for move in self.tail)

    @property
    def recovered(self) -> bool:
        return self.facts.recovered or any(move.name == "recovery_slide" for move in self.tail)

    def placed_cell(self, board: str) -> int:
        """Cell of the stack placed by the last move, or `NONE`."""
        if self.last and self.last.name == "place_ring":
            return self.last.cell("to", board)
        return NONE

    def landing(self, board: str) -> int:
        """Cell on which the last move put its stack, or `NONE`."""
        if self.last and self.last.name in _LANDING:
            return self.last.cell("to", board)
        return NONE

    @property
    def claimed_region(self) -> bool:
        """True when the last move claimed a region, so that an elimination is owed."""
        if self.facts.region_claimed:
            return True
        last = self.last
        if last is None or last.name not in _CLAIMING:
            return False
        return bool(last.fields.optional_array("disconnectedRegions"))

    @property
    def collapsed_line(self) -> bool:
        """True when the last move collapsed a whole run."""
        last = self.last
        if last is None or last.name not in ("process_line", "choose_line_option"):
            return False
        if last.name == "process_line" or not last.fields.has("collapsedMarkers"):
            return True
        lines = last.fields.entries("formedLines")
        run = lines[0].optional_array("positions") if lines else []
        return len(last.fields.array("collapsedMarkers")) >= len(run)


def read_past(state: Fields, config: GameConfig, player: int) -> Past:
    """Read `moveHistory` and `turnFacts`; absent ones are empty ones.

    Raises `BadInput` where they contradict each other, themselves or the phase.
    """
    moves = tuple(
        PastMove(entry.choice("type", KNOWN_NAMES), entry.integer("player", 1, config.players), entry)
        for entry in state.entries("moveHistory")
    )
    past = Past(moves, player, _read_facts(state, config, moves))
    _check_facts(state, config, past)
    return past


def _read_facts(state: Fields, config: GameConfig, moves: tuple[PastMove, ...]) -> Facts:
    facts = state.optional_object("turnFacts")
    moved = 0
    for seat in facts.optional_array("seatsMoved"):
        if type(seat) is not int or not 1 <= seat <= config.players:
            raise facts.wrong("seatsMoved", f"{shown(seat)} is not a seat in 1..{config.players}")
        moved |= 1 << seat
    last_actor = facts.integer("lastActor", 1, config.players) if facts.has("lastActor") else 0
    if last_actor and moves and moves[-1].player != last_actor:
        raise facts.wrong("lastActor", f"{last_actor}, but player {moves[-1].player} made the last move")
    reasons = tuple(name for name in REASON_NAMES if name)
    return Facts(
        acted=facts.flag("acted"),
        recovered=facts.flag("recovered"),
        region_claimed=facts.flag("regionClaimed"),
        swapped=facts.flag("swapped"),
        moved=moved,
        last_actor=last_actor,
        end_reason=REASON_NAMES.index(facts.choice("endReason", reasons)) if facts.has("endReason") else 0,
    )


def _check_facts(state: Fields, config: GameConfig, past: Past) -> None:
    """Refuse facts of which one rules out another, or that the history rules out."""
    facts = state.optional_object("turnFacts")
    actor, seat = past.facts.last_actor, past.player
    if actor and not past.moved >> actor & 1:
        raise facts.wrong("lastActor", f"{actor}, but seatsMoved is without that seat")
    if past.swapped and config.players != 2:
        reason = f"{config.players} players have no pie rule"
        if past.facts.swapped:
            raise facts.wrong("swapped", f"true, but {reason}")
        raise state.wrong("moveHistory", f"holds a swap_sides, but {reason}")
    if past.facts.region_claimed:
        _check_claim(state, facts, past)
    told = Past(past.moves, seat, Facts())
    if _knows_turn(past):
        for name, holds, shows in (
            ("acted", past.acted, told.acted),
            ("recovered", past.recovered, told.recovered),
        ):
            if holds and not shows:
                raise facts.wrong(name, f"true, but player {seat} has made no such move since the others")
    for name, holds in (("recovered", past.facts.recovered), ("regionClaimed", past.facts.region_claimed)):
        if holds and not past.acted:
            raise facts.wrong(name, "true, but acted is not")


def _knows_turn(past: Past) -> bool:
    """True when the mover's unbroken moves are all in the history; with no moves told, they may be any."""
    others_moved = past.moved and not past.moved >> past.player & 1
    return bool(others_moved) or past.last_actor not in (0, past.player) or len(past.tail) < len(past.moves)


def _check_claim(state: Fields, facts: Fields, past: Past) -> None:
    if state.get("currentPhase") != "territory_processing":
        raise facts.wrong("regionClaimed", "true outside of territory_processing")
    if past.last and past.last.name not in _CLAIMING:
        raise facts.wrong("regionClaimed", f"true, but the last move is a {past.last.name}")
