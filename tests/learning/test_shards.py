"""Shards: deterministic, whole or refused, with the sound prefix to be saved."""

from __future__ import annotations

import errno
import hashlib
import os

import pytest

from ringrift.errors import BadInput, CorruptData, EnvironmentProblem, NotFound
from ringrift.learning import shards
from ringrift.learning.shards import read_shard, salvage, shard_bytes, write_shard

MAGIC, END_FRAME = 8, 9 + 36


@pytest.fixture
def records(record) -> list[bytes]:
    return [record(game=game, decisions=6) for game in range(4)]


def frame_ends(records: list[bytes]) -> list[int]:
    """Offsets behind the magic and behind every frame of a game."""
    return [MAGIC, *(len(shard_bytes(records[: n + 1])) - END_FRAME for n in range(len(records)))]


def test_a_shard_gives_its_records_back(tmp_path, records):
    path, sha = write_shard(tmp_path, records)
    assert read_shard(path, sha) == records


def test_a_shard_is_named_by_its_hash_and_leaves_no_other_file(tmp_path, records):
    path, sha = write_shard(tmp_path, records)
    assert path.name == f"{sha}.shard"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == sha
    assert list(tmp_path.iterdir()) == [path]


def test_the_same_games_are_the_same_bytes(records):
    assert shard_bytes(records) == shard_bytes([bytes(record) for record in records])


def test_a_shard_without_games_is_refused():
    with pytest.raises(BadInput):
        shard_bytes([])


def test_a_shard_cut_at_every_frame_is_refused_and_its_games_are_saved(tmp_path, records):
    whole, path = shard_bytes(records), tmp_path / "cut.shard"
    for games, end in enumerate(frame_ends(records)):
        path.write_bytes(whole[:end])
        with pytest.raises(CorruptData, match=f"cut off after {games} games"):
            read_shard(path)
        assert salvage(path) == records[:games]


def test_a_shard_cut_inside_a_frame_is_refused_and_the_games_before_are_saved(tmp_path, records):
    whole, path = shard_bytes(records), tmp_path / "cut.shard"
    for games, end in enumerate(frame_ends(records)):
        for extra in (1, 8, 9, 20):
            path.write_bytes(whole[: end + extra])
            with pytest.raises(CorruptData):
                read_shard(path)
            assert salvage(path) == records[:games]


def test_a_flipped_bit_in_any_byte_is_found(tmp_path, records):
    whole, path = shard_bytes(records[:2]), tmp_path / "flipped.shard"
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
        with pytest.raises(CorruptData):
            read_shard(path)


def test_bytes_behind_the_end_are_found(tmp_path, records):
    path = tmp_path / "long.shard"
    path.write_bytes(shard_bytes(records) + b"\0")
    with pytest.raises(CorruptData, match="goes on after its end"):
        read_shard(path)


def test_games_of_another_shard_under_this_shards_end_are_found(tmp_path, records):
    path, ends = tmp_path / "mixed.shard", frame_ends(records)
    whole = shard_bytes(records)
    path.write_bytes(whole[: ends[1]] + whole[ends[2] :])
    with pytest.raises(CorruptData, match="not of its games"):
        read_shard(path)


@pytest.mark.parametrize("content", [b"", b"RRSHARD", b"PK\3\4 a zip file", b"SQLite format 3\0"])
def test_a_foreign_file_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "foreign"
    path.write_bytes(content)
    with pytest.raises(CorruptData) as caught:
        read_shard(path)
    assert "\n" not in caught.value.line()
    assert salvage(path) == []


def test_another_hash_than_expected_is_refused(tmp_path, records):
    path, _ = write_shard(tmp_path, records)
    with pytest.raises(CorruptData, match="has SHA-256"):
        read_shard(path, "0" * 64)


def test_a_missing_file_is_not_found(tmp_path):
    with pytest.raises(NotFound):
        read_shard(tmp_path / "missing")


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path, monkeypatch, records):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(shards.os, "fsync", full)
    with pytest.raises(EnvironmentProblem, match="No space left"):
        write_shard(tmp_path, records)
    assert list(tmp_path.iterdir()) == []
