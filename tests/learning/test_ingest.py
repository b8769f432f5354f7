"""Ingest: sound shards pass, and every way of tampering is found and told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ringrift.errors import NotFound
from ringrift.learning.ingest import ingest_shard
from ringrift.learning.records import FULL, GameRecord
from ringrift.learning.replay import replay
from ringrift.learning.shards import read_shard, shard_bytes
from ringrift.protocol.jobs import IngestSpec


@pytest.fixture
def records(played) -> list[GameRecord]:
    folder, sha = played
    return read_shard(folder / sha, sha)


@pytest.fixture
def ingest(inputs, specs):
    """Ingest a shard of these records, or these bytes, as one of `config`."""

    def run(content, config="hex8_2p", report=specs.quiet):
        sha = inputs.add(content if isinstance(content, bytes) else shard_bytes(content))
        return ingest_shard(IngestSpec(config=config, shard=sha), inputs.folder / sha, report)

    return run


def with_end(record: GameRecord, **fields) -> GameRecord:
    return replace(record, end=replace(record.end, **fields))


def test_a_shard_of_self_play_is_sound_and_its_games_are_listed(ingest, records):
    told = []
    result = ingest(records, report=told.append)
    assert result.sound and result.reason == ""
    assert [game.game_id for game in result.games] == [record.id for record in records]
    assert all(game.winner in (1, 2) and game.plies >= game.decisions > 0 for game in result.games)
    assert 0.5 < result.soft_target_share < 1
    assert told[-1] == 1.0


@pytest.mark.parametrize("part", [0.1, 0.4, 0.7])
def test_a_changed_move_is_found(ingest, records, part):
    for number, record in enumerate(records[:4]):
        at = min(int(part * record.decisions), record.decisions - 1)
        legal = next(decision.legal for decision in replay(record) if decision.index == at)
        played = record.played.copy()
        played[at] = (played[at] + 1) % len(legal)
        result = ingest([*records[:number], replace(record, played=played)])
        assert not result.sound and not result.games
        assert result.reason.startswith(f"game {number}: ")


def test_a_move_that_does_not_exist_is_found(ingest, records):
    played = records[0].played.copy()
    played[5] = 60_000
    reason = ingest([replace(records[0], played=played)]).reason
    assert reason == "game 0: decision 5 plays a move that is not legal"


def test_a_changed_winner_is_found(ingest, records):
    winner = records[0].end.winner
    result = ingest([with_end(records[0], winner=3 - winner)])
    assert result.reason == f"game 0: seat {winner} won, the record says seat {3 - winner}"


def test_a_changed_number_of_plies_is_found(ingest, records):
    plies = records[0].end.plies
    result = ingest([with_end(records[0], plies=plies + 1)])
    assert result.reason == f"game 0: it has {plies} plies, the record says {plies + 1}"


def test_another_last_position_than_the_recorded_one_is_found(ingest, records):
    result = ingest([with_end(records[0], checksum=records[0].end.checksum ^ 1)])
    assert result.reason == "game 0: its last position is not the recorded one"


def test_a_game_without_its_end_is_found(ingest, records):
    read = records[0]
    assert read.kinds[-1] == FULL
    kept = int(read.sizes[:-1].sum())
    cut = replace(
        read,
        played=read.played[:-1],
        kinds=read.kinds[:-1],
        values=read.values[:-1],
        sizes=read.sizes[:-1],
        ranks=read.ranks[:kept],
        weights=read.weights[:kept],
    )
    assert ingest([cut]).reason == f"game 0: goes on after its {read.decisions - 1} decisions"


def test_a_policy_target_for_a_move_that_does_not_exist_is_found(ingest, records):
    ranks = records[1].ranks.copy()
    first = int(np.flatnonzero(records[1].kinds == FULL)[0])
    ranks[records[1].target_starts()[first + 1] - 1] = 60_000
    result = ingest([records[0], replace(records[1], ranks=ranks)])
    assert result.reason == f"game 1: decision {first} has a policy target for moves that do not exist"


def test_a_game_of_another_config_is_found(ingest, records):
    assert ingest(records, config="hex8_3p").reason == "game 0: is of hex8_2p, not of hex8_3p"
    relabelled = replace(records[0], header=records[0].header.model_copy(update={"config": "square8_2p"}))
    assert not ingest([relabelled], config="square8_2p").sound


def test_a_game_that_is_there_twice_is_found(ingest, records):
    assert ingest([*records, records[1]]).reason == f"game {len(records)} is in the shard twice"


def test_a_damaged_shard_is_told_with_its_reason(ingest, records):
    whole = shard_bytes(records)
    assert "cut off" in ingest(whole[:-60]).reason or "damaged" in ingest(whole[:-60]).reason
    assert "is not a shard" in ingest(b"not a shard at all").reason


def test_another_file_than_the_named_one_is_told(inputs, specs, records):
    path = inputs.folder / ("0" * 64)
    path.write_bytes(shard_bytes(records))
    result = ingest_shard(IngestSpec(config="hex8_2p", shard="0" * 64), path, specs.quiet)
    assert not result.sound and "has SHA-256" in result.reason


def test_an_absent_file_is_an_error_of_the_job_and_no_verdict_on_the_shard(inputs, specs):
    with pytest.raises(NotFound):
        ingest_shard(IngestSpec(config="hex8_2p", shard="0" * 64), inputs.folder / "none", specs.quiet)
