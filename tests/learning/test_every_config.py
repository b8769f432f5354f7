"""Every config goes the whole way: self-play, ingest, one training step, a move of the trained net."""

from __future__ import annotations

import numpy as np
import pytest

from ringrift.game.config import ALL_CONFIGS, GameConfig
from ringrift.game.play import Game
from ringrift.learning.ingest import ingest_shard
from ringrift.learning.train import train
from ringrift.nets.checkpoint import load_checkpoint
from ringrift.players.base import PlayerSpec, build_player
from ringrift.protocol.jobs import IngestSpec


@pytest.mark.parametrize("config", ALL_CONFIGS, ids=lambda config: config.key)
def test_a_game_a_training_step_and_a_move(config: GameConfig, inputs, specs, tmp_path):
    spec = specs.selfplay(
        config.key,
        player={"kind": "gumbel", "simulations": 2, "considered": 2},
        games_per_shard=2,
        full_share=0.1,
        cheap_simulations=1,
    )
    shard = inputs.add_games(spec)
    found = ingest_shard(IngestSpec(config=config.key, shard=shard), inputs.folder / shard, specs.quiet)
    assert found.sound, found.reason
    trained = train(
        specs.train(config.key, [shard], recipe={"steps": 1, "batch_size": 8}),
        inputs.folder,
        tmp_path,
        specs.quiet,
    )
    net, _ = load_checkpoint(trained.path, trained.result.model, config.key)
    player = build_player(
        PlayerSpec("gumbel", model=trained.result.model, simulations=2, considered=2), config, net
    )
    game = Game.new(config)
    (move,) = player.choose(game.states, np.array([1], np.uint64))
    assert move in game.legal()
