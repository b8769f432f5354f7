from __future__ import annotations

import json
import re
from queue import Queue

import numpy as np
import pytest

from inference import models as models_module
from inference import watch
from inference.manifest import read_manifest
from inference.models import midgame, prove
from inference.watch import Watcher
from ringrift.errors import BadInput, CorruptData, NotFound
from ringrift.game.config import ALL_CONFIGS, GameConfig

pytestmark = pytest.mark.timeout(1200)

KEY = "square8_2p"
OTHER = "hex8_2p"
CONFIG = GameConfig.parse(KEY)


@pytest.fixture
def watcher(deployment):
    return Watcher(deployment.folder, deployment.trusted)


def served(watcher):
    watcher.look()
    return {key: model.sha256 for key, model in watcher.serving.models.models.items()}


def issue(watcher):
    (text,) = watcher.serving.issues
    return text


def test_exactly_the_models_of_the_manifest_are_served(deployment, watcher):
    place = deployment.deploy({KEY: 1, OTHER: 2})
    stray = deployment.shelf.checkpoint("hex8_3p")
    (place / "canonical_hex8_3p.pth").write_bytes(stray.read_bytes())
    assert served(watcher) == {KEY: deployment.sha256(KEY, 1), OTHER: deployment.sha256(OTHER, 2)}
    assert watcher.serving.issues == ()
    assert watcher.serving.models.generation == 1
    assert watcher.serving.models.of(CONFIG).generation == 1


def test_a_folder_may_hold_the_manifest_without_current(deployment):
    place = deployment.deploy({KEY: 1})
    watcher = Watcher(place, deployment.trusted)
    assert served(watcher) == {KEY: deployment.sha256(KEY, 1)}


def test_before_the_first_look_the_service_is_unhealthy(watcher):
    assert issue(watcher) == "the models are being loaded"


def test_without_a_manifest_nothing_is_served_and_the_missing_file_is_named(watcher):
    assert served(watcher) == {}
    assert "manifest.json" in issue(watcher)
    assert watcher.serving.models.of(CONFIG) is None


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"sha256": "0" * 64}, "canonical_square8_2p.pth: .*expected 000000000000"),
        ({"sha256": "xyz"}, "models.square8_2p.sha256 is no SHA-256"),
        ({"file": "best.pth"}, "models.square8_2p.file is 'best.pth'"),
        ({"file": "../1/canonical_square8_2p.pth"}, "models.square8_2p.file"),
        ({"generation": -1}, "models.square8_2p.generation"),
        ({"generation": True}, "models.square8_2p.generation"),
        ({"evaluation": 7}, "models.square8_2p.evaluation"),
    ],
)
def test_an_entry_that_is_wrong_is_named_and_not_served(deployment, watcher, changes, says):
    deployment.deploy({KEY: 1}, **{KEY: changes})
    assert served(watcher) == {}
    assert re.search(says, issue(watcher))


@pytest.mark.parametrize(
    ("manifest", "says"),
    [
        ("{", "is no JSON"),
        ("[]", "format must be 3 or 2"),
        ({"format": 4, "generation": 1, "models": {}}, "format must be 3 or 2"),
        ({"format": 2, "generation": 1, "models": {}}, "models is missing or empty"),
        ({"format": 2, "generation": 1}, "models is missing or empty"),
        ({"format": 2, "generation": 1, "models": {"chess_2p": {}}}, "unknown config 'chess_2p'"),
        ({"format": 2, "generation": 1, "models": {KEY: 3}}, "models.square8_2p is no object"),
        ({"format": 2, "models": {KEY: {}}}, "generation is no whole number"),
        ({"format": 2, "generation": 1, "models": {KEY: {}}, "expires_at": "soon"}, "expires_at"),
        ('"' + "a" * (1 << 20), "larger than 1 MiB"),
    ],
)
def test_a_manifest_that_is_none_is_refused_with_the_entry_named(tmp_path, manifest, says):
    text = manifest if isinstance(manifest, str) else json.dumps(manifest)
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(BadInput, match=says):
        read_manifest(tmp_path, None)


def test_a_missing_file_is_named(deployment, watcher):
    place = deployment.deploy({KEY: 1, OTHER: 1})
    (place / f"canonical_{OTHER}.pth").unlink()
    assert served(watcher) == {KEY: deployment.sha256(KEY, 1)}
    assert f"canonical_{OTHER}.pth" in issue(watcher)


def test_a_model_of_another_board_is_refused_although_its_hash_is_right(deployment, watcher):
    place = deployment.deploy({KEY: 1})
    foreign = deployment.shelf.checkpoint(OTHER, 1)
    (place / f"canonical_{KEY}.pth").write_bytes(foreign.read_bytes())
    manifest = json.loads((place / "manifest.json").read_text())
    manifest["models"][KEY]["sha256"] = foreign.name
    deployment.write(place / "manifest.json", manifest)
    assert served(watcher) == {}
    assert "is for hex8_2p, not for square8_2p" in issue(watcher)


def test_a_truncated_file_is_refused(deployment, watcher):
    place = deployment.deploy({KEY: 1})
    path = place / f"canonical_{KEY}.pth"
    path.write_bytes(path.read_bytes()[:-1])
    assert served(watcher) == {}
    assert f"canonical_{KEY}.pth" in issue(watcher)


def test_a_file_put_right_later_is_noticed(deployment, watcher):
    place = deployment.deploy({KEY: 1})
    path = place / f"canonical_{KEY}.pth"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert served(watcher) == {}
    path.write_bytes(whole)
    assert served(watcher) == {KEY: deployment.sha256(KEY, 1)}
    assert watcher.serving.issues == ()


def test_the_next_generation_replaces_the_present_one(deployment, watcher):
    deployment.deploy({KEY: 1})
    served(watcher)
    deployment.deploy({KEY: 2, OTHER: 2})
    assert served(watcher) == {KEY: deployment.sha256(KEY, 2), OTHER: deployment.sha256(OTHER, 2)}
    assert watcher.serving.models.generation == 2


def test_a_set_on_trial_can_be_taken_back_and_a_proven_one_can_not(deployment, watcher):
    """`previous` stands beside `current` until a deployment is proven."""
    first = deployment.deploy({KEY: 1})
    served(watcher)
    watcher.look()
    previous = deployment.folder / "previous"
    previous.symlink_to("models/1")
    deployment.deploy({KEY: 2})
    served(watcher)
    watcher.look()
    deployment.swap(first)
    previous.unlink()
    assert served(watcher) == {KEY: deployment.sha256(KEY, 1)}
    assert watcher.serving.models.generation == 1
    deployment.deploy({KEY: 3})
    served(watcher)
    deployment.swap(first)
    assert served(watcher) == {KEY: deployment.sha256(KEY, 3)}
    assert issue(watcher).startswith("generation 1 is older than 3, which was served")
    deployment.deploy({KEY: 1})
    assert served(watcher) == {KEY: deployment.sha256(KEY, 1)}
    assert watcher.serving.issues == ()


def test_a_bad_next_generation_leaves_the_present_one_serving_but_unhealthy(deployment, watcher):
    deployment.deploy({KEY: 1, OTHER: 1})
    before = served(watcher)
    deployment.deploy({KEY: 2, OTHER: 2}, **{OTHER: {"sha256": "0" * 64}})
    assert served(watcher) == before
    assert f"canonical_{OTHER}.pth" in issue(watcher)
    deployment.deploy({KEY: 2, OTHER: 2})
    assert served(watcher)[OTHER] == deployment.sha256(OTHER, 2)
    assert watcher.serving.issues == ()


def test_a_manifest_that_vanishes_leaves_the_models_serving_but_unhealthy(deployment, watcher):
    place = deployment.deploy({KEY: 1})
    before = served(watcher)
    (place / "manifest.json").rename(place / "aside")
    assert served(watcher) == before
    assert "manifest.json" in issue(watcher)
    (place / "aside").rename(place / "manifest.json")
    assert served(watcher) == before
    assert watcher.serving.issues == ()


def test_a_file_damaged_while_it_is_served_is_told_although_the_net_is_in_memory(deployment, watcher):
    place = deployment.deploy({KEY: 1})
    before = served(watcher)
    path = place / f"canonical_{KEY}.pth"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    assert served(watcher) == before
    assert f"canonical_{KEY}.pth" in issue(watcher)


def test_an_expected_config_that_the_manifest_leaves_out_is_named(deployment):
    deployment.deploy({KEY: 1})
    watcher = Watcher(deployment.folder, deployment.trusted, frozenset({KEY, OTHER}))
    assert served(watcher) == {KEY: deployment.sha256(KEY, 1)}
    assert issue(watcher) == "hex8_2p: expected, but the manifest does not name it"


def test_a_look_that_finds_nothing_new_loads_nothing(deployment, watcher, monkeypatch):
    deployment.deploy({KEY: 1})
    served(watcher)

    def unexpected(*_):
        raise AssertionError("loaded again")

    monkeypatch.setattr(models_module, "load_net", unexpected)
    before = watcher.serving
    watcher.look()
    assert watcher.serving is before


def test_a_net_whose_values_are_impossible_is_refused(deployment, watcher, monkeypatch):
    deployment.deploy({KEY: 1})
    watcher.look()
    model = watcher.serving.models.of(CONFIG)

    class Broken:
        def search(self, states, seeds):
            return type("Found", (), {"moves": np.zeros(1, np.int64), "values": np.full((1, 4), np.nan)})

    monkeypatch.setattr(models_module, "player_of", lambda *_: Broken())
    with pytest.raises(CorruptData, match="square8_2p"):
        prove(model)


@pytest.mark.parametrize("config", ALL_CONFIGS, ids=lambda config: config.key)
def test_the_midgame_position_is_a_fixed_running_game(config):
    first, second = midgame(config), midgame(config)
    assert not first.over
    assert len(first.legal()) >= 1
    assert first.states.tobytes() == second.states.tobytes()


def test_a_manifest_folder_that_does_not_exist_is_not_found(tmp_path):
    with pytest.raises(NotFound, match="no manifest at"):
        read_manifest(tmp_path / "nowhere", None)


def test_a_link_that_is_pointed_elsewhere_is_followed_before_the_next_look(deployment, monkeypatch):
    looks: Queue[int | None] = Queue()

    class Heard(Watcher):
        def look(self):
            super().look()
            looks.put(self.serving.models.generation)

    monkeypatch.setattr(watch, "POLL_SECONDS", 600.0)
    deployment.deploy({KEY: 1})
    watcher = Heard(deployment.folder, deployment.trusted)
    watcher.start()
    assert looks.get(timeout=300) == 1
    deployment.deploy({KEY: 2})
    assert looks.get(timeout=300) == 2
    assert watcher.stop(300)
