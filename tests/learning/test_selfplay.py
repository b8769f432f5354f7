"""Self-play: the same unit every time, whatever is played beside it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from ringrift.errors import BadInput
from ringrift.game.config import GameConfig
from ringrift.learning.records import CHEAP, FULL, OPENING, TARGET_MOVES, WHOLE
from ringrift.learning.replay import replay
from ringrift.learning.selfplay import check_selfplay, play_shard
from ringrift.learning.shards import shard_bytes
from ringrift.players.base import PlayerSpec, build_player


@pytest.fixture
def play(specs):
    """Play shard `sequence` of a specification; return its records."""

    def run(spec, sequence=0, report=specs.quiet):
        player = build_player(PlayerSpec.from_dict(spec.player.model_dump()), GameConfig.parse(spec.config))
        return play_shard(spec, sequence, player, report)

    return run


def test_the_same_specification_gives_the_same_bytes(play, specs):
    spec = specs.selfplay()
    assert shard_bytes(play(spec)) == shard_bytes(play(spec))


def test_a_game_does_not_depend_on_the_games_beside_it(play, specs):
    four = play(specs.selfplay(games_per_shard=4))
    assert play(specs.selfplay(games_per_shard=1)) == four[:1]
    assert play(specs.selfplay(games_per_shard=3)) == four[:3]


def test_other_sequences_and_seeds_give_other_games(play, specs):
    games = play(specs.selfplay()) + play(specs.selfplay(), sequence=1) + play(specs.selfplay(seed=12))
    moves = {game.played.tobytes() for game in games}
    assert len(moves) == 12


def test_a_game_opens_with_the_wished_number_of_random_plies(play, specs):
    for record in play(specs.selfplay(opening_random_plies=5)):
        kinds = record.kinds
        assert (kinds[:5] == OPENING).all() and (kinds[5:] == FULL).all()


def test_about_the_wished_share_of_decisions_is_searched_in_full(play, specs):
    spec = specs.selfplay(games_per_shard=24, full_share=0.25, cheap_simulations=1, opening_random_plies=0)
    kinds = np.concatenate([record.kinds for record in play(spec)])
    assert set(kinds.tolist()) == {CHEAP, FULL}
    assert (kinds == FULL).mean() == pytest.approx(0.25, abs=0.1)


def test_targets_are_probabilities_over_legal_moves_and_values_over_seats(play, specs):
    read = play(specs.selfplay("hex8_3p", games_per_shard=1))[0]
    starts = read.target_starts()
    for decision in replay(read):
        part = slice(*starts[decision.index : decision.index + 2])
        assert read.weights[part].sum(dtype=np.int64) <= WHOLE + TARGET_MOVES / 2
        assert (read.ranks[part] < len(decision.legal)).all()
    searched = read.root_values()[read.kinds != OPENING]
    assert searched.sum(1) == pytest.approx(np.ones(len(searched)), abs=0.01)


def test_progress_rises_to_the_number_of_games(play, specs):
    told = []
    play(specs.selfplay(), report=told.append)
    assert told[-1] == 4.0
    assert 0 < told[len(told) // 2] < 4


@pytest.mark.parametrize(
    "change", [{"full_share": 0.5}, {"full_share": 0.5, "cheap_simulations": 100}], ids=["none", "too many"]
)
def test_cheap_searches_need_a_budget_below_the_full_one(specs, change):
    with pytest.raises(BadInput):
        check_selfplay(specs.selfplay(**change))


def test_the_first_generation_is_played_without_torch():
    code = (
        "import sys; from ringrift.learning import jobs, selfplay; from ringrift.players.base import *;"
        "from ringrift.game.config import GameConfig;"
        "build_player(PlayerSpec('gumbel', simulations=2), GameConfig('hex8', 2));"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
