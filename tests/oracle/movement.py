"""Placement, moves and captures (RULES 4.1 to 4.4): what is legal, and what it does to the board.

Moves are tuples: a kind as in the move keys of the golden games, then cells and counts.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.oracle.state import State, cap_height


def can_act(state: State, cell: int, height: int, cap: int) -> bool:
    """Whether a stack of that height and cap on `cell` would have a move or a capture."""
    stacks, collapsed = state.stacks, state.collapsed
    for ray in state.board.rays[cell]:
        target = False
        for distance, c in enumerate(ray, 1):
            if c in collapsed:
                break
            if c in stacks:
                if target or cap_height(stacks[c]) > cap:
                    break
                target = True
            elif distance >= height:
                return True
    return False


def stack_actions(state: State, cell: int) -> tuple[list[tuple], list[tuple]]:
    """Return the moves and the captures of the stack on `cell`."""
    stacks, collapsed = state.stacks, state.collapsed
    height, cap = len(stacks[cell]), cap_height(stacks[cell])
    moves, captures = [], []
    for ray in state.board.rays[cell]:
        target = None
        for distance, c in enumerate(ray, 1):
            if c in collapsed:
                break
            if c in stacks:
                if target is not None or cap_height(stacks[c]) > cap:
                    break
                target = c
            elif distance >= height:
                if target is None:
                    moves.append(("M", cell, c))
                else:
                    captures.append(("C", cell, target, c))
    return moves, captures


def captures_from(state: State, cell: int) -> list[tuple]:
    """Return the captures of the player to move from `cell`; none when the stack is gone or lost."""
    if cell not in state.stacks or state.stacks[cell][-1] != state.player:
        return []
    return stack_actions(state, cell)[1]


def seat_can_act(state: State, seat: int) -> bool:
    """Whether some stack of the seat has a move or a capture."""
    return any(
        rings[-1] == seat and can_act(state, cell, len(rings), cap_height(rings))
        for cell, rings in state.stacks.items()
    )


def can_place(state: State, seat: int, cell: int, count: int) -> bool:
    """Whether the placed stack would have an action; the cell is neither marker nor collapsed."""
    rings = state.stacks.get(cell)
    if rings is None:
        return can_act(state, cell, count, count)
    if count != 1:
        return False
    return can_act(state, cell, len(rings) + 1, cap_height([*rings, seat]))


def placements(state: State, seat: int) -> Iterator[tuple]:
    """Yield the legal placements of a seat."""
    supply = state.board.rings - sum(rings.count(seat) for rings in state.stacks.values())
    most = min(3, state.hand[seat], supply)
    for cell in range(len(state.board.xy)):
        if cell in state.markers or cell in state.collapsed:
            continue
        for count in range(1, most + 1):
            if can_place(state, seat, cell, count):
                yield ("P", cell, count)


def has_real_action(state: State, seat: int) -> bool:
    """Whether the seat has a placement, move or capture (RULES 5.4)."""
    return seat_can_act(state, seat) or any(True for _ in placements(state, seat))


def place(state: State, cell: int, count: int) -> None:
    state.stacks[cell] = state.stacks.get(cell, []) + [state.player] * count
    state.hand[state.player] -= count


def _cross(state: State, start: int, end: int) -> None:
    """Collapse own markers and flip others strictly between two cells of a ray."""
    for ray in state.board.rays[start]:
        if end in ray:
            for cell in ray[: ray.index(end)]:
                owner = state.markers.get(cell)
                if owner == state.player:
                    state.collapse([cell], state.player)
                elif owner is not None:
                    state.markers[cell] = state.player


def _land(state: State, rings: list[int], cell: int) -> None:
    """Put a stack down; on a marker it costs the top ring."""
    had_marker = state.markers.pop(cell, None) is not None
    state.stacks[cell] = rings
    if had_marker:
        state.remove_top(cell)


def move_stack(state: State, start: int, end: int) -> None:
    rings = state.stacks.pop(start)
    state.markers[start] = state.player
    _cross(state, start, end)
    _land(state, rings, end)


def capture(state: State, start: int, target: int, end: int) -> None:
    rings = state.stacks.pop(start)
    state.markers[start] = state.player
    _cross(state, start, target)
    _cross(state, target, end)
    taken = state.stacks[target].pop()
    if not state.stacks[target]:
        del state.stacks[target]
    rings.insert(0, taken)
    _land(state, rings, end)
