"""Regions cut off by markers or collapsed spaces: finding and claiming them (R140-R145).

A family of regions is fixed by what bounds it: collapsed spaces alone (family 0), or the markers of one
colour too (families 1 to 4). Its regions are the connected components of all other cells. A component without
a marker of the colour is the same in that family and in family 0; it is listed once, under the lowest family
that admits it.
"""

from __future__ import annotations

import numpy as np

from ringrift.game._jit import jit
from ringrift.game.board import bit_of, buried_depth, collapse, lift_stack, marked_row
from ringrift.game.cellset import board_row, lowest_bit, lowest_cell, next_cell, place_of
from ringrift.game.geometry import MARGIN, NONE, ROWS
from ringrift.game.moves import CHOOSE_TERRITORY, NO_TERRITORY, SKIP_TERRITORY, pack
from ringrift.game.phases import OWED_RECOVERY, OWED_TERRITORY
from ringrift.game.state import BORDER, COLLAPSED, PAYERS, REGION


@jit
def root_of(root, run):
    """First run of the component; paths are halved on the way (union-find)."""
    while root[run] != run:
        root[run] = root[root[run]]
        run = root[run]
    return run


@jit
def join_above(scratch, above, end, number, reach):
    """Join a run with the components of those runs `above` .. `end - 1` of the row before that it touches.

    Returns by how many the components have grown: 1 for a run on its own, less for each one joined.
    """
    work = scratch.work[0]
    root = number
    work["root"][number] = number
    grown = 1
    while above < end and work["run"][above] & reach != 0:
        other = root_of(work["root"], above)
        if other != root:
            work["root"][max(root, other)] = min(root, other)
            root = min(root, other)
            grown -= 1
        above += 1
    return grown


@jit
def label_runs(geo, states, i, family, scratch):
    """Split the cells of a family into runs along the rows, and join those that touch into components.

    A row costs a few operations for each of its runs instead of some for each cell. Returns the numbers of
    runs and of components; field `root` leads to the first run of a component, in which its smallest cell is
    the lowest. Source: run-based two-pass labelling (He, Chao and Suzuki, 2008).
    """
    work = scratch.work[0]
    s = states[i]
    runs = components = above = 0
    for number in range(MARGIN, MARGIN + geo.n_rows):
        first = runs
        bounds = s["space_rows"][COLLAPSED, number] | s["marker_rows"][family, number]
        rest = board_row(geo, number) & ~np.int64(bounds)
        while rest != 0:
            low = lowest_bit(rest)
            run = rest & ~(rest + low)
            rest ^= run
            work["run"][runs] = run
            work["row"][runs] = number
            while above < first and work["run"][above] < low:
                above += 1
            components += join_above(scratch, above, first, runs, run | run << geo.lean)
            runs += 1
        above = first
    return runs, components


@jit
def point_to_roots(scratch, runs):
    """Let every run lead to the first one of its component at once."""
    work = scratch.work[0]
    for run in range(runs):
        work["root"][run] = work["root"][work["root"][run]]


@jit
def can_pay(states, i, cell):
    """True when the stack on `cell` may pay for a region: controlled, or with a buried ring (R114)."""
    s = states[i]
    if s["recovered"] == 1:
        return buried_depth(states, i, cell, np.int64(s["player"])) > 0
    return s["top"][cell] == s["player"]


@jit
def find_payers(geo, states, i, scratch):
    """Fill the cell set `PAYERS`; return False when no stack could pay."""
    work = scratch.work[0]
    s = states[i]
    found = False
    for number in range(MARGIN, MARGIN + geo.n_rows):
        work["sets"][PAYERS, number] = s["top_rows"][s["player"], number] if s["recovered"] == 0 else 0
        found |= work["sets"][PAYERS, number] != 0
    if s["recovered"] == 1:
        for cell in range(geo.n_cells):
            if can_pay(states, i, cell):
                place = place_of(geo, cell)
                work["sets"][PAYERS, place >> 5] |= bit_of(place)
                found = True
    return found


@jit
def bits_met(rows, number, players, run):
    """Bit set of the seats 1 to `players` that have a cell of the run."""
    met = 0
    for seat in range(1, players + 1):
        met |= np.int64(rows[seat, number] & run != 0) << seat
    return met


@jit
def touches(geo, rows, number, run):
    """True when a cell of the set is a territory neighbour of the run."""
    beside = rows[number] & (run << 1 | run >> 1)
    before = rows[number - 1] & (run | run << geo.lean)
    behind = rows[number + 1] & (run | run >> geo.lean)
    return beside | before | behind != 0


@jit
def note_components(geo, states, i, family, runs, scratch):
    """Note per component who controls stacks in it, whether one could pay, and which markers it meets.

    These are the colours inside for family 0, else the family's own colour where it bounds the component.
    Returns how many components hold a stack that could pay.
    """
    work = scratch.work[0]
    s = states[i]
    players = np.int64(s["players"])
    markers = s["marker_rows"]
    paying = 0
    for number in range(runs):
        root, run, row = work["root"][number], work["run"][number], work["row"][number]
        if root == number:
            work["controllers"][root] = work["paying"][root] = work["colours"][root] = 0
        work["controllers"][root] |= bits_met(s["top_rows"], row, players, run)
        if family == 0:
            work["colours"][root] |= bits_met(markers, row, players, run)
        elif touches(geo, markers[family], row, run):
            work["colours"][root] = 1 << family
        if work["sets"][PAYERS, row] & run != 0:
            paying += np.int64(work["paying"][root] == 0)
            work["paying"][root] = 1
    return paying


@jit
def count_seats(seats):
    """Number of seats in a bit set of seats 1..4."""
    return (seats >> 1 & 1) + (seats >> 2 & 1) + (seats >> 3 & 1) + (seats >> 4 & 1)


@jit
def active_colours(states, i):
    """How many colours own a ring on the board, buried ones included."""
    count = 0
    for seat in range(1, states[i]["players"] + 1):
        count += np.int64(states[i]["on_board"][seat] > 0)
    return count


@jit
def admitting_family(states, i, family, inside, colours, active):
    """Lowest family that admits a component with that many controllers inside, or `NONE`.

    A component of family 0 counts under the lowest colour that has markers, but none inside; one of another
    family only where markers of that colour bound it.
    """
    s = states[i]
    if family > 0:
        return family if colours != 0 and inside < active else NONE
    if inside == 1 and active > 1:
        return 0
    if inside < active:
        for colour in range(1, s["players"] + 1):
            if s["markers"][colour] > 0 and not colours >> colour & 1:
                return colour
    return NONE


@jit
def add_family(geo, states, i, scratch, family, active, out, n):
    """Append the regions of one family; needs the cell set `PAYERS`. A single component holds every payer."""
    work = scratch.work[0]
    runs, components = label_runs(geo, states, i, family, scratch)
    if components <= 1:
        return n
    point_to_roots(scratch, runs)
    paying = note_components(geo, states, i, family, runs, scratch)
    for run in range(runs):
        if work["root"][run] != run or paying == work["paying"][run]:
            continue
        inside = count_seats(work["controllers"][run])
        under = admitting_family(states, i, family, inside, work["colours"][run], active)
        if under != NONE:
            cell = lowest_cell(geo, work["row"][run], work["run"][run])
            out[n] = pack(CHOOSE_TERRITORY, cell, 0, cell, 0, under, 0)
            n += 1
    return n


@jit
def may_be_cut(states, i):
    """True when some family is not known to be connected."""
    s = states[i]
    for family in range(s["players"] + 1):  # noqa: SIM110 - numba compiles no generators
        if s["connected"][family] == 0:
            return True
    return False


@jit
def find_connected(geo, states, i, scratch):
    """Look again whether the families not known to be connected are."""
    s = states[i]
    for family in range(s["players"] + 1):
        if s["connected"][family] == 0:
            s["connected"][family] = label_runs(geo, states, i, family, scratch)[1] <= 1


@jit
def add_regions(geo, states, i, scratch, out, n):
    """Append one decision for each region that the mover may claim."""
    s = states[i]
    if not may_be_cut(states, i) or not find_payers(geo, states, i, scratch):
        return n
    active = active_colours(states, i)
    for family in range(s["players"] + 1):
        if s["connected"][family] == 0:
            n = add_family(geo, states, i, scratch, family, active, out, n)
    return n


@jit
def has_region(geo, states, i, scratch):
    """True when the mover may claim a region; overwrites `scratch.moves`."""
    return add_regions(geo, states, i, scratch, scratch.moves, 0) > 0


@jit
def add_territory_decisions(geo, states, i, scratch, out, n):
    """Append the legal set of phase `territory_processing` while nothing is owed."""
    before = n
    n = add_regions(geo, states, i, scratch, out, n)
    out[n] = NO_TERRITORY if n == before else SKIP_TERRITORY
    return n + 1


@jit
def find_region(geo, states, i, scratch, cell, family):
    """Fill the cell set `REGION` with the component of a family that holds the cell; empty `BORDER`."""
    work = scratch.work[0]
    runs, _ = label_runs(geo, states, i, family, scratch)
    point_to_roots(scratch, runs)
    place = place_of(geo, cell)
    wanted = NONE
    for run in range(runs):
        if work["row"][run] == place >> 5 and work["run"][run] >> (place & 31) & 1 == 1:
            wanted = work["root"][run]
    for number in range(ROWS):
        work["sets"][REGION, number] = work["sets"][BORDER, number] = 0
    for run in range(runs):
        if work["root"][run] == wanted:
            work["sets"][REGION, work["row"][run]] |= work["run"][run]


@jit
def find_border(geo, states, i, scratch):
    """Add to the empty `BORDER` the markers that collapse with the cell set `REGION`."""
    work = scratch.work[0]
    region, border = work["sets"][REGION], work["sets"][BORDER]
    for number in range(MARGIN, MARGIN + geo.n_rows):
        own, before, behind = region[number], region[number - 1], region[number + 1]
        near = own << 1 | own >> 1 | before | before >> geo.lean | behind | behind << geo.lean
        border[number] = near & ~own & marked_row(states, i, number)
    growing = geo.spreads == 1
    while growing:
        growing = False
        for number in range(MARGIN, MARGIN + geo.n_rows):
            near = border[number - 1] | border[number] | border[number + 1]
            near = (near | near << 1 | near >> 1) & ~region[number] & marked_row(states, i, number)
            growing |= near & ~border[number] != 0
            border[number] |= near


@jit
def claim_cell(geo, states, i, cell):
    """Collapse a cell of a region for the mover, who is credited with every ring on it."""
    s = states[i]
    player = np.int64(s["player"])
    height = np.int64(s["height"][cell])
    if height > 0:
        for depth in range(height):
            s["on_board"][(s["rings"][cell] >> 2 * depth & 3) + 1] -= 1
        lift_stack(geo, states, i, cell)
        s["eliminated"][player] += height
    collapse(geo, states, i, cell, player)


@jit
def apply_region(geo, states, i, scratch, region, family):
    """Claim the region with that smallest cell and its border markers; an elimination is owed."""
    work = scratch.work[0]
    s = states[i]
    find_region(geo, states, i, scratch, region, family)
    find_border(geo, states, i, scratch)
    cell = next_cell(geo, work["sets"][BORDER], -1)
    while cell != NONE:
        collapse(geo, states, i, cell, np.int64(s["player"]))
        cell = next_cell(geo, work["sets"][BORDER], cell)
    cell = next_cell(geo, work["sets"][REGION], -1)
    while cell != NONE:
        claim_cell(geo, states, i, cell)
        cell = next_cell(geo, work["sets"][REGION], cell)
    s["pending"] = OWED_RECOVERY if s["recovered"] == 1 else OWED_TERRITORY
