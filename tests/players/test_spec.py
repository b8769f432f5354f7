"""Specifications of players and the checks in front of every search."""

from __future__ import annotations

import numpy as np
import pytest

from ringrift.errors import BadInput
from ringrift.game.config import GameConfig
from ringrift.players.base import KINDS, PlayerSpec, build_player
from ringrift.protocol.jobs import PlayerSpec as WireSpec

HEX = GameConfig("hex8", 2)
SEEDS = np.zeros(1, np.uint64)


def test_a_specification_survives_the_way_through_a_dictionary():
    spec = PlayerSpec("gumbel", model="a" * 64, simulations=32, considered=8, noise=0.25)
    assert PlayerSpec.from_dict(spec.to_dict()) == spec


@pytest.mark.parametrize("kind", KINDS)
def test_a_specification_reads_what_jobs_say_on_the_wire(kind):
    model = "b" * 64 if kind in ("mcts", "gumbel", "policy") else None
    wire = WireSpec(kind=kind, model=model, simulations=16)
    assert PlayerSpec.from_dict(wire.model_dump()).kind == kind


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ({"kind": "oracle"}, "oracle"),
        ({"kind": "random", "strength": 3}, "strength"),
        ({"simulations": 4}, "kind"),
        ({"kind": "gumbel"}, "simulations"),
        ({"kind": "gumbel", "simulations": 8, "considered": 0}, "considered"),
        ({"kind": "gumbel", "simulations": 8, "considered": 65}, "considered"),
        ({"kind": "mcts", "simulations": True}, "simulations"),
        ({"kind": "minimax", "simulations": "many"}, "simulations"),
        ({"kind": "mcts", "simulations": 2.5}, "simulations"),
        ({"kind": "random", "randomness": 1.5}, "randomness"),
        ({"kind": "random", "randomness": float("nan")}, "randomness"),
        ({"kind": "heuristic", "noise": -1}, "noise"),
        ({"kind": "heuristic", "model": "c" * 64}, "model"),
    ],
)
def test_a_wrong_specification_is_refused_by_the_name_of_what_is_wrong(data, named):
    with pytest.raises(BadInput, match=named):
        PlayerSpec.from_dict(data)


def test_a_named_model_needs_its_net():
    with pytest.raises(BadInput, match="exactly when"):
        build_player(PlayerSpec("gumbel", model="d" * 64, simulations=4), HEX)


def test_a_policy_player_needs_a_model():
    with pytest.raises(BadInput, match="model"):
        build_player(PlayerSpec("policy"), HEX)


def test_a_finished_game_is_refused(positions):
    states = positions(HEX, 1, 0)
    states["status"] = 1
    with pytest.raises(BadInput, match="finished"):
        build_player(PlayerSpec("random"), HEX).choose(states, SEEDS)


def test_a_game_with_another_number_of_seats_is_refused(positions):
    states = positions(GameConfig("hex8", 3), 1, 0)
    with pytest.raises(BadInput, match="hex8_2p"):
        build_player(PlayerSpec("random"), HEX).choose(states, SEEDS)


def test_each_position_needs_its_own_seed(positions):
    with pytest.raises(BadInput, match="one seed"):
        build_player(PlayerSpec("random"), HEX).choose(positions(HEX, 2, 0), SEEDS)
