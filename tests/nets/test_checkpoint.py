"""Checkpoints: what goes in comes out, and nothing else is ever believed."""

from __future__ import annotations

import hashlib
import io
import pickle

import pytest
import torch

from ringrift.errors import (
    BadInput,
    CorruptData,
    EnvironmentProblem,
    IncompatibleModel,
    NotFound,
    UnknownConfig,
)
from ringrift.nets.checkpoint import FORMAT, load_checkpoint, save_checkpoint

METADATA = {
    "config": "hex8_2p",
    "parent": None,
    "dataset": "a" * 64,
    "recipe": {"steps": 10, "learning_rate": 0.01},
}


@pytest.fixture
def saved(tmp_path, net):
    path = tmp_path / "model.pth"
    return path, save_checkpoint(path, net, METADATA)


def rewritten(path, change):
    """Change the content of a checkpoint and return the new hash."""
    content = torch.load(path, weights_only=True)
    content = change(content) or content
    torch.save(content, path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_checkpoint_gives_back_weights_and_metadata(saved, net):
    path, sha = saved
    loaded, metadata = load_checkpoint(path, sha, "hex8_2p")
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, loaded.state_dict()[name])
    assert not loaded.training
    assert metadata == {**METADATA, "architecture": net.arch.to_dict(), "format": FORMAT}


def test_the_name_is_the_hash_of_the_file(saved):
    path, sha = saved
    assert hashlib.sha256(path.read_bytes()).hexdigest() == sha


def test_the_same_weights_give_the_same_bytes(tmp_path, net, saved):
    again = save_checkpoint(tmp_path / "other name.pth", net, dict(reversed(METADATA.items())))
    assert again == saved[1]


def test_loading_and_saving_again_gives_the_same_bytes(tmp_path, saved):
    loaded, metadata = load_checkpoint(*saved, "hex8_2p")
    plain = {name: metadata[name] for name in METADATA}
    assert save_checkpoint(tmp_path / "again.pth", loaded, plain) == saved[1]


def test_another_hash_is_refused_before_anything_is_parsed(tmp_path, monkeypatch):
    path = tmp_path / "evil.pth"
    path.write_bytes(pickle.dumps({"weights": 1}))
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("parsed unverified bytes"))
    with pytest.raises(CorruptData, match="SHA-256"):
        load_checkpoint(path, "0" * 64, "hex8_2p")


@pytest.mark.parametrize("damage", [lambda data: data[:-100], lambda data: data[:50] + b"x" + data[51:]])
def test_a_damaged_file_is_refused(saved, damage):
    path, sha = saved
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(CorruptData, match="expected"):
        load_checkpoint(path, sha, "hex8_2p")


@pytest.mark.parametrize(
    "data", [b"", b"not a zip", b"root:x:0:0", pickle.dumps([1, 2], protocol=2), b"PK\x03\x04" + bytes(200)]
)
def test_bytes_that_are_no_checkpoint_are_refused_even_with_the_right_hash(tmp_path, data):
    path = tmp_path / "model.pth"
    path.write_bytes(data)
    with pytest.raises(CorruptData):
        load_checkpoint(path, hashlib.sha256(data).hexdigest(), "hex8_2p")


def test_code_in_a_checkpoint_is_never_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("code from a checkpoint was run",))

    buffer = io.BytesIO()
    torch.save({"format": FORMAT, "architecture": Trap(), "metadata": {}, "weights": {}}, buffer)
    path = tmp_path / "trap.pth"
    path.write_bytes(buffer.getvalue())
    with pytest.raises(CorruptData):
        load_checkpoint(path, hashlib.sha256(buffer.getvalue()).hexdigest(), "hex8_2p")


def test_a_model_for_another_config_is_refused(saved):
    with pytest.raises(IncompatibleModel, match="hex8_2p, not for hex8_3p"):
        load_checkpoint(*saved, "hex8_3p")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda content: content.update(format=FORMAT + 1), IncompatibleModel),
        (lambda content: content.pop("weights") and None, CorruptData),
        (lambda content: content.update(extra=1), CorruptData),
        (lambda content: content.update(metadata=[]), CorruptData),
        (lambda content: [content], CorruptData),
        (lambda content: content["architecture"].update(channels=24), IncompatibleModel),
        (lambda content: content["architecture"].update(planes=99), IncompatibleModel),
        (lambda content: content["architecture"].pop("blocks") and None, IncompatibleModel),
        (lambda content: content["weights"].popitem() and None, IncompatibleModel),
        (lambda content: content["weights"].update(more=torch.zeros(1)), IncompatibleModel),
        (
            lambda content: content["weights"].update({"stem.bias": torch.full((16,), float("nan"))}),
            CorruptData,
        ),
    ],
)
def test_a_checkpoint_that_is_not_exactly_right_is_refused(saved, change, error):
    path, _ = saved
    sha = rewritten(path, change)
    with pytest.raises(error) as caught:
        load_checkpoint(path, sha, "hex8_2p")
    assert "\n" not in caught.value.line()


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(NotFound, match="nowhere"):
        load_checkpoint(tmp_path / "nowhere.pth", "0" * 64, "hex8_2p")


def test_metadata_must_be_complete_and_plain(tmp_path, net):
    path = tmp_path / "model.pth"
    with pytest.raises(BadInput, match="dataset, recipe"):
        save_checkpoint(path, net, {"config": "hex8_2p", "parent": None})
    with pytest.raises(UnknownConfig):
        save_checkpoint(path, net, {**METADATA, "config": "hex9_2p"})
    with pytest.raises(BadInput, match="plain JSON"):
        save_checkpoint(path, net, {**METADATA, "recipe": {"steps": float("nan")}})
    assert list(tmp_path.iterdir()) == []


def test_weights_that_are_not_finite_are_not_saved(tmp_path, net):
    with torch.no_grad():
        net.policy.out[0] = float("inf")
    with pytest.raises(CorruptData, match="weights policy"):
        save_checkpoint(tmp_path / "model.pth", net, METADATA)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_the_old_checkpoint_and_no_remains(saved, net, monkeypatch):
    path, sha = saved

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ringrift.nets.checkpoint.os.fsync", full)
    with pytest.raises(EnvironmentProblem, match="No space left"):
        save_checkpoint(path, net, {**METADATA, "parent": sha})
    assert hashlib.sha256(path.read_bytes()).hexdigest() == sha
    assert list(path.parent.iterdir()) == [path]


def test_a_missing_folder_is_a_clear_error(tmp_path, net):
    with pytest.raises(EnvironmentProblem, match="cannot write"):
        save_checkpoint(tmp_path / "gone" / "model.pth", net, METADATA)
