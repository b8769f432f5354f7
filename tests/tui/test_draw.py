"""Bars, gauges and lines, as pure functions."""

from __future__ import annotations

import pytest

from ringrift.protocol.operator import Condition
from tests.cli import sample
from tui import draw


@pytest.mark.parametrize(
    ("value", "width", "text"),
    [
        (None, 9, "        -"),
        (0.0, 9, "────   0%"),
        (0.5, 9, "━━──  50%"),
        (1.0, 9, "━━━━ 100%"),
        (0.93, 4, " 93%"),
    ],
)
def test_a_meter_shows_bar_and_number(value: float | None, width: int, text: str) -> None:
    assert draw.meter(value, width).plain == text


def test_a_disk_over_its_limits_changes_tone_and_still_shows_its_number() -> None:
    tones = {draw.meter(v, 4, draw.HIGH, draw.FULL).style for v in (0.5, 0.86, 0.95)}
    assert len(tones) == 3


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "├────●────┤"), (2.9, "├────┼━━━━●"), (-9.0, "●━━━━┼────┤"), (1.5, "├────┼━━●─┤")],
)
def test_a_gauge_is_filled_from_zero_and_stops_at_its_bounds(value: float, text: str) -> None:
    assert draw.gauge(value, -2.94, 2.94, 11, "busy").plain == text


def test_an_interval_lies_around_its_middle_on_the_axis() -> None:
    assert draw.interval(-20, 20, 60, 100, 21, "good").plain == "────────[━┼━●━━━]────"


def test_a_style_never_reaches_into_the_next_part() -> None:
    joined = draw.line(draw.words("a", "bad"), draw.words("b"))
    assert joined.style == ""
    assert [(span.start, span.end) for span in joined.spans] == [(0, 1), (1, 2)]


def test_parts_are_never_broken_inside() -> None:
    flowing = draw.flow([draw.words("one two"), draw.words("three"), draw.words("four")], 10)
    assert [row.plain for row in flowing] == ["one two", "three", "four"]
    assert draw.fitting([draw.words("one two"), draw.words("three")], 10).plain == "one two"


def test_conditions_are_aligned_and_reasons_give_way() -> None:
    rows = [
        Condition(name="LLR", value="+3.02", limit=">= 2.94", passed=True, reason="registered before game 1"),
        Condition(name="worst seat", value="38 %", limit=">= 45 %", passed=False, reason="strong everywhere"),
    ]
    wide = [line.plain for line in draw.conditions(rows, 100)]
    assert wide[0].index(">=") == wide[1].index(">=")
    assert wide[1].startswith("✖ failed  worst seat")
    assert all("  " + row.reason in line for row, line in zip(rows, wide, strict=True))
    assert all(line.cell_len <= 44 for line in draw.conditions(rows, 44))


def test_an_evaluation_without_games_is_drawn_without_an_interval() -> None:
    view = sample.evaluation(elo=None, elo_low=None, elo_high=None, score=None, llr=0.0, games=0, seats={})
    lines = [line.plain for line in draw.evaluation(view, 100)]
    assert len(lines) == 3
    assert "●" in lines[1]


@pytest.mark.parametrize("width", [74, 91, 118])
def test_an_evaluation_fits_its_width(width: int) -> None:
    for view in (sample.evaluation(), sample.running_evaluation()):
        assert max(line.cell_len for line in draw.evaluation(view, width)) <= width
