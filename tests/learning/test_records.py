"""Game records and the columns they are stored in: there and back, and refusal of what contradicts itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ringrift.errors import CorruptData
from ringrift.learning import frames
from ringrift.learning.frames import pack_games, unpack_games
from ringrift.learning.records import CHEAP, FULL, TARGET_MOVES, WHOLE, GameEnd, RecordBuilder

END = GameEnd(1, 30, 5)


def there_and_back(*records):
    return unpack_games(records[0].header, pack_games(records))


def test_games_come_back_from_a_frame_as_they_were(record):
    games = [record(game=game, decisions=decisions) for game, decisions in enumerate((12, 0, 1, 40))]
    assert there_and_back(*games) == games


@pytest.mark.parametrize("config", ["hex8_2p", "square8_4p"])
def test_values_of_any_number_of_seats_come_back(record, config):
    game = record(config, decisions=50)
    assert (there_and_back(game)[0].values == game.values).all()


def test_a_game_of_no_decisions_is_a_record(header):
    empty = RecordBuilder(3).finish(header(), 0, END)
    assert there_and_back(empty)[0].decisions == 0


def test_a_policy_target_comes_back_sorted_by_rank_within_a_510th(header):
    builder = RecordBuilder(2)
    builder.add(5, FULL, np.array([0.25, 0.75], np.float32), (np.array([9, 2, 4]), np.array([0.5, 0.3, 0.2])))
    read = there_and_back(builder.finish(header("hex8_2p"), 0, END))[0]
    assert read.ranks.tolist() == [2, 4, 9]
    assert read.weights / WHOLE == pytest.approx([0.3, 0.2, 0.5], abs=1 / 510)
    assert read.root_values()[0] == pytest.approx([0.25, 0.75], abs=1 / 510)


def test_a_policy_target_keeps_its_largest_entries(header):
    builder = RecordBuilder(2)
    shares = np.arange(1, 101, dtype=np.float32)
    builder.add(5, FULL, None, (np.arange(100), shares / shares.sum()))
    read = builder.finish(header("hex8_2p"), 0, END)
    assert read.ranks.tolist() == list(range(100 - TARGET_MOVES, 100))


def test_a_policy_target_of_very_many_equal_moves_keeps_one(header):
    builder = RecordBuilder(2)
    builder.add(5, FULL, None, (np.arange(1000), np.full(1000, 1e-3, np.float32)))
    assert builder.finish(header("hex8_2p"), 0, END).sizes.tolist() == [1]


def test_targets_are_found_by_decision(record):
    read = record(decisions=9)
    starts = read.target_starts()
    assert starts[-1] == len(read.ranks)
    assert (np.diff(starts) > 0).tolist() == (read.kinds == FULL).tolist()


def test_every_part_of_a_game_counts_for_its_id(record, header):
    game = record()
    changed = [
        replace(game, game=1),
        replace(game, header=header(seed=8)),
        *(replace(game, end=replace(game.end, **{name: 3})) for name in ("winner", "plies", "checksum")),
    ]
    for name in ("played", "kinds", "values", "sizes", "ranks", "weights"):
        column = getattr(game, name).copy()
        column.reshape(-1)[0] ^= 1
        changed.append(replace(game, **{name: column}))
    assert len({each.id for each in [game, *changed]}) == len(changed) + 1


def test_a_frame_cut_anywhere_is_refused(record):
    game = record(decisions=5)
    payload = pack_games([game])
    for end in range(1, len(payload)):
        with pytest.raises(CorruptData):
            unpack_games(game.header, payload[:end])


def test_a_frame_with_a_column_too_many_is_refused(record):
    game = record()
    column = pack_games([game])[:4]
    payload = pack_games([game])
    first = payload[: 4 + int.from_bytes(column, "little")]
    with pytest.raises(CorruptData, match="do not belong"):
        unpack_games(game.header, payload + first)


def test_a_column_that_would_fill_the_memory_is_refused(record, monkeypatch):
    game = record()
    payload = pack_games([game])
    monkeypatch.setattr(frames, "_COLUMN_LIMIT", 1)
    with pytest.raises(CorruptData, match="impossible size"):
        unpack_games(game.header, payload)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda game: {"end": replace(game.end, winner=4)}, "none of 3 seats"),
        (lambda game: {"end": replace(game.end, winner=0)}, "none of 3 seats"),
        (lambda game: {"kinds": game.kinds[:-1]}, "different lengths"),
        (lambda game: {"kinds": np.minimum(game.kinds, CHEAP)}, "target where none belongs"),
        (lambda game: {"kinds": np.full_like(game.kinds, 3)}, "target where none belongs"),
        (lambda game: {"weights": np.zeros_like(game.weights)}, "empty entry"),
        (lambda game: {"weights": game.weights[1:]}, "different lengths"),
        (lambda game: {"ranks": np.zeros_like(game.ranks)}, "does not ascend"),
        (lambda game: {"ranks": game.ranks[::-1].copy()}, "does not ascend"),
    ],
)
def test_columns_that_contradict_each_other_are_refused(record, change, said):
    game = record()
    with pytest.raises(CorruptData, match=said):
        there_and_back(replace(game, **change(game)))
