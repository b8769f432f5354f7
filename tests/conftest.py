"""What every test shares: the longest runs begin first, so that two workers end together."""

from __future__ import annotations

import os

import pytest

os.environ.pop("PYTHONUNBUFFERED", None)  # people's shells have none, and it hides what is lost in buffers


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the end-to-end runs and the simulation first; the order of all others stays."""
    items.sort(
        key=lambda item: item.get_closest_marker("endtoend") is None and item.path.parent.name != "simulation"
    )
