"""Shards: deterministic, whole or refused, with the sound prefix to be saved."""

from __future__ import annotations

import errno
import hashlib
import os
from dataclasses import replace

import numpy as np
import pytest
import zstandard

from ringrift.errors import BadInput, CorruptData, EnvironmentProblem, NotFound
from ringrift.learning import frames, shards
from ringrift.learning.frames import FRAME_LIMIT, pack_games, unpack_games
from ringrift.learning.records import GameRecord
from ringrift.learning.shards import read_shard, salvage, shard_bytes, write_shard

MAGIC, HEAD = 8, 9


@pytest.fixture
def records(record, monkeypatch) -> list[GameRecord]:
    """Four games that make two frames."""
    monkeypatch.setattr(shards, "FRAME_DECISIONS", 12)
    return [record(game=game, decisions=6) for game in range(4)]


def frame_ends(data: bytes) -> list[int]:
    """Offsets behind the magic and behind every frame."""
    ends = [MAGIC]
    while ends[-1] < len(data):
        ends.append(ends[-1] + HEAD + int.from_bytes(data[ends[-1] + 1 : ends[-1] + 5], "little"))
    return ends


def games_in(ends: list[int], sound: int) -> int:
    """Games of the two game frames that lie before byte `sound`."""
    return 2 * sum(end <= sound for end in ends[2:4])


def test_a_shard_gives_its_records_back(tmp_path, records):
    path, sha = write_shard(tmp_path, records)
    assert read_shard(path, sha) == records


def test_a_shard_is_named_by_its_hash_and_leaves_no_other_file(tmp_path, records):
    path, sha = write_shard(tmp_path, records)
    assert path.name == f"{sha}.shard"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == sha
    assert list(tmp_path.iterdir()) == [path]


def test_the_same_games_are_the_same_bytes(records):
    assert shard_bytes(records) == shard_bytes([replace(record) for record in records])


def test_a_shard_without_games_is_refused():
    with pytest.raises(BadInput):
        shard_bytes([])


def test_a_shard_cut_at_any_byte_is_refused_and_the_games_of_its_whole_frames_are_saved(tmp_path, records):
    whole, path = shard_bytes(records), tmp_path / "cut.shard"
    ends = frame_ends(whole)
    assert len(ends) == 1 + 1 + 2 + 1
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        with pytest.raises(CorruptData):
            read_shard(path)
        assert salvage(path) == records[: games_in(ends, end)]


def test_a_flipped_bit_in_any_byte_is_found_and_the_games_before_it_are_saved(tmp_path, records):
    whole, path = shard_bytes(records), tmp_path / "flipped.shard"
    ends = frame_ends(whole)
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
        with pytest.raises(CorruptData) as caught:
            read_shard(path)
        assert "\n" not in caught.value.line()
        assert salvage(path) == records[: games_in(ends, at)]


def test_a_shard_cut_between_frames_says_how_many_games_were_whole(tmp_path, records):
    whole, path = shard_bytes(records), tmp_path / "cut.shard"
    path.write_bytes(whole[: frame_ends(whole)[2]])
    with pytest.raises(CorruptData, match="cut off after 2 games"):
        read_shard(path)


def test_a_played_shard_cut_or_flipped_gives_its_sound_games_back(tmp_path, played, monkeypatch):
    monkeypatch.setattr(shards, "FRAME_DECISIONS", 200)
    records = read_shard(played[0] / played[1])
    whole, path = shard_bytes(records), tmp_path / "real.shard"
    ends, counts = frame_ends(whole), []
    for at in range(0, len(whole), 41):
        for data in (whole[:at], whole[:at] + bytes([whole[at] ^ 16]) + whole[at + 1 :]):
            path.write_bytes(data)
            with pytest.raises(CorruptData):
                read_shard(path)
            saved = salvage(path)
            assert saved == records[: len(saved)]
            counts.append(len(saved))
    assert len(set(counts)) == len(ends) - 2


def test_a_shard_without_a_game_is_refused(tmp_path):
    path = tmp_path / "empty.shard"
    path.write_bytes(shards._MAGIC + shards._frame(b"E", shards._end_payload([])))
    with pytest.raises(CorruptData, match="holds no game"):
        read_shard(path)


def test_a_folder_is_no_shard(tmp_path):
    with pytest.raises(BadInput, match="cannot read"):
        read_shard(tmp_path)


def test_a_frame_that_swells_beyond_any_game_is_refused(header):
    games = np.arange(FRAME_LIMIT + 1, dtype=np.uint32)
    none = np.zeros(0, np.uint8)
    numbers = [games, np.ones(len(games), np.uint8), *[np.zeros(len(games), np.uint32)] * 3]
    columns = [*numbers, none.astype(np.uint16), *[none] * 5, none.astype(np.uint16), none]
    packed = [zstandard.compress(frames._planes(column)) for column in columns]
    payload = b"".join(len(column).to_bytes(4, "little") + column for column in packed)
    with pytest.raises(CorruptData, match="more than 16384 games"):
        unpack_games(header(), payload)


def test_nothing_hides_behind_a_column(header, record):
    payload = pack_games([record()])
    size = int.from_bytes(payload[:4], "little")
    stuffed = (size + 4).to_bytes(4, "little") + payload[4 : 4 + size] + b"junk" + payload[4 + size :]
    with pytest.raises(CorruptData, match="cannot be decompressed"):
        unpack_games(header(), stuffed)


def test_games_played_differently_share_a_shard(tmp_path, record, header):
    mixed = [record(), replace(record(), header=header(seed=8)), record(game=1)]
    path, sha = write_shard(tmp_path, mixed)
    assert read_shard(path, sha) == mixed


def test_a_shard_of_another_format_is_refused_with_both_versions(tmp_path, records):
    path = tmp_path / "old.shard"
    path.write_bytes(b"RRSHARD1" + shard_bytes(records)[MAGIC:])
    with pytest.raises(CorruptData, match="has format 1, this version reads format 2"):
        read_shard(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.replace(b'"rules":1', b'"rules":2'), "version 2 of the rules, this .* plays 1"),
        (lambda text: text.replace(b'"rules":1', b'"rules": 1'), "canonical"),
        (lambda text: text.replace(b"hex8_3p", b"hex8_2p"), "names 3 players, not 2"),
        (lambda text: text.replace(b'"seed":7', b'"sead":7'), "seed: Field required"),
        (lambda text: text.replace(b"hex8_3p", b"hex8_5p"), "unknown config 'hex8_5p'"),
        (lambda text: b"{", "no JSON object"),
        (lambda text: b"[]", "no JSON object"),
    ],
)
def test_a_header_that_cannot_be_trusted_is_refused(tmp_path, records, change, said):
    whole, path = shard_bytes(records), tmp_path / "header.shard"
    first, second = frame_ends(whole)[:2]
    frame = shards._frame(b"H", change(whole[first + HEAD : second]))
    path.write_bytes(whole[:MAGIC] + frame + whole[second:])
    with pytest.raises(CorruptData, match=said):
        read_shard(path)


def test_games_before_any_header_are_refused(tmp_path, records):
    whole, path = shard_bytes(records), tmp_path / "headless.shard"
    path.write_bytes(whole[:MAGIC] + whole[frame_ends(whole)[1] :])
    with pytest.raises(CorruptData, match="before any header"):
        read_shard(path)


def test_bytes_behind_the_end_are_found(tmp_path, records):
    path = tmp_path / "long.shard"
    path.write_bytes(shard_bytes(records) + b"\0")
    with pytest.raises(CorruptData, match="goes on after its end"):
        read_shard(path)


def test_games_of_another_shard_under_this_shards_end_are_found(tmp_path, records):
    path, whole = tmp_path / "mixed.shard", shard_bytes(records)
    ends = frame_ends(whole)
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
