"""At every named place the controller is killed, before and after, and what follows is as if it was not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.failpoints.killing import Arrival, first_of_each, kill_and_repeat
from tests.failpoints.places import names
from tests.failpoints.run import ALL, played, quiet

MOMENTS = ("before", "after")
PLACES = [(name, moment) for name in names() for moment in MOMENTS]


@pytest.fixture(scope="module")
def arrivals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, str], Arrival]]:
    """The first arrival at every place, of all scenes played once."""
    with quiet(), played(ALL, tmp_path_factory.mktemp("scenes")) as found:
        yield first_of_each(found)


def test_every_named_place_is_reached_by_a_scene_and_no_other(arrivals) -> None:
    assert set(arrivals) == {(name, moment) for name in names() for moment in MOMENTS}


@pytest.mark.parametrize(("name", "moment"), PLACES)
def test_a_controller_killed_there_loses_nothing_and_comes_to_the_same_end(arrivals, name, moment) -> None:
    kill_and_repeat(arrivals[name, moment])
