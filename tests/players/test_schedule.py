"""Sequential halving against golden schedules that were worked out from the paper's formula by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from ringrift.players.search.schedule import rounds

GOLDEN = json.loads((Path(__file__).parent / "data" / "halving.json").read_text())


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: f"{case['simulations']}-{case['considered']}")
def test_the_schedule_is_the_papers(case):
    assert list(rounds(case["simulations"], case["considered"])) == case["rounds"]


@pytest.mark.parametrize("considered", [1, 2, 3, 5, 16, 48, 64])
@pytest.mark.parametrize("simulations", [0, 1, 2, 7, 16, 50, 200, 1001])
def test_the_whole_budget_is_spent_and_rounds_never_grow(simulations, considered):
    sizes = rounds(simulations, considered)
    assert sum(sizes) == simulations
    assert all(1 <= size <= considered for size in sizes)
    assert list(sizes) == sorted(sizes, reverse=True)


def test_each_phase_gets_an_equal_share_of_a_large_budget():
    sizes = rounds(1600, 16)
    spent = {size: size * sizes.count(size) for size in (16, 8, 4)}
    assert math.isclose(min(spent.values()), 400, rel_tol=0.05)
    assert max(spent.values()) <= 400
