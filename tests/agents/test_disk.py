"""How full a disk may be, told by what is used and what is left."""

from __future__ import annotations

import errno

import pytest
from pydantic import ValidationError

from agents.disk import Ballast, DiskRule, Level
from agents.settings import AgentFile, config_hash

PERCENT = DiskRule((70.0, 85.0, 92.0))


@pytest.mark.parametrize(
    ("used", "level"),
    [
        (0, Level.FINE),
        (699, Level.FINE),
        (700, Level.WARN),
        (849, Level.WARN),
        (850, Level.PAUSE),
        (919, Level.PAUSE),
        (920, Level.STOP),
        (1000, Level.STOP),
    ],
)
def test_a_disk_warns_at_70_pauses_at_85_and_stops_at_92_percent(used, level):
    assert PERCENT.judge(used, 1000 - used).level == level


def test_a_disk_that_is_not_fine_says_how_full_it_is_and_what_the_limit_was():
    assert PERCENT.judge(10 << 30, 90 << 30).words == ""
    assert PERCENT.judge(86 << 30, 14 << 30).words == "disk 86 % full, 14.00 GiB free; the limit is 85 %"


@pytest.mark.parametrize(
    ("free", "level"), [(100, Level.FINE), (99, Level.PAUSE), (50, Level.PAUSE), (49, Level.STOP)]
)
def test_a_set_floor_goes_before_the_shares(free, level):
    assert DiskRule((1.0, 2.0, 3.0), floor=100).judge(10_000, free).level == level


def test_no_floor_lets_everything_through():
    assert DiskRule((1.0, 2.0, 3.0), floor=0).judge(1000, 0).level == Level.FINE


def test_shares_that_descend_are_refused():
    with pytest.raises(ValidationError, match="disk_percent"):
        AgentFile(host="alpha", disk_percent=(85.0, 70.0, 92.0))


def test_settings_are_told_apart_by_their_hash_but_not_by_their_token():
    plain = config_hash({"host": "alpha"})
    assert config_hash({"host": "alpha", "token": "a" * 20}) == plain
    assert config_hash({"host": "alpha", "spool_bytes": 5}) != plain


def test_room_is_reserved_while_there_is_enough_and_given_back_when_there_is_none(tmp_path):
    path = tmp_path / "ballast"
    ballast = Ballast(path, 1 << 20)
    ballast.keep(Level.PAUSE)
    assert not path.exists()
    ballast.keep(Level.WARN)
    assert path.stat().st_blocks * 512 >= 1 << 20
    ballast.keep(Level.PAUSE)
    assert path.exists()
    ballast.keep(Level.STOP)
    assert list(tmp_path.iterdir()) == []


def test_room_that_cannot_be_reserved_is_no_error_and_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "no space left")

    ballast = Ballast(tmp_path / "ballast", 1 << 20)
    monkeypatch.setattr("agents.disk.Path.write_bytes", full)
    ballast.keep(Level.FINE)
    assert list(tmp_path.iterdir()) == []
