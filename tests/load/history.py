"""Holds every answer against what its service was told to serve at that time."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tests.load.shooter import Shot


class Order(NamedTuple):
    """A model that a target was told to serve, from `began` on, and certainly after `ended`."""

    began: float
    ended: float
    model: str


def possible(orders: Sequence[Order], start: float, end: float) -> set[str]:
    """Return the models with which a target may have answered between two moments.

    `orders` are one after the other. It is what the last one before `start` told, and what any told that was
    under way meanwhile.
    """
    later = bisect_left(orders, start, key=lambda order: order.ended)
    return {order.model for order in orders[max(later - 1, 0) :] if order.began <= end}


def wrong(shots: Iterable[Shot], orders: dict[int, list[Order]]) -> list[Shot]:
    """Return the answers that name a model which their service (by port) could not have served."""
    return [
        shot
        for shot in shots
        if shot.model != "-" and shot.model not in possible(orders[shot.port], shot.sent, shot.answered)
    ]
