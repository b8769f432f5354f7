"""A GPU computes the nets where there is one that does, and nothing breaks where there is none."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from inference import device
from inference.engine import load_net, player_of
from ringrift.errors import BadInput, EnvironmentProblem
from ringrift.game.config import GameConfig
from ringrift.game.play import Game
from ringrift.golden import check, measure
from ringrift.nets.checkpoint import load_checkpoint
from ringrift.players.base import PlayerSpec

KEY = "hex8_2p"
CONFIG = GameConfig.parse(KEY)

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU here")
needs_none = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")


@pytest.fixture(autouse=True)
def asked_anew(monkeypatch):
    monkeypatch.delenv(device.VARIABLE, raising=False)
    forget = device.device.cache_clear
    forget()
    yield
    forget()


@pytest.fixture
def broken_gpu(monkeypatch):
    """A machine whose driver tells of a GPU that this build of torch cannot use."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)


@needs_none
def test_without_a_gpu_nets_are_computed_by_the_processor(shelf):
    path = shelf.checkpoint(KEY, 1)
    assert device.device() == "cpu"
    assert load_net(path, path.name, KEY).device.type == "cpu"


@needs_none
def test_a_gpu_that_does_not_compute_is_told_and_left_alone(broken_gpu, caplog, shelf):
    path = shelf.checkpoint(KEY, 1)
    with caplog.at_level(logging.WARNING, "inference"):
        assert load_net(path, path.name, KEY).device.type == "cpu"
    assert [record.getMessage() for record in caplog.records] == ["gpu refused"]


@needs_none
def test_a_gpu_that_was_asked_for_and_does_not_compute_is_an_error(broken_gpu, monkeypatch):
    monkeypatch.setenv(device.VARIABLE, "cuda")
    with pytest.raises(EnvironmentProblem, match="no GPU computes"):
        device.device()


def test_the_processor_can_be_asked_for(broken_gpu, monkeypatch):
    monkeypatch.setenv(device.VARIABLE, "cpu")
    assert device.device() == "cpu"


def test_a_net_that_finds_no_room_on_the_gpu_stays_with_the_processor(shelf, monkeypatch, caplog):
    path = shelf.checkpoint(KEY, 1)
    net = load_checkpoint(path, path.name, KEY)[0]
    monkeypatch.setattr(device, "device", lambda: "cuda")
    real = net.to

    def full(where):
        if where == "cuda":
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(where)

    net.to = full
    with caplog.at_level(logging.WARNING, "inference"):
        assert device.place(net).device.type == "cpu"
    assert [record.getMessage() for record in caplog.records] == ["net stays on the processor"]
    monkeypatch.setenv(device.VARIABLE, "cuda")
    with pytest.raises(EnvironmentProblem, match="does not fit into the GPU: CUDA out of memory"):
        device.place(net)


@pytest.mark.parametrize(
    ("value", "status", "says"),
    [
        ("tpu", BadInput.exit_status, "RINGRIFT_DEVICE is 'tpu'"),
        pytest.param("cuda", EnvironmentProblem.exit_status, "no GPU computes", marks=needs_none),
    ],
)
def test_a_device_that_is_not_there_is_one_line(value, status, says, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "inference", "--models", str(tmp_path), "--port", "0", "--unsigned"],
        env={**os.environ, device.VARIABLE: value},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == status
    assert says in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr


@needs_gpu
def test_a_net_on_the_gpu_says_what_its_golden_vectors_say_and_repeats_itself(shelf):
    path = shelf.checkpoint(KEY, 1)
    golden = measure(load_checkpoint(path, path.name, KEY)[0], CONFIG)
    net = load_net(path, path.name, KEY)
    assert net.device.type == "cuda"
    check(golden, net, CONFIG)
    player = player_of(PlayerSpec("gumbel", model="f" * 64, simulations=64), CONFIG, net)
    game, seeds = Game.new(CONFIG), np.ones(1, np.uint64)
    first, again = player.search(game.states, seeds), player.search(game.states, seeds)
    assert first.moves[0] == again.moves[0]
    assert (first.values == again.values).all()
    assert (first.policy[0][1] == again.policy[0][1]).all()
