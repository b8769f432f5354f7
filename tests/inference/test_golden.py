"""A net serves only where it says what it said after its training."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
import torch

from inference.manifest import read_manifest
from inference.verify import verify
from inference.watch import Watcher
from ringrift import golden
from ringrift.errors import BadInput, CorruptData
from ringrift.game.config import ALL_CONFIGS, GameConfig
from ringrift.game.play import Game
from ringrift.nets.checkpoint import load_checkpoint, save_checkpoint

pytestmark = pytest.mark.timeout(1200)

KEY = "square8_2p"
CONFIG = GameConfig.parse(KEY)


@pytest.fixture
def net(shelf):
    path = shelf.checkpoint(KEY, 1)
    return load_checkpoint(path, path.name, KEY)[0]


def shuffled(net):
    """The same weights, the filters of one layer in another order."""
    other = copy.deepcopy(net)
    filters = other.stem.weight.data
    other.stem.weight.data = filters[torch.arange(len(filters)).roll(3)].contiguous()
    return other


def off(vectors, by=0.1):
    """Vectors of which one number is wrong, in a form that nothing else would notice."""
    changed = json.loads(json.dumps(vectors))
    changed["moves"][5][0] -= by
    return changed


@pytest.mark.parametrize("config", ALL_CONFIGS, ids=lambda config: config.key)
def test_the_positions_of_a_config_are_the_same_every_time_and_all_their_moves_legal(config):
    first, again = golden.positions(config), golden.positions(config)
    assert first.digest == again.digest and first.states.tobytes() == again.states.tobytes()
    assert len({state.tobytes() for state in first.states}) == golden.POSITIONS
    for index, moves in enumerate(first.moves):
        game = Game(config, first.states[index : index + 1].copy())
        assert not game.over and len(moves) > 1
        assert set(moves.tolist()) == set(game.legal().tolist())


def test_the_digests_of_the_positions_do_not_change_from_release_to_release():
    """A manifest that was signed before must stay right: a change here is a change of the rules."""
    found = {config.key: golden.positions(config).digest for config in ALL_CONFIGS}
    assert found == DIGESTS


def test_the_same_net_passes_again_and_after_a_way_through_json(net):
    found = golden.measure(net, CONFIG)
    assert golden.read_golden(json.loads(json.dumps(found.document())), CONFIG) == found
    golden.check(found, net, CONFIG)
    threads = torch.get_num_threads()
    torch.set_num_threads(3 - min(threads, 2))
    try:
        golden.check(found, net, CONFIG)
    finally:
        torch.set_num_threads(threads)


def test_numbers_within_the_tolerance_pass_and_beyond_it_the_place_is_named(net):
    vectors = golden.measure(net, CONFIG).document()
    golden.check(golden.read_golden(off(vectors, golden.TOLERANCE / 2), CONFIG), net, CONFIG)
    with pytest.raises(CorruptData, match=r"off by 0\.003 in the moves of position 6, allowed is 0\.002"):
        golden.check(golden.read_golden(off(vectors, golden.TOLERANCE * 1.5), CONFIG), net, CONFIG)


def test_other_weights_of_the_same_shape_and_a_net_that_is_computed_otherwise_fail(net, monkeypatch):
    vectors = golden.measure(net, CONFIG)
    with pytest.raises(CorruptData, match="the net does not say"):
        golden.check(vectors, shuffled(net), CONFIG)
    monkeypatch.setattr("ringrift.nets.network._AREA_CENTRE", 13.0)
    with pytest.raises(CorruptData, match="the net does not say"):
        golden.check(vectors, net, CONFIG)


def test_a_net_that_says_nothing_finite_fails(net):
    vectors = golden.measure(net, CONFIG)
    torch.nn.init.constant_(net.policy.out, float("nan"))
    with pytest.raises(CorruptData, match="off by inf"):
        golden.check(vectors, net, CONFIG)


def test_other_rules_are_told_apart_from_another_net(net):
    vectors = golden.measure(net, CONFIG).document() | {"positions": "0" * 16}
    with pytest.raises(CorruptData, match="of other positions of square8_2p"):
        golden.check(golden.read_golden(vectors, CONFIG), net, CONFIG)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda d: d.update(version=2), "golden.version must be 1"),
        (lambda d: d.update(positions="xyz"), "golden.positions is no digest"),
        (lambda d: d.update(positions=7), "golden.positions is no digest"),
        (lambda d: d["values"].pop(), "golden.values has not 8 rows"),
        (lambda d: d.update(values=None), "golden.values has not 8 rows"),
        (lambda d: d["values"][0].append(0.0), "golden.values has a row that is not 2 to 2 numbers"),
        (lambda d: d["values"][3].__setitem__(0, "0.5"), "golden.values has a row"),
        (lambda d: d["moves"].__setitem__(1, []), "golden.moves has a row that is not 1 to 8 numbers"),
        (lambda d: d["moves"][7].__setitem__(0, float("nan")), "golden.moves has a row"),
        (lambda d: d["moves"][7].__setitem__(0, True), "golden.moves has a row"),
    ],
)
def test_vectors_that_are_none_are_refused_by_name(shelf, change, says):
    vectors = shelf.golden(KEY, 1)
    change(vectors)
    with pytest.raises(BadInput, match=says):
        golden.read_golden(vectors, CONFIG)


@pytest.mark.parametrize("vectors", [None, 3, [], {}])
def test_a_manifest_whose_entry_has_no_vectors_is_refused(deployment, vectors):
    place = deployment.deploy({KEY: 1}, **{KEY: {"golden": vectors}})
    with pytest.raises(BadInput, match=r"models\.square8_2p\.golden\.version must be 1"):
        read_manifest(place, deployment.trusted)


def test_a_manifest_of_the_release_before_still_serves_and_what_it_has_is_checked(deployment):
    place = deployment.deploy({KEY: 1}, **{KEY: {"golden": None}})
    manifest = json.loads((place / "manifest.json").read_text()) | {"format": 2}
    deployment.write(place / "manifest.json", manifest)
    assert list(verify(place, deployment.trusted)) == [KEY]
    manifest["models"][KEY]["golden"] = off(deployment.shelf.golden(KEY, 1))
    deployment.write(place / "manifest.json", manifest)
    with pytest.raises(CorruptData, match=r"canonical_square8_2p\.pth: the net does not say"):
        verify(place, deployment.trusted)


def test_shuffled_weights_with_right_hash_and_signature_are_refused_before_the_swap(deployment, net):
    place = deployment.deploy({KEY: 1})
    file, manifest = place / f"canonical_{KEY}.pth", json.loads((place / "manifest.json").read_text())
    metadata = {"config": KEY, "parent": None, "dataset": None, "recipe": {}}
    manifest["models"][KEY]["sha256"] = save_checkpoint(file, shuffled(net), metadata)
    deployment.write(place / "manifest.json", manifest)
    with pytest.raises(CorruptData, match=r"canonical_square8_2p\.pth: the net does not say"):
        verify(place, deployment.trusted)
    watcher = Watcher(deployment.folder, deployment.trusted)
    watcher.look()
    assert watcher.serving.models.models == {}
    (issue,) = watcher.serving.issues
    assert issue.startswith(f"canonical_{KEY}.pth: the net does not say what its golden vectors say")


@pytest.mark.parametrize("seed", [1, 2], ids=["of the net that serves", "of another net"])
def test_wrong_vectors_replace_nothing_and_health_names_them(deployment, seed):
    deployment.deploy({KEY: 1})
    watcher = Watcher(deployment.folder, deployment.trusted)
    watcher.look()
    before = watcher.serving.models
    deployment.deploy({KEY: seed}, **{KEY: {"golden": off(deployment.shelf.golden(KEY, seed))}})
    watcher.look()
    assert watcher.serving.models is before
    (issue,) = watcher.serving.issues
    assert "in the moves of position 6" in issue
    deployment.deploy({KEY: seed})
    watcher.look()
    assert watcher.serving.issues == ()
    assert watcher.serving.models.models[KEY].sha256 == deployment.sha256(KEY, seed)


def test_two_nets_differ_by_more_than_the_tolerance_in_every_config(shelf):
    for config in ALL_CONFIGS:
        first, second = (shelf.golden(config.key, seed) for seed in (0, 1))
        rows = zip(first["moves"], second["moves"], strict=True)
        assert max(np.abs(np.subtract(a, b)).max() for a, b in rows) > 5 * golden.TOLERANCE


DIGESTS = {
    "square8_2p": "2dd35fdd0b70422b",
    "square8_3p": "7c04c6ee621093f1",
    "square8_4p": "a6b13444ead66108",
    "square19_2p": "4488519c38e3bc94",
    "square19_3p": "c1bc27292193db1f",
    "square19_4p": "98e666a9149ed5e0",
    "hex8_2p": "5fa6ecc2c194cd5b",
    "hex8_3p": "42deffea506d5dd7",
    "hex8_4p": "f58ad17328fb9ce1",
    "hexagonal_2p": "698b6a66096415c7",
    "hexagonal_3p": "b855e972bb3c8fe9",
    "hexagonal_4p": "f1400bba848bfb50",
}
