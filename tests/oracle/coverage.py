"""What a fuzz run met: counts of move types, modes, events and endings by board."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tests.oracle.board import SIZES
from tests.oracle.lines import slide_choices
from tests.oracle.state import State
from tests.oracle.territory import border
from tests.oracle.victory import ladder

SLIDES = ("RL1", "RL2", "RF", "RS")
MOVES = (
    *("P*1", "P*2", "P*3", "P on an own stack", "P on another's stack", "SP", "SP alone", "NP"),
    *("NP with a hand", "SW", "M", "C in movement", "C after a move", "CC", "SC", "NM", *SLIDES, "SR"),
    *("PL", "LO whole", "LO window", "NL", "E:line", "E:territory", "E:recovery", "T", "ST", "NT", "FE"),
)
EVENTS = (
    *("several lines", "line debt waived", "chain of four or more", "own stack captured"),
    *("lone ring gone on a marker", "stack given away on a marker"),
    *("strike gives control", "struck stack pays", "choice of payers", "choice of windows"),
    *("several regions", "second region in a turn", "empty region", "own stack in the region"),
    *("border of several colours", "FE after NL", "FE after ST", "seat passed over"),
    "stalemate with rings in hand",
)
EXCLUSIVE_ROUNDS = ("one exclusive round", "two exclusive rounds", "three exclusive rounds")
REASONS = ("ring_elimination", "territory_control", "last_player_standing", "sole_survivor", "stalemate")
RUNGS = ("territory", "eliminated", "markers", "last actor", "lowest seat")
ENDINGS = tuple(
    f"{ending} {players}p"
    for ending in (*REASONS, *(f"stalemate by {rung}" for rung in RUNGS))
    for players in (2, 3, 4)
    if (ending, players) != ("stalemate by lowest seat", 2)  # of two equal seats one has acted last
)
ROWS = (*MOVES, *EVENTS, *EXCLUSIVE_ROUNDS, *ENDINGS)


class Coverage:
    """The events of one game; `met` counts them by row."""

    def __init__(self) -> None:
        self.met: Counter[str] = Counter()
        self._player = 0
        self._turn: list[str] = []
        self._streak = 0

    def before(self, state: State, moves: list[tuple], move: tuple) -> None:
        """Count what a legal move is, just before it is played."""
        if state.phase == "ring_placement" and self._turn[-1:] != ["SW"]:
            self._turn = []
        self._player, self._streak = state.player, state.lps_streak
        self._turn.append(move[0])
        self.met.update(self._move_rows(state, moves, move))

    def _move_rows(self, state: State, moves: list[tuple], move: tuple) -> Iterator[str]:
        kind = move[0]
        if kind == "P":
            yield f"P*{move[2]}"
            if move[1] in state.stacks:
                own = state.stacks[move[1]][-1] == state.player
                yield "P on an own stack" if own else "P on another's stack"
        elif kind == "C":
            yield "C in movement" if state.phase == "movement" else "C after a move"
        elif kind == "LO":
            yield "LO whole" if move[1] == move[2] else "LO window"
        elif kind == "E":
            yield f"E:{move[1]}"
        else:
            yield kind
        if kind == "SP" and len(moves) == 1:
            yield "SP alone"
        if kind == "NP" and state.hand[state.player]:
            yield "NP with a hand"
        if kind in ("C", "CC") and state.stacks[move[2]][-1] == state.player:
            yield "own stack captured"
        if self._turn[-4:].count("CC") + self._turn[-4:].count("C") == 4:
            yield "chain of four or more"
        if kind in ("PL", "LO"):
            yield from _line_rows(state, moves, move)
        if kind in SLIDES:
            yield from _slide_rows(state, move)
        if kind == "T":
            yield from self._claim_rows(state, moves, frozenset(move[1]))
        if kind == "FE":
            yield f"FE after {self._turn[-2]}"

    def _claim_rows(self, state: State, moves: list[tuple], region: frozenset[int]) -> Iterator[str]:
        inside = [rings for cell, rings in state.stacks.items() if cell in region]
        if len(moves) > 2:
            yield "several regions"
        if self._turn.count("T") == 2:
            yield "second region in a turn"
        if not inside:
            yield "empty region"
        if any(rings[-1] == state.player for rings in inside):
            yield "own stack in the region"
        if len({state.markers[cell] for cell in border(state, region)}) > 1:
            yield "border of several colours"

    def after(self, state: State, move: tuple) -> None:
        """Count what the move brought about."""
        self.met.update(self._result_rows(state, move))

    def _result_rows(self, state: State, move: tuple) -> Iterator[str]:
        kind = move[0]
        if kind in ("M", "C", "CC"):
            rings = state.stacks.get(move[-1])
            if rings is None:
                yield "lone ring gone on a marker"
            elif rings[-1] != self._player:
                yield "stack given away on a marker"
        if kind == "RS" and state.stacks.get(move[2], [0])[-1] == self._player:
            yield "strike gives control"
        if state.over:
            yield from _ending_rows(state)
        elif state.phase == "ring_placement" and kind != "SW":
            if state.player != self._player % state.players + 1:
                yield "seat passed over"
            if self._streak < state.lps_streak <= 3:
                yield EXCLUSIVE_ROUNDS[state.lps_streak - 1]


def _line_rows(state: State, moves: list[tuple], move: tuple) -> Iterator[str]:
    if len({other[1] for other in moves}) > 1:
        yield "several lines"
    if move[-1] == move[1] and not state.controls(state.player):
        yield "line debt waived"


def _slide_rows(state: State, move: tuple) -> Iterator[str]:
    if len(slide_choices(state, move[:3])) > 1:
        yield "choice of windows" if move[0] == "RL2" else "choice of payers"
    if move[0] == "RS" and move[2] == move[3]:
        yield "struck stack pays"


def _ending_rows(state: State) -> Iterator[str]:
    yield f"{state.reason} {state.players}p"
    if state.reason == "stalemate":
        if any(state.hand):
            yield "stalemate with rings in hand"
        best, second = sorted((ladder(state, seat) for seat in state.seats), reverse=True)[:2]
        rung = next((rung for rung in range(4) if best[rung] != second[rung]), 4)
        yield f"stalemate by {RUNGS[rung]} {state.players}p"


def empty_rows(met: dict[str, Counter[str]]) -> list[str]:
    """Return the rows that no board has met."""
    return [row for row in ROWS if not any(counter[row] for counter in met.values())]


def table(met: dict[str, Counter[str]]) -> str:
    """Return the counts by row and board as text."""
    lines = ["".join([f"{'':34}", *(f"{name:>12}" for name in (*SIZES, "all"))])]
    for row in ("games", "plies", *ROWS):
        counts = [met[name][row] for name in SIZES]
        lines.append("".join([f"{row:34}", *(f"{count:12}" for count in (*counts, sum(counts)))]))
    return "\n".join(lines)
