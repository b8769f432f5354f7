"""One network class for all configs, blind to what lies outside the board."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ringrift.errors import IncompatibleModel
from ringrift.game.config import ALL_CONFIGS, GameConfig
from ringrift.nets.features import encode
from ringrift.nets.network import ArchConfig, Inputs, RingRiftNet, segment_log_softmax
from ringrift.nets.planes import MOVE_KINDS, PLANES, SCALARS


def widened(inputs, margin):
    """Return the same positions on a grid with `margin` empty rows and columns on every side."""
    _, width = inputs.planes.shape[1:3]
    padded = torch.nn.functional.pad(inputs.planes, (0, 0, margin, margin, margin, margin))
    y, x = inputs.cells // width + margin, inputs.cells % width + margin
    cells = torch.where(inputs.cells >= 0, y * (width + 2 * margin) + x, -1)
    return inputs._replace(planes=padded, cells=cells)


@pytest.mark.parametrize("config", ALL_CONFIGS, ids=lambda config: config.key)
def test_the_same_weights_judge_every_config(config, net, positions):
    states, moves, offsets = positions(config, 3, 20)
    with torch.inference_mode():
        value, logits = net(encode(config.board, states, moves, offsets))
    assert value.shape == (3, 4)
    assert logits.shape == (len(moves),)
    assert torch.isfinite(logits).all()
    chances = torch.softmax(value, 1)
    torch.testing.assert_close(chances.sum(1), torch.ones(3))
    assert (chances[:, : config.players] > 0).all()
    assert (chances[:, config.players :] == 0).all()


@pytest.mark.parametrize("board", ["square8", "hex8"])
def test_cells_outside_the_board_do_not_influence_anything(board, net, positions):
    inputs = encode(board, *positions(GameConfig(board, 2), 4, 40))
    with torch.inference_mode():
        plain = net(inputs)
        wide = net(widened(inputs, 3))
    for one, other in zip(plain, wide, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_a_positions_result_does_not_depend_on_its_row_in_the_batch(net, positions):
    states, moves, offsets = positions(GameConfig("square8", 2), 8, 40)
    order = np.random.default_rng(0).permutation(8)
    lists = [moves[offsets[i] : offsets[i + 1]] for i in order]
    shuffled = encode("square8", states[order], np.concatenate(lists), np.cumsum([0, *map(len, lists)]))
    with torch.inference_mode():
        value, logits = net(encode("square8", states, moves, offsets))
        mixed_value, mixed_logits = net(shuffled)
    assert torch.equal(mixed_value, value[torch.from_numpy(order)])
    expected = torch.cat([logits[offsets[i] : offsets[i + 1]] for i in order])
    assert torch.equal(mixed_logits, expected)


def test_the_same_input_gives_the_same_output(net, positions):
    inputs = encode("hex8", *positions(GameConfig("hex8", 4), 5, 40))
    with torch.inference_mode():
        for one, again in zip(net(inputs), net(inputs), strict=True):
            assert torch.equal(one, again)


def test_every_plane_and_scalar_reaches_the_value(positions):
    torch.manual_seed(0)
    net = RingRiftNet(ArchConfig(blocks=1, channels=16))
    inputs = encode("square8", *positions(GameConfig("square8", 4), 2, 40))
    planes = inputs.planes.clone().requires_grad_()
    scalars = inputs.scalars.clone().requires_grad_()
    value, _ = net(inputs._replace(planes=planes, scalars=scalars))
    value[:, 0].sum().backward()
    assert (planes.grad[..., 1:].abs().sum((0, 1, 2)) > 0).all()
    assert (scalars.grad.abs().sum(0) > 0).all()


def test_a_few_steps_learn_to_tell_two_positions_apart(positions):
    torch.manual_seed(0)
    net = RingRiftNet(ArchConfig(blocks=1, channels=16))
    states, moves, offsets = positions(GameConfig("hex8", 2), 2, 40, seed=2)
    inputs = encode("hex8", states, moves, offsets)
    winner, best = torch.tensor([0, 1]), [int(offsets[0]) + 1, int(offsets[1]) + 2]
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    for _ in range(120):
        value, logits = net(inputs)
        chosen = segment_log_softmax(logits, inputs.rows, 2)[best]
        loss = torch.nn.functional.cross_entropy(value, winner) - chosen.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.2


def test_move_probabilities_sum_to_one_within_each_position():
    logits = torch.tensor([1.0, 2.0, 3.0, -1.0, 500.0, 500.0])
    rows = torch.tensor([0, 0, 0, 1, 2, 2])
    found = segment_log_softmax(logits, rows, 3).exp()
    torch.testing.assert_close(found[:3], torch.softmax(logits[:3], 0))
    torch.testing.assert_close(found[3:], torch.tensor([1.0, 0.5, 0.5]))


def test_the_default_network_is_small():
    count = sum(parameter.numel() for parameter in RingRiftNet(ArchConfig()).parameters())
    assert count < 200_000


def test_an_architecture_survives_the_way_through_a_dictionary():
    arch = ArchConfig(blocks=3, channels=24)
    assert ArchConfig.from_dict(arch.to_dict()) == arch


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        {**ArchConfig().to_dict(), "extra": 1},
        {**ArchConfig().to_dict(), "blocks": "4"},
        {**ArchConfig().to_dict(), "blocks": 0},
        {**ArchConfig().to_dict(), "channels": 100_000},
    ],
)
def test_an_unknown_architecture_is_refused(data):
    with pytest.raises(IncompatibleModel):
        ArchConfig.from_dict(data)


def test_an_empty_list_of_moves_is_no_error(net):
    planes, scalars = torch.ones(2, 5, 5, PLANES), torch.ones(2, SCALARS)
    none = torch.zeros(0, dtype=torch.int64)
    value, logits = net(Inputs(planes, scalars, none, none.reshape(0, 4), none))
    assert value.shape == (2, 4)
    assert logits.shape == (0,)


def test_every_move_kind_is_known_to_the_head(net):
    planes, scalars = torch.ones(1, 5, 5, PLANES), torch.ones(1, SCALARS)
    kinds = torch.arange(MOVE_KINDS)
    cells, rows = torch.zeros(MOVE_KINDS, 4, dtype=torch.int64), torch.zeros(MOVE_KINDS, dtype=torch.int64)
    _, logits = net(Inputs(planes, scalars, kinds, cells, rows))
    assert len(set(logits.tolist())) == MOVE_KINDS
