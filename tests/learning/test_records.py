"""Game records: bytes and back, and refusal of everything that is not one."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ringrift.errors import CorruptData
from ringrift.learning.records import (
    CHEAP,
    FULL,
    TARGET_MOVES,
    RecordBuilder,
    decode,
    encode,
    game_id,
)


def test_a_record_read_and_written_again_is_the_same_bytes(record):
    data = record()
    assert encode(decode(data)) == data


def test_a_record_of_no_decisions_is_one(header):
    data = RecordBuilder(3).finish(header())
    assert decode(data).decisions == 0


def test_a_policy_target_comes_back_sorted_by_rank_within_a_65536th(header):
    builder = RecordBuilder(2)
    builder.add(5, FULL, np.array([0.25, 0.75], np.float32), (np.array([9, 2, 4]), np.array([0.5, 0.3, 0.2])))
    read = decode(builder.finish(header("hex8_2p")))
    assert read.ranks.tolist() == [2, 4, 9]
    assert read.weights / 65535 == pytest.approx([0.3, 0.2, 0.5], abs=1e-5)
    assert read.root_values()[0] == pytest.approx([0.25, 0.75], abs=1 / 255)


def test_a_policy_target_keeps_its_largest_entries(header):
    builder = RecordBuilder(2)
    shares = np.arange(1, 101, dtype=np.float32)
    builder.add(5, FULL, None, (np.arange(100), shares / shares.sum()))
    read = decode(builder.finish(header("hex8_2p")))
    assert read.ranks.tolist() == list(range(100 - TARGET_MOVES, 100))


def test_targets_are_found_by_decision(record):
    read = decode(record(decisions=9))
    starts = read.target_starts()
    assert starts[-1] == len(read.ranks)
    assert (np.diff(starts) > 0).tolist() == (read.kinds == FULL).tolist()


def test_every_game_has_its_own_id(record):
    assert len({game_id(record(game=game)) for game in range(20)}) == 20


def test_a_record_cut_anywhere_is_refused(record):
    data = record(decisions=5)
    for end in range(len(data)):
        with pytest.raises(CorruptData):
            decode(data[:end])


def test_a_record_with_bytes_behind_it_is_refused(record):
    with pytest.raises(CorruptData, match="1 bytes too many"):
        decode(record() + b"\0")


def test_a_header_in_other_than_canonical_form_is_refused(record):
    data = record()
    spaced = data.replace(b'"winner":2', b'"winner": 2')
    length = int.from_bytes(data[8:12], "little") + 1
    with pytest.raises(CorruptData, match="canonical"):
        decode(spaced[:8] + length.to_bytes(4, "little") + spaced[12:])


@pytest.mark.parametrize(
    "change", [{"winner": 3}, {"seats": [{"kind": "random"}] * 3}], ids=["winner", "seats"]
)
def test_a_header_that_does_not_fit_its_config_is_refused(header, change):
    with pytest.raises(CorruptData):
        decode(RecordBuilder(2).finish(header("hex8_2p", **change)))


def test_a_target_on_a_cheap_decision_is_refused(record):
    read = decode(record())
    kinds = np.where(read.kinds == FULL, CHEAP, read.kinds).astype(np.uint8)
    with pytest.raises(CorruptData, match="policy target"):
        decode(encode(dataclasses.replace(read, kinds=kinds)))


def test_a_target_with_an_empty_entry_is_refused(record):
    read = decode(record())
    with pytest.raises(CorruptData, match="empty entry"):
        decode(encode(dataclasses.replace(read, weights=np.zeros_like(read.weights))))
