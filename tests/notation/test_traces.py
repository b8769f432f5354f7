"""The golden games replay with equal legal sets and equal states at every ply."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

from ringrift.game.config import ALL_CONFIGS
from ringrift.notation.replay import main, read_records, replay_folder, replay_record

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "tests" / "data" / "traces"
GOLDEN = ROOT.parent / "shared" / "traces"

needs_golden_games = pytest.mark.skipif(
    not GOLDEN.is_dir(), reason="the golden games are not there; put them into ../shared/traces"
)


@pytest.mark.parametrize("config", ALL_CONFIGS, ids=lambda config: config.key)
def test_the_sample_replays_without_a_difference(config):
    path = SAMPLE / f"{config.board}-{config.players}p.jsonl.gz"
    for record in read_records(path):
        assert replay_record(record) == (record["n"], "")


@needs_golden_games
@pytest.mark.timeout(900)
def test_every_golden_game_replays_without_a_difference(capsys):
    tallies = replay_folder(GOLDEN)
    with capsys.disabled():
        print()
        for config, tally in sorted(tallies.items()):
            print(f"  {tally.line(config)}")
    assert set(tallies) == {config.key for config in ALL_CONFIGS}
    assert sum(tally.games for tally in tallies.values()) == 228
    assert [difference for tally in tallies.values() for difference in tally.differences] == []


RECORD = next(read_records(SAMPLE / "square8-2p.jsonl.gz"))


@pytest.mark.parametrize(
    ("field", "problem"),
    [("lh", "legal moves, recorded"), ("sh", "state after"), ("lps", "last-player-standing counters after")],
)
def test_a_replay_finds_a_single_wrong_entry(field, problem):
    record = copy.deepcopy(RECORD)
    record[field][40] = [9] if field == "lps" else "0" * 16
    plies, difference = replay_record(record)
    assert plies == 40
    assert difference.startswith("ply 40: ")
    assert problem in difference


def test_a_replay_finds_a_wrong_winner_start_and_move():
    record = copy.deepcopy(RECORD)
    record["end"]["winner"] = 3 - record["end"]["winner"]
    assert replay_record(record)[1].startswith("end (True")
    record = copy.deepcopy(RECORD)
    record["st"]["-1"]["hd"] = [17, 18]
    assert replay_record(record) == (0, "start position")
    record = copy.deepcopy(RECORD)
    record["mv"][3] = "P:0,0*9"
    assert replay_record(record)[1].startswith("ply 3: not a move key")


def test_a_game_ended_within_a_turn_must_go_on_where_the_record_says():
    path = SAMPLE / "hex8-4p.jsonl.gz"
    record = next(record for record in read_records(path) if record["end"]["timing"] == "mid_turn")
    record["end"]["strictContinuesIn"]["ph"] = "nowhere"
    assert replay_record(record)[1].startswith("goes on in")


def test_the_command_prints_a_line_per_config_and_fails_on_an_empty_folder(tmp_path, capsys):
    (tmp_path / "some").mkdir()
    sample = (SAMPLE / "hex8-2p.jsonl.gz").read_bytes()
    (tmp_path / "some" / "hex8-2p.jsonl.gz").write_bytes(sample)
    assert main([str(tmp_path)]) == 0
    assert capsys.readouterr().out == "hex8_2p: 5 games, 794 plies, 0 differences\n"
    (tmp_path / "some" / "hex8-2p.jsonl.gz").write_bytes(sample[:500])
    assert main([str(tmp_path)]) == 2
    (tmp_path / "some" / "hex8-2p.jsonl.gz").unlink()
    assert main([str(tmp_path)]) == 2
    assert main([]) == 2
    assert "no *.jsonl.gz below" in capsys.readouterr().err
