"""Rounds of a search that the heuristic judges, whole in compiled code.

A round of one game is a single simulation of some ten microseconds. Called step by step from Python, threads
that search at the same time took longer together than one after the other, handing on the interpreter.
"""

from __future__ import annotations

from ringrift.game._jit import jit
from ringrift.players.search.evaluators import judge_leaves
from ringrift.players.search.root import plan_round
from ringrift.players.search.tree import absorb, collect


@jit
def simulate_rounds(geo, forest, roots, leaves, schedule, turn, enough, method, tasks, terms, work):
    """Do rounds of `schedule` from `turn` on until `enough` simulations are done; return the next round."""
    done = 0
    while turn < schedule.shape[1] and done < enough:
        count = plan_round(forest, roots, schedule, turn, method, tasks, work)
        first = 0
        while first < count:
            step, slots = collect(geo, forest, leaves, tasks, first, count, method, work)
            judge_leaves(geo, forest.states, leaves, slots, terms)
            absorb(forest, leaves, slots, work)
            first += step
        done += count
        turn += 1
    return turn
