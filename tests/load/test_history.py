"""The checker of the load test finds an answer from a model that was not served then."""

from __future__ import annotations

import pytest

from tests.load.history import Order, possible, wrong
from tests.load.shooter import Shot

ORDERS = [Order(10.0, 11.0, "a"), Order(20.0, 21.0, "b"), Order(30.0, 31.0, "a")]


@pytest.mark.parametrize(
    ("start", "end", "models"),
    [
        (12.0, 13.0, "a"),
        (19.5, 20.5, "ab"),
        (20.2, 20.4, "ab"),
        (20.9, 22.0, "ab"),
        (21.1, 22.0, "b"),
        (19.0, 35.0, "ab"),
        (32.0, 99.0, "a"),
    ],
)
def test_a_target_answers_with_the_last_order_or_with_one_under_way(start, end, models) -> None:
    assert possible(ORDERS, start, end) == set(models)


def test_an_answer_from_a_former_or_coming_model_is_found() -> None:
    def shot(at: float, model: str) -> Shot:
        return Shot(at, at, at + 0.1, 1, 200, 1, model)

    right = [shot(12.0, "a"), shot(20.5, "b"), shot(25.0, "b"), shot(25.0, "-"), shot(40.0, "a")]
    late, early = shot(22.0, "a"), shot(29.0, "a")
    assert wrong([*right, late, early], {1: ORDERS}) == [late, early]
    assert Shot.read("1.0000 1.0001 1.0100 80 200 1 a\n") == Shot(1.0, 1.0001, 1.01, 80, 200, 1, "a")
