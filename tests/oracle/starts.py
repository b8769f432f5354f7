"""Where fuzz games begin: openings, and made-up positions close to events that are rare in play from them."""

from __future__ import annotations

from random import Random

from tests.oracle.state import State

TALLEST = 6


def opening(state: State, rng: Random) -> None:
    """The start of a game, sometimes with few rings in the hands."""
    if rng.random() < 0.4:
        for seat in state.seats:
            state.hand[seat] = rng.randint(1, 8)


def scattered(state: State, rng: Random) -> None:
    """Stacks, markers and collapsed spaces at random; some seats may only have buried rings."""
    cells = _shuffled(state, rng)
    total, buried = len(cells), _some_seats(state, rng)
    for seat in state.seats:
        state.hand[seat] = rng.choice((0, 0, 0, 1, 2, 5))
    for _ in range(rng.randint(1, total // rng.choice((4, 6, 10, 20)))):
        _put_stack(state, rng, cells.pop(), buried)
    _put_markers(state, rng, cells, rng.random() * 0.6)
    _put_collapsed(state, rng, cells, rng.random() * 0.9)
    _credit(state, rng)


def one_ruler(state: State, rng: Random) -> None:
    """One seat controls every stack, hands are empty: rounds of last player standing."""
    cells = _shuffled(state, rng)
    ruler = rng.choice(list(state.seats))
    others = {seat for seat in state.seats if seat != ruler}
    state.hand[1:] = [0] * state.players
    for _ in range(rng.randint(1, 4)):
        _put_stack(state, rng, cells.pop(), others)
    _put_markers(state, rng, cells, rng.choice((0, 0, 0.03, 0.2)))
    _put_collapsed(state, rng, cells, rng.choice((0, 0, 0.1, 0.5)))
    _credit(state, rng)


def gap_in_a_row(state: State, rng: Random) -> None:
    """A seat with buried rings only and a row of its markers that lacks one, which stands beside the row."""
    board, cells = state.board, _shuffled(state, rng)
    seat = rng.choice(list(state.seats))
    state.hand[1:] = [rng.choice((0, 0, 1)) for _ in state.seats]
    before, after = rng.choice(board.axes[cells[0]])
    row = (*before[: rng.randint(0, 4)], *after[: rng.randint(0, 4)])
    for cell in (*row, rng.choice(board.steps[cells[0]])):
        state.markers[cell] = seat
    cells = [cell for cell in cells[1:] if cell not in state.markers]
    for _ in range(rng.randint(2, 6)):
        _put_stack(state, rng, cells.pop(), {seat})
    _put_markers(state, rng, cells, rng.random() * 0.2)
    _put_collapsed(state, rng, cells, rng.choice((0, 0.1, 0.4)))
    _credit(state, rng)


def one_ring_each(state: State, rng: Random) -> None:
    """Lone rings, markers to land on and few free cells: games that end with an empty board."""
    cells = _shuffled(state, rng)
    state.hand[1:] = [rng.choice((0, 0, 0, 1)) for _ in state.seats]
    for seat in state.seats:
        if rng.random() < 0.7:
            state.stacks[cells.pop()] = [seat]
    _put_markers(state, rng, cells, 0.1 + rng.random() * 0.5)
    _put_collapsed(state, rng, cells, 0.7 + rng.random() * 0.3, even=True)
    _credit(state, rng)


def no_stacks(state: State, rng: Random) -> None:
    """No stacks, counters level but for one of them: the stalemate ladder, at once or after a last ring."""
    cells = _shuffled(state, rng)
    hands = rng.choice(("empty", "unplaceable", "free"))
    state.hand[1:] = [rng.choice((0, 0, 1)) * (hands != "empty") for _ in state.seats]
    markers = rng.randint(1, 4)
    most = len(cells) // state.players - markers
    spaces = most if hands == "unplaceable" else rng.randint(1, most)
    level = rng.randint(1, state.board.rings // 3)
    uneven = rng.choice(("spaces", "eliminated", "markers", "nothing"))
    for seat in state.seats:
        less = int(rng.random() < 0.5)
        for _ in range(spaces - less * (uneven == "spaces")):
            state.collapse([cells.pop()], seat)
        for _ in range(markers - less * (uneven == "markers")):
            state.markers[cells.pop()] = seat
        state.eliminated[seat] = level - less * (uneven == "eliminated")


STARTS = {
    opening: 44,
    scattered: 30,
    one_ruler: 5,
    gap_in_a_row: 8,
    one_ring_each: 5,
    no_stacks: 14,
}


def new_state(board: str, players: int, rng: Random) -> tuple[State, bool]:
    """Return a position, and whether it counts territory by the legacy threshold."""
    start = rng.choices(list(STARTS), list(STARTS.values()))[0]
    state = State(board, players, swap=start is opening)
    start(state, rng)
    if start is opening:
        return state, False
    state.player = rng.choice(list(state.seats))
    legacy = rng.random() < 0.2
    if legacy:
        state.territory_minimum = len(state.board.xy) // 2 + 1
    return state, legacy


def _shuffled(state: State, rng: Random) -> list[int]:
    cells = list(range(len(state.board.xy)))
    rng.shuffle(cells)
    return cells


def _some_seats(state: State, rng: Random) -> set[int]:
    """Return seats that shall control nothing, not all of them."""
    seats = list(state.seats)
    return set(rng.sample(seats, rng.choice((0, 0, 1, 1, len(seats) - 1))))


def _put_stack(state: State, rng: Random, cell: int, below: set[int]) -> None:
    """Put down a random stack whose top belongs to none of the seats in `below`."""
    left = [seat for seat in state.seats if _rings_of(state, seat) + TALLEST <= state.board.rings]
    tops = [seat for seat in left if seat not in below]
    if tops:
        height = min(TALLEST, 1 + int(rng.expovariate(0.7)))
        rings = [rng.choice(left) for _ in range(height - 1)]
        state.stacks[cell] = [*rings, rng.choice(tops)]


def _rings_of(state: State, seat: int) -> int:
    return state.hand[seat] + sum(rings.count(seat) for rings in state.stacks.values())


def _put_markers(state: State, rng: Random, cells: list[int], share: float) -> None:
    for _ in range(int(share * len(cells))):
        state.markers[cells.pop()] = rng.choice(list(state.seats))


def _put_collapsed(state: State, rng: Random, cells: list[int], share: float, even: bool = False) -> None:
    """Collapse a share of the cells, at random or in turn of seats."""
    seats = list(state.seats)
    for count in range(int(share * len(cells))):
        owner = seats[count % len(seats)] if even else rng.choice(seats)
        state.collapse([cells.pop()], owner)


def _credit(state: State, rng: Random) -> None:
    """Credit lost rings: few, or all that are neither in a hand nor on the board."""
    if rng.random() < 0.6:
        state.eliminated[1:] = [rng.randint(0, state.board.rings // 3) for _ in state.seats]
        spare = state.players * state.board.rings - sum(_rings_of(state, seat) for seat in state.seats)
        if sum(state.eliminated) <= spare:
            return
    spare = state.players * state.board.rings - sum(_rings_of(state, seat) for seat in state.seats)
    state.eliminated[1:] = [
        spare // state.players + int(seat <= spare % state.players) for seat in state.seats
    ]
