"""Evaluation blocks: the same opening for all, every seat once, the same result in any company."""

from __future__ import annotations

import pytest

from ringrift.game.config import GameConfig
from ringrift.learning.arena import block_groups, play_blocks
from ringrift.learning.ingest import ingest_shard
from ringrift.learning.records import OPENING
from ringrift.learning.shards import shard_bytes
from ringrift.learning.sprt import block_wins
from ringrift.players.base import PlayerSpec, build_player
from ringrift.protocol.jobs import EvaluateSpec, IngestSpec

STRONG = {"kind": "gumbel", "simulations": 16, "considered": 8}


def evaluation(config="hex8_2p", candidate=STRONG, opponent=STRONG, **changes) -> EvaluateSpec:
    fields = {
        "config": config,
        "evaluation": "e" * 64,
        "candidate": candidate,
        "opponent": opponent,
        "first_block": 0,
        "blocks": 2,
        "seed": 4,
    }
    return EvaluateSpec.model_validate(fields | changes)


def play(spec: EvaluateSpec, blocks, report=lambda done: None):
    config = GameConfig.parse(spec.config)
    sides = [
        build_player(PlayerSpec.from_dict({**side.model_dump(), "noise": 0.0}), config)
        for side in (spec.candidate, spec.opponent)
    ]
    return play_blocks(spec, blocks, *sides, report)


@pytest.mark.parametrize("config", ["hex8_2p", "square8_3p", "hex8_4p"])
def test_equal_players_split_every_block(config):
    spec = evaluation(config, *[{"kind": "gumbel", "simulations": 2, "considered": 2}] * 2)
    players = int(config[-2])
    for block in play(spec, [0, 1]):
        winners = [game.winner for game in block.results]
        assert block_wins(players, winners, list(range(1, players + 1))) == 1
        assert len({record.played.tobytes() for record in block.records}) == 1


def test_in_a_mirror_block_seats_share_the_seeds_of_their_moves():
    """Random players differ in nothing but their seeds: against itself one wins once, against others not."""
    same = evaluation(candidate={"kind": "random"}, opponent={"kind": "random"})
    for block in play(same, [0, 1]):
        assert len({record.played.tobytes() for record in block.records}) == 1
        assert len({record.id for record in block.records}) == 2
    other = evaluation(candidate={"kind": "random"}, opponent={"kind": "heuristic"})
    assert all(
        len({record.played.tobytes() for record in block.records}) == 2 for block in play(other, [0, 1])
    )


def test_the_games_of_a_block_share_their_opening_and_blocks_do_not():
    spec = evaluation(candidate={"kind": "heuristic"}, opponent={"kind": "random"}, opening_random_plies=6)
    openings = []
    for block in play(spec, range(4)):
        games = block.records
        assert all((game.kinds[:6] == OPENING).all() for game in games)
        assert len({game.played[:6].tobytes() for game in games}) == 1
        openings.append(games[0].played[:6].tobytes())
    assert len(set(openings)) == 4


def test_the_candidate_sits_once_in_every_seat_against_copies_of_the_opponent():
    spec = evaluation("hex8_3p", {"kind": "heuristic"}, {"kind": "random"})
    (block,) = play(spec, [5])
    for seat, record in enumerate(block.records, start=1):
        header = record.header
        assert [player.kind == "heuristic" for player in header.seats] == [s == seat for s in (1, 2, 3)]
        assert (header.sequence, record.game, header.swap_rule) == (5, seat - 1, False)


def test_a_block_is_the_same_alone_and_in_company():
    spec = evaluation(blocks=5)
    together = {block.number: block.records for block in play(spec, [0, 1, 2])}
    (alone,) = play(spec, [1])
    assert alone.records == together[1]


def test_a_search_beats_random_players_in_nearly_every_seat():
    spec = evaluation(candidate=STRONG, opponent={"kind": "random"})
    won = [block_wins(2, [game.winner for game in block.results], [1, 2]) for block in play(spec, range(12))]
    assert sum(won) >= 18


def test_records_of_a_block_replay_through_the_rules(inputs):
    (block,) = play(evaluation("square8_4p", {"kind": "heuristic"}, {"kind": "random"}), [0])
    sha = inputs.add(shard_bytes(block.records))
    found = ingest_shard(IngestSpec(config="square8_4p", shard=sha), inputs.folder / sha, lambda done: None)
    assert found.sound and found.games == block.results


def test_progress_rises_to_the_number_of_games():
    told = []
    play(evaluation(candidate={"kind": "random"}, opponent={"kind": "random"}), [0, 1, 2], told.append)
    assert told[-1] == 6.0


def test_blocks_are_grouped_by_games():
    groups = block_groups(GameConfig("hex8", 4), range(40))
    assert [len(group) for group in groups] == [16, 16, 8]
    assert [block for group in groups for block in group] == list(range(40))
