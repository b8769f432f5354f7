"""Playing recorded games again, many in one call: proof that every move was legal, and their positions.

A recorded move is a rank in the canonical order of the legal set: by destination, then by packed value. That
order belongs to the meaning of a record and does not depend on the order in which moves are generated.
"""

from __future__ import annotations

import numpy as np

from ringrift.game._jit import jit
from ringrift.game.apply import apply
from ringrift.game.moves import move_to
from ringrift.game.playout import copy_position, next_decision

NO_ROOM = -1
"""Result of `replay_game` when the room for legal moves is used up."""

FEW = 24
"""So many moves are sorted by insertion, more are first counted by destination."""

DONE, WINNER, PLIES, SWAPPED, CHECKSUM = range(5)
"""Columns of what `replay_games` tells of a game."""

_WORD = 0xFFFFFFFF
_PRIME = 16777619


@jit
def insert_moves(out, first, count):
    """Sort `out[first : first + count]` by destination and packed value: quick for few, or nearly sorted."""
    for k in range(first + 1, first + count):
        move, j = out[k], k
        to = move_to(move)
        while j > first and (
            move_to(out[j - 1]) > to or (move_to(out[j - 1]) == to and out[j - 1] > move)
        ):
            out[j] = out[j - 1]
            j -= 1
        out[j] = move


@jit
def sort_moves(geo, moves, count, out, first):
    """Write `count` moves to `out[first:]` in canonical order; needs `room` there, the end for counting."""
    if count <= FEW:
        for k in range(count):
            out[first + k] = moves[k]
        insert_moves(out, first, count)
        return
    tally = first + geo.max_moves
    for cell in range(geo.n_cells):
        out[tally + cell] = 0
    for k in range(count):
        out[tally + move_to(moves[k])] += 1
    place = first
    for cell in range(geo.n_cells):
        size = out[tally + cell]
        out[tally + cell] = place
        place += size
    for k in range(count):
        to = tally + move_to(moves[k])
        out[out[to]] = moves[k]
        out[to] += 1
    insert_moves(out, first, count)


@jit
def room(geo):
    """Return how many entries behind `first` are written by `sort_moves`."""
    return geo.max_moves + geo.n_cells


@jit
def sorted_decision(geo, states, i, scratch, out, first):
    """Play forced plies; write the legal set in canonical order to `out[first:]`; return its size or 0."""
    count = next_decision(geo, states, i, scratch, scratch.moves)
    sort_moves(geo, scratch.moves, count, out, first)
    return count


@jit
def replay_game(geo, states, scratch, played, kept, begin, end, out, at, moves, offsets):
    """Play the decisions `played[begin:end]`, ranks in canonical order, from record 0 of `states` on.

    Where `kept` is not 0 the position goes to `out[at]` and its legal set to `moves[offsets[at]:]`, and `at`
    advances; `offsets[at]` must be set. Returns how many decisions were legal, one more than there are if the
    game goes on behind them, or `NO_ROOM`. After a complete game record 0 is its final position.
    """
    for decision in range(begin, end):
        first = offsets[at]
        if first + room(geo) > moves.shape[0]:
            return NO_ROOM
        count = sorted_decision(geo, states, 0, scratch, moves, first)
        if played[decision] >= count:
            return decision - begin
        move = moves[first + played[decision]]
        if kept[decision] != 0:
            copy_position(out, at, states, 0)
            at += 1
            offsets[at] = first + count
        apply(geo, states, 0, scratch, move)
    if next_decision(geo, states, 0, scratch, scratch.moves) > 0:
        return end - begin + 1
    return end - begin


@jit
def replay_games(
    geo, openings, variants, states, scratch, played, kept, bounds, first, out, at, moves, offsets, ends
):
    """Replay the games from `first` on; game g begins with `openings[variants[g]]`.

    Its decisions are `bounds[g]:bounds[g + 1]`.
    `ends[g]` (5,) gets the result of `replay_game`, and of the final position: winner, plies, whether the
    seats were exchanged, `final_checksum`. The rest is as in `replay_game`. Stops at the first game that is
    not complete and returns its number, or the number of games.
    """
    for game in range(first, ends.shape[0]):
        copy_position(states, 0, openings, variants[game])
        begin, end = bounds[game], bounds[game + 1]
        done = replay_game(geo, states, scratch, played, kept, begin, end, out, at, moves, offsets)
        ends[game, DONE] = done
        if done != end - begin:
            return game
        ends[game, WINNER] = states[0]["winner"]
        ends[game, PLIES] = states[0]["ply"]
        ends[game, SWAPPED] = states[0]["swapped"]
        ends[game, CHECKSUM] = final_checksum(geo, states, 0)
        for decision in range(begin, end):
            at += 1 if kept[decision] != 0 else 0
    return ends.shape[0]


@jit
def mix(total, value):
    """Add the low and the high half of a word to a checksum (FNV-1a on 32-bit words)."""
    value = np.int64(value)
    total = (total ^ (value & _WORD)) * _PRIME & _WORD
    return (total ^ (value >> 32 & _WORD)) * _PRIME & _WORD


@jit
def final_checksum(geo, states, i):
    """Return 32 bits over the board, the counters, the winner and the number of plies of position `i`."""
    s = states[i]
    total = mix(mix(mix(2166136261, s["ply"]), s["winner"]), s["swapped"])
    for seat in range(1, s["players"] + 1):
        total = mix(mix(mix(total, s["hand"][seat]), s["eliminated"][seat]), s["territory"][seat])
    for cell in range(geo.n_cells):
        if s["height"][cell] > 0:
            total = mix(mix(mix(total, cell), s["rings"][cell]), s["height"][cell])
        elif s["marker"][cell] > 0:
            total = mix(mix(total, cell), s["marker"][cell] + 8)
        elif s["collapsed"][cell] > 0:
            total = mix(mix(total, cell), s["collapsed"][cell] + 16)
    return total
