"""Regions cut off by markers or collapsed spaces: finding and claiming them (R140-R145).

A family of regions is fixed by what bounds it: collapsed spaces alone (family 0), or the markers of one
colour too (families 1 to 4). Its regions are the connected components of all other cells. A component without
a marker of the colour is the same in that family and in family 0; it is listed once, under the lowest family
that admits it.
"""

from __future__ import annotations

import numpy as np

from ringrift.game._jit import jit
from ringrift.game.board import buried_depth, collapse, lift_stack
from ringrift.game.geometry import NONE
from ringrift.game.moves import CHOOSE_TERRITORY, NO_TERRITORY, SKIP_TERRITORY, pack
from ringrift.game.phases import OWED_RECOVERY, OWED_TERRITORY

BORDER = NONE - 1
"""Label of a marker that collapses with the region it borders; never a cell."""


@jit
def label_root(label, cell):
    while label[cell] != cell:
        label[cell] = label[label[cell]]
        cell = label[cell]
    return cell


@jit
def join_earlier(geo, label, cell):
    """Join a cell with the components of its neighbours of smaller number; the smallest cell is the root.

    Returns by how many the components have grown: 1 for a cell on its own, less for each one joined.
    """
    root = cell
    label[cell] = cell
    grown = 1
    for slot in range(3):
        near = np.int64(geo.earlier[cell, slot])
        if near == NONE:
            break
        if label[near] != NONE:
            other = label_root(label, near)
            if other != root:
                label[max(root, other)] = min(root, other)
                root = min(root, other)
                grown -= 1
    return grown


@jit
def label_family(geo, states, i, family, label):
    """Label each cell with the smallest cell of its component; cells that bound the family get `NONE`.

    Two passes with union-find (Rosenfeld and Pfaltz, 1966). Returns the number of components.
    """
    s = states[i]
    components = 0
    for cell in range(geo.n_cells):
        if s["collapsed"][cell] > 0 or (family > 0 and s["marker"][cell] == family):
            label[cell] = NONE
        else:
            components += join_earlier(geo, label, cell)
    for cell in range(geo.n_cells):
        if label[cell] != NONE:
            label[cell] = label[label[cell]]
    return components


@jit
def can_pay(states, i, cell):
    """True when the stack on `cell` may pay for a region: controlled, or with a buried ring (R114)."""
    s = states[i]
    if s["recovered"] == 1:
        return buried_depth(states, i, cell, np.int64(s["player"])) > 0
    return s["top"][cell] == s["player"]


@jit
def tally_components(geo, states, i, label, scratch):
    """Note per component who controls stacks inside and how many could pay; return how many on the board."""
    s = states[i]
    total = 0
    for cell in range(geo.n_cells):
        scratch.controllers[cell] = 0
        scratch.payers[cell] = 0
        top = np.int64(s["top"][cell])
        if top > 0:
            pays = np.int64(can_pay(states, i, cell))
            scratch.controllers[label[cell]] |= 1 << top
            scratch.payers[label[cell]] += pays
            total += pays
    return total


@jit
def note_marker_colours(geo, states, i, scratch):
    """Note per component of family 0 which colours have markers inside."""
    s = states[i]
    for cell in range(geo.n_cells):
        scratch.colours[cell] = 0
        if s["marker"][cell] > 0:
            scratch.colours[scratch.whole[cell]] |= 1 << np.int64(s["marker"][cell])


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
def family_of_whole(states, i, inside, colours, active):
    """Lowest family that admits a component of family 0 with that many controllers inside, or `NONE`."""
    s = states[i]
    if inside == 1 and active > 1:
        return 0
    if inside < active:
        for colour in range(1, s["players"] + 1):
            if s["markers"][colour] > 0 and not colours >> colour & 1:
                return colour
    return NONE


@jit
def add_whole_regions(geo, states, i, scratch, active, out, n):
    """Append the regions that only collapsed spaces bound; fill `scratch.whole` and `scratch.colours`.

    A single component holds every stack that could pay for it, here and below.
    """
    components = label_family(geo, states, i, 0, scratch.whole)
    note_marker_colours(geo, states, i, scratch)
    if components == 1:
        return n
    payers = tally_components(geo, states, i, scratch.whole, scratch)
    for cell in range(geo.n_cells):
        if scratch.whole[cell] == cell and scratch.payers[cell] < payers:
            inside = count_seats(scratch.controllers[cell])
            family = family_of_whole(states, i, inside, scratch.colours[cell], active)
            if family != NONE:
                out[n] = pack(CHOOSE_TERRITORY, cell, 0, cell, 0, family, 0)
                n += 1
    return n


@jit
def add_marked_regions(geo, states, i, scratch, colour, active, out, n):
    """Append the regions that markers of the colour bound; needs `scratch.whole` and `scratch.colours`."""
    if label_family(geo, states, i, colour, scratch.label) == 1:
        return n
    payers = tally_components(geo, states, i, scratch.label, scratch)
    for cell in range(geo.n_cells):
        if (
            scratch.label[cell] == cell
            and scratch.payers[cell] < payers
            and scratch.colours[scratch.whole[cell]] >> colour & 1
            and count_seats(scratch.controllers[cell]) < active
        ):
            out[n] = pack(CHOOSE_TERRITORY, cell, 0, cell, 0, colour, 0)
            n += 1
    return n


@jit
def add_regions(geo, states, i, scratch, out, n):
    """Append one decision for each region that the mover may claim."""
    s = states[i]
    if s["recovered"] == 0 and s["stacks"][s["player"]] == 0:
        return n
    active = active_colours(states, i)
    n = add_whole_regions(geo, states, i, scratch, active, out, n)
    for colour in range(1, s["players"] + 1):
        if s["markers"][colour] > 0:
            n = add_marked_regions(geo, states, i, scratch, colour, active, out, n)
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
def label_border(geo, states, i, region, scratch):
    """Label the markers that collapse with a labelled region; list them in the queue, return how many."""
    s = states[i]
    label, queue = scratch.label, scratch.queue
    found = 0
    for cell in range(geo.n_cells):
        if label[cell] == region:
            for slot in range(6):
                near = np.int64(geo.neighbours[cell, slot])
                if near == NONE:
                    break
                if s["marker"][near] > 0 and label[near] != region and label[near] != BORDER:
                    label[near] = BORDER
                    queue[found] = near
                    found += 1
    done = 0
    while done < found:
        for slot in range(8):
            near = np.int64(geo.spread[queue[done], slot])
            if near == NONE:
                break
            if s["marker"][near] > 0 and label[near] != region and label[near] != BORDER:
                label[near] = BORDER
                queue[found] = near
                found += 1
        done += 1
    return found


@jit
def claim_cell(states, i, cell):
    """Collapse a cell of a region for the mover, who is credited with every ring on it."""
    s = states[i]
    player = np.int64(s["player"])
    height = np.int64(s["height"][cell])
    if height > 0:
        for depth in range(height):
            s["on_board"][(s["rings"][cell] >> 2 * depth & 3) + 1] -= 1
        lift_stack(states, i, cell)
        s["eliminated"][player] += height
    collapse(states, i, cell, player)


@jit
def apply_region(geo, states, i, scratch, region, family):
    """Claim the region with that smallest cell and its border markers; an elimination is owed."""
    s = states[i]
    label_family(geo, states, i, family, scratch.label)
    for place in range(label_border(geo, states, i, region, scratch)):
        collapse(states, i, scratch.queue[place], np.int64(s["player"]))
    for cell in range(geo.n_cells):
        if scratch.label[cell] == region:
            claim_cell(states, i, cell)
    s["pending"] = OWED_RECOVERY if s["recovered"] == 1 else OWED_TERRITORY
