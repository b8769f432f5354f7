"""The room offers exactly what the controller asks for."""

from __future__ import annotations

import inspect

import pytest

from hosts.fleet import SshFleet
from ringrift.control.domain.ports import Fleet

ASKED = sorted(name for name in vars(Fleet) if not name.startswith("_"))


@pytest.mark.parametrize("name", ASKED)
def test_every_method_of_the_port_is_there_with_its_parameters(name):
    asked, offered = getattr(Fleet, name), getattr(SshFleet, name)
    assert inspect.iscoroutinefunction(offered)
    assert list(inspect.signature(offered).parameters) == list(inspect.signature(asked).parameters)


def test_nothing_else_is_offered():
    assert sorted(name for name in vars(SshFleet) if not name.startswith("_")) == ASKED
