"""The nets in onnxruntime say what they say in torch, without torch in the process."""

from __future__ import annotations

import collections
import contextlib
import hashlib
import importlib.util
import io
import pickle
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inference import engine
from inference.manifest import Entry
from inference.models import load_model, midgame
from ringrift import golden
from ringrift.errors import BadInput, CorruptData, IncompatibleModel, NotFound
from ringrift.game.config import ALL_CONFIGS, GameConfig
from ringrift.nets.checkpoint import load_checkpoint, save_checkpoint
from ringrift.nets.network import ArchConfig, RingRiftNet
from ringrift.notation.gamestate import dump_game
from ringrift.onnx.checkpoint import read_checkpoint
from ringrift.onnx.compare import compared
from ringrift.onnx.graph import graph
from ringrift.players.base import PlayerSpec
from ringrift.players.search.forest import Leaves
from tests.inference.conftest import REPOSITORY

pytest.importorskip("onnxruntime", reason="the extra onnx is not installed: pip install 'ringrift[onnx]'")

from ringrift.onnx.net import OnnxNet

KEY = "hex8_2p"
SHAPES = ((1, 8), (2, 16), (4, 32))


def lively(blocks: int, channels: int, seed: int = 0) -> RingRiftNet:
    """Return a net in which no layer is zero, as after a training."""
    torch.manual_seed(seed)
    net = RingRiftNet(ArchConfig(blocks=blocks, channels=channels))
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return net.eval()


def saved(folder: Path, net: RingRiftNet, key: str = KEY) -> tuple[Path, str]:
    path = folder / f"{key}.pth"
    return path, save_checkpoint(path, net, {"config": key, "parent": None, "dataset": None, "recipe": {}})


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[RingRiftNet, Path, str]]:
    nets = [lively(*shape) for shape in SHAPES]
    return [(net, *saved(tmp_path_factory.mktemp("net"), net)) for net in nets]


def test_weights_are_read_as_torch_reads_them(shapes) -> None:
    for net, path, sha256 in shapes:
        blocks, channels, weights = read_checkpoint(path, sha256, KEY)
        known = load_checkpoint(path, sha256, KEY)[0].state_dict()
        assert (blocks, channels) == (net.arch.blocks, net.arch.channels)
        assert weights.keys() == known.keys()
        assert all((weights[name] == known[name].numpy()).all() for name in known)


@pytest.mark.parametrize("config", ALL_CONFIGS, ids=lambda config: config.key)
def test_both_engines_say_the_same_in_the_golden_positions_of_every_config(config, tmp_path: Path) -> None:
    for shape in SHAPES[1:]:
        net = lively(*shape)
        path, sha256 = saved(tmp_path, net, config.key)
        ours, theirs = (golden.measure(each, config) for each in (OnnxNet(path, sha256, config.key), net))
        assert ours.positions == theirs.positions
        for one, other in ((ours.values, theirs.values), (ours.moves, theirs.moves)):
            for row, wanted in zip(one, other, strict=True):
                assert np.abs(np.array(row) - wanted).max() < 0.0002, "a tenth of what golden vectors allow"


def test_what_is_compared_is_the_largest_difference_and_nothing_without_onnxruntime(
    shapes, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = GameConfig.parse(KEY)
    net, path, sha256 = shapes[1]
    vectors = golden.measure(net, config)
    assert compared(path, sha256, config, vectors) <= 2e-5
    first, *others = vectors.values
    moved = replace(vectors, values=((first[0] + 0.25, *first[1:]), *others))
    assert compared(path, sha256, config, moved) == pytest.approx(0.25, abs=1e-4)
    assert compared(path, sha256, config, replace(vectors, moves=((0.0,) * 8,) * 7 + ((0.0,),))) >= 1e9
    assert compared(path, "0" * 64, config, vectors) is None
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert compared(path, sha256, config, vectors) is None


def test_a_position_is_worth_the_same_bit_for_bit_whatever_is_asked_with_it(shapes) -> None:
    config = GameConfig.parse(KEY)
    asked = golden.positions(config)
    for _, path, sha256 in shapes:
        evaluator = OnnxNet(path, sha256, KEY).evaluator(config)
        together, alone = golden._leaves(asked), golden._leaves(asked)
        evaluator.evaluate(asked.states, together, golden.POSITIONS)
        for index in range(golden.POSITIONS):
            part = slice(alone.offsets[index], alone.offsets[index + 1])
            one = Leaves(
                node=alone.node[index : index + 1],
                offsets=alone.offsets[index : index + 2] - part.start,
                moves=alone.moves[part],
                logits=alone.logits[part],
                values=alone.values[index : index + 1],
            )
            evaluator.evaluate(asked.states, one, 1)
        assert (together.logits == alone.logits).all() and (together.values == alone.values).all()


def test_a_model_is_held_to_its_vectors_and_the_same_seed_gives_the_same_move(
    shapes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(engine.VARIABLE, "onnx")
    config = GameConfig.parse(KEY)
    net, path, sha256 = shapes[2]
    vectors = golden.measure(net, config)
    model = load_model(Entry(config, path, sha256, 1, None, vectors))
    assert isinstance(model.net, OnnxNet) and model.net.arch == (net.arch.blocks, net.arch.channels)
    states = golden.positions(config).states
    spec = PlayerSpec(kind="gumbel", model=sha256, simulations=24)
    seeds = np.arange(8, dtype=np.uint64)
    moves = [engine.player_of(spec, config, model.net).choose(states, seeds) for _ in range(2)]
    assert (moves[0] == moves[1]).all()
    other = golden.measure(lively(4, 32, 1), config)
    with pytest.raises(CorruptData, match="golden vectors"):
        load_model(Entry(config, path, sha256, 1, None, other))


class Planted:
    def __reduce__(self):
        return (Path("/nowhere/touched").write_text, ("x",))


def rebuilt(content: bytes, listing: bytes | None = None) -> bytes:
    """Return a checkpoint with another listing."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            new.writestr(name, listing if listing and name.endswith("data.pkl") else old.read(name))
    return buffer.getvalue()


def refused(folder: Path, content: bytes, error: type[Exception], key: str = KEY) -> None:
    path = folder / "bad.pth"
    path.write_bytes(content)
    with pytest.raises(error) as told:
        blocks, channels, weights = read_checkpoint(path, hashlib.sha256(content).hexdigest(), key)
        graph(weights, blocks, channels)
    assert "\n" not in str(told.value)


def test_what_is_no_checkpoint_of_ours_is_refused_in_one_line(shapes, tmp_path: Path) -> None:
    _, path, sha256 = shapes[0]
    content = path.read_bytes()
    with pytest.raises(NotFound):
        read_checkpoint(tmp_path / "none", sha256, KEY)
    with pytest.raises(CorruptData, match="expected"):
        read_checkpoint(path, "0" * 64, KEY)
    whole = {"format": 1, "architecture": {}, "metadata": {"config": KEY}, "weights": {}}
    refused(tmp_path, content, IncompatibleModel, "square8_2p")
    refused(tmp_path, content[:-30], CorruptData)
    refused(tmp_path, b"", CorruptData)
    refused(tmp_path, rebuilt(content, pickle.dumps(Planted(), 2)), CorruptData)
    refused(tmp_path, rebuilt(content, pickle.dumps(collections.Counter(), 2)), CorruptData)
    refused(tmp_path, rebuilt(content, pickle.dumps([1], 2)), CorruptData)
    refused(tmp_path, rebuilt(content, pickle.dumps(whole, 2)), IncompatibleModel)
    refused(tmp_path, rebuilt(content, pickle.dumps(whole | {"format": 2}, 2)), IncompatibleModel)
    described = {"config": KEY, "parent": None, "dataset": None, "recipe": {}}
    net = lively(1, 8)
    less = {name: tensor for name, tensor in net.state_dict().items() if name != "stem.bias"}
    broken = less | {"stem.bias": torch.tensor([np.nan])}
    for weights, error in ((less, IncompatibleModel), (broken, CorruptData)):
        buffer = io.BytesIO()
        named = {"format": 1, "architecture": net.arch.to_dict(), "metadata": described, "weights": weights}
        torch.save(named, buffer)
        refused(tmp_path, buffer.getvalue(), error)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_changed_listings_are_read_or_refused_and_nothing_else(shapes, data: st.DataObject) -> None:
    _, path, _ = shapes[0]
    content = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        listing = bytearray(archive.read(next(n for n in archive.namelist() if n.endswith("data.pkl"))))
    for _ in range(data.draw(st.integers(1, 4))):
        listing[data.draw(st.integers(0, len(listing) - 1))] = data.draw(st.integers(0, 255))
    changed = rebuilt(content, bytes(listing))
    bad = path.with_name("changed.pth")
    bad.write_bytes(changed)
    with contextlib.suppress(CorruptData, IncompatibleModel):
        read_checkpoint(bad, hashlib.sha256(changed).hexdigest(), KEY)


def test_an_engine_that_there_is_not_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(engine.VARIABLE, "tensorflow")
    with pytest.raises(BadInput, match="RINGRIFT_ENGINE is 'tensorflow'"):
        engine.chosen()


@pytest.mark.parametrize(("name", "library"), [("onnx", "onnxruntime"), ("torch", "torch")])
def test_without_its_library_the_service_says_what_to_install(name: str, library: str) -> None:
    program = (
        f"import sys; sys.modules['{library}'] = None\n"
        "from inference.__main__ import main\n"
        f"sys.exit(main(['--models', 'x', '--port', '0', '--engine', '{name}']))"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=REPOSITORY)
    assert found.returncode == 9
    assert found.stderr.strip().splitlines()[-1].startswith(f"error: the engine {name} needs {library}")


def test_a_service_with_onnx_answers_and_never_loads_torch(deployment, start_service) -> None:
    deployment.deploy({KEY: 0, "square8_3p": 0})
    service = start_service(deployment.folder, "--engine", "onnx").wait_until_healthy()
    told = service.health()
    assert (told["engine"], set(told["models"])) == ("onnx", {KEY, "square8_3p"})
    game = midgame(GameConfig.parse(KEY))
    body = {"game_state": dump_game(game), "player_number": game.player, "difficulty": 6, "seed": 7}
    first, again = service.move(body), service.move(body)
    assert first.status_code == 200, first.text
    assert first.json()["move"] == again.json()["move"]
    if sys.platform == "linux":
        loaded = Path(f"/proc/{service.process.pid}/maps").read_text()
        assert "onnxruntime" in loaded and "libtorch" not in loaded
