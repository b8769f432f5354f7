"""Players with a net: any config, the same answer alone and in a crowd."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from inference.device import POSITIONS
from ringrift.game.config import ALL_CONFIGS, GameConfig
from ringrift.nets.network import ArchConfig, RingRiftNet
from ringrift.players.base import PlayerSpec, build_player
from ringrift.players.search import torch_net
from ringrift.players.search.net_evaluator import CHUNK
from ringrift.players.search.player import TreePlayer

HEX = GameConfig("hex8", 2)
GUMBEL = PlayerSpec("gumbel", model="f" * 64, simulations=12, considered=6)
MCTS = PlayerSpec("mcts", model="f" * 64, simulations=6)
POLICY = PlayerSpec("policy", model="f" * 64)


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(2)
    made = RingRiftNet(ArchConfig(blocks=2, channels=16))
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.2)
    return made


def seeds(count, first=1):
    return np.arange(first, first + count, dtype=np.uint64)


@pytest.mark.parametrize("spec", [GUMBEL, MCTS, POLICY], ids=lambda spec: spec.kind)
@pytest.mark.parametrize("config", ALL_CONFIGS, ids=lambda config: config.key)
def test_every_config_gets_a_legal_move_from_the_same_net(config, spec, net, positions):
    states = positions(config, 2, 30)
    player = build_player(spec, config, net)
    result = player.search(states, seeds(2))
    np.testing.assert_allclose(result.values.sum(1), 1, atol=1e-5)
    assert (result.values[:, config.players :] == 0).all()
    for i, (moves, shares) in enumerate(result.policy):
        assert set(moves.tolist()) == set(player.legal(states, i).tolist())
        assert result.moves[i] in moves
        assert shares.sum() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("chunk", [POSITIONS["cpu"], CHUNK])
@pytest.mark.parametrize("spec", [GUMBEL, MCTS, POLICY], ids=lambda spec: spec.kind)
def test_an_answer_does_not_depend_on_the_batch_around_it(spec, chunk, net, positions):
    states = positions(HEX, 21, 60)
    player = TreePlayer(spec, HEX)
    player.evaluator = torch_net.evaluator(net, HEX, chunk)
    together = player.search(states, seeds(21))
    for i in range(21):
        alone = player.search(states[i : i + 1], seeds(1, i + 1))
        assert alone.moves[0] == together.moves[i]
        assert (alone.values[0] == together.values[i]).all()
        assert (alone.policy[0][1] == together.policy[i][1]).all()


def test_values_are_the_nets_and_in_absolute_seats(net, positions):
    from ringrift.nets.features import encode

    config = GameConfig("square8", 3)
    states = positions(config, 6, 40)
    player = build_player(POLICY, config, net)
    result = player.search(states, seeds(6))
    offsets = np.cumsum([0, *(len(moves) for moves, _ in result.policy)])
    inputs = encode("square8", states, np.concatenate([moves for moves, _ in result.policy]), offsets)
    with torch.inference_mode():
        value, logits = net(inputs)
    relative = torch.softmax(value, 1).numpy()
    for i, state in enumerate(states):
        for seat in range(1, 4):
            k = (seat - int(state["player"])) % 3
            assert result.values[i, seat - 1] == pytest.approx(relative[i, k], abs=1e-5)
        expected = torch.softmax(logits[offsets[i] : offsets[i + 1]], 0).numpy()
        np.testing.assert_allclose(result.policy[i][1], expected, atol=1e-5)


def test_the_policy_player_without_noise_plays_the_most_likely_move(net, positions):
    states = positions(HEX, 8, 40)
    result = build_player(PlayerSpec("policy", model="f" * 64, noise=0.0), HEX, net).search(states, seeds(8))
    for i, (moves, shares) in enumerate(result.policy):
        assert result.moves[i] == moves[shares.argmax()]


def test_the_policy_player_samples_in_proportion_to_its_policy(net, positions):
    states = np.repeat(positions(HEX, 1, 14, seed=3), 3000)
    result = build_player(POLICY, HEX, net).search(states, seeds(3000))
    moves, shares = result.policy[0]
    drawn = np.array([(result.moves == move).mean() for move in moves])
    np.testing.assert_allclose(drawn, shares, atol=0.04)
    assert len(set(result.moves.tolist())) > 1


def test_the_search_leaves_the_net_as_it_was(net, positions):
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    build_player(GUMBEL, HEX, net).search(positions(HEX, 2, 20), seeds(2))
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())
    assert all(parameter.grad is None for parameter in net.parameters())
