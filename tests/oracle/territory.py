"""Regions and their claims (RULES 4.8)."""

from __future__ import annotations

from tests.oracle.state import State


def components(state: State, colour: int) -> list[frozenset[int]]:
    """Return the connected sets of cells that are neither collapsed nor a marker of that colour (0: any)."""
    collapsed, adjacent = state.collapsed, state.board.adjacent
    walls = {cell for cell, owner in state.markers.items() if owner == colour}
    seen: set[int] = set()
    found = []
    for first in range(len(state.board.xy)):
        if first in seen or first in collapsed or first in walls:
            continue
        seen.add(first)
        cells = [first]
        for cell in cells:
            for c in adjacent[cell]:
                if c not in seen and c not in collapsed and c not in walls:
                    seen.add(c)
                    cells.append(c)
        found.append(frozenset(cells))
    return found


def _controllers(state: State, region: frozenset[int]) -> set[int]:
    return {rings[-1] for cell, rings in state.stacks.items() if cell in region}


def regions(state: State) -> list[frozenset[int]]:
    """Return every region of the board, each cell set once."""
    active = {ring for rings in state.stacks.values() for ring in rings}
    found: dict[frozenset[int], None] = {}
    if not active:
        return []
    for colour in set(state.markers.values()):
        for region in components(state, colour):
            if len(_controllers(state, region)) < len(active):
                found[region] = None
    for region in components(state, 0):
        if len(_controllers(state, region)) == 1 and len(active) > 1:
            found[region] = None
    return list(found)


def processable(state: State) -> list[frozenset[int]]:
    """Return the regions that the player to move can pay for; kept until the next move."""
    if state.regions is None:
        payers = state.buried(state.player) if state.recovered else state.controlled(state.player)
        found = regions(state) if payers else []
        state.regions = [region for region in found if any(cell not in region for cell in payers)]
    return state.regions


def border(state: State, region: frozenset[int]) -> set[int]:
    """Return the markers outside the region that collapse with it."""
    markers, adjacent, spread = state.markers, state.board.adjacent, state.board.spread
    reached = {c for cell in region for c in adjacent[cell] if c in markers and c not in region}
    queue = list(reached)
    for cell in queue:
        for c in spread[cell]:
            if c in markers and c not in region and c not in reached:
                reached.add(c)
                queue.append(c)
    return reached


def claim(state: State, region: frozenset[int]) -> None:
    """Collapse a region and its border for the player to move, who is credited with the rings inside."""
    cells = [*region, *border(state, region)]
    state.eliminated[state.player] += sum(
        len(rings) for cell, rings in state.stacks.items() if cell in region
    )
    state.collapse(cells, state.player)
