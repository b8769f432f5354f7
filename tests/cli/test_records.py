"""`ringrift-ctl records`: what a shard holds, and the sound games of a damaged one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ringrift.game.config import GameConfig
from ringrift.learning import shards
from ringrift.learning.selfplay import play_shard
from ringrift.learning.shards import read_shard, shard_bytes, write_shard
from ringrift.players.base import PlayerSpec, build_player
from ringrift.protocol.jobs import SelfplaySpec


@pytest.fixture(scope="module")
def games():
    """Six short searched games."""
    player = {"kind": "gumbel", "simulations": 2, "considered": 2}
    spec = SelfplaySpec(config="hex8_2p", player=player, shards=1, games_per_shard=6, seed=3)
    searcher = build_player(PlayerSpec.from_dict(player), GameConfig("hex8", 2))
    return play_shard(spec, 0, searcher, lambda done: None)


@pytest.fixture(autouse=True)
def small_frames(monkeypatch):
    monkeypatch.setattr(shards, "FRAME_DECISIONS", 60)


def test_a_shard_is_described_with_its_header(run, games, tmp_path: Path):
    path, _ = write_shard(tmp_path, games)
    found = json.loads(run("records", "check", str(path), "--json").stdout)
    assert found["games"] == 6
    assert found["decisions"] == sum(game.decisions for game in games)
    assert found["headers"][0]["config"] == "hex8_2p" and found["headers"][0]["rules"] == 1
    assert found["headers"][0]["seats"][0]["simulations"] == 2


def test_a_damaged_shard_ends_with_8_and_names_the_way_out(run, games, tmp_path: Path):
    path = tmp_path / "cut.shard"
    path.write_bytes(shard_bytes(games)[:-100])
    for verb in (("records", "check"), ("replay",)):
        found = run(*verb, str(path))
        assert found.exit_code == 8
        assert "salvage" in found.stderr and found.stderr.count("\n") == 1


def test_the_sound_games_of_a_damaged_shard_become_a_new_shard(run, games, tmp_path: Path):
    whole, path = shard_bytes(games), tmp_path / "flipped.shard"
    at = len(whole) * 2 // 3
    path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    found = json.loads(run("records", "salvage", str(path), "--to", str(tmp_path / "new"), "--json").stdout)
    assert 0 < found["games"] < 6 and "damaged at byte" in found["damage"]
    assert read_shard(Path(found["file"])) == games[: found["games"]]


def test_games_that_break_the_rules_are_not_saved(run, games, tmp_path: Path):
    forged = replace(games[2], played=games[2].played + 1)
    path, _ = write_shard(tmp_path, [*games[:2], forged, *games[3:]])
    found = json.loads(run("records", "salvage", str(path), "--to", str(tmp_path / "new"), "--json").stdout)
    assert found["games"] == 2 and found["damage"].startswith("game 2: ")
    assert run("records", "check", str(path)).exit_code == 8


def test_a_file_without_a_sound_game_is_refused(run, tmp_path: Path):
    (tmp_path / "noise").write_bytes(b"noise")
    found = run("records", "salvage", str(tmp_path / "noise"), "--to", str(tmp_path / "new"))
    assert found.exit_code == 8 and "holds no sound game" in found.stderr
    assert not (tmp_path / "new").exists()
    assert run("records", "check", str(tmp_path / "absent")).exit_code == 5
