"""A model goes from controller to controller in a signed folder: two real ones, a real net, the shell."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from inference.manifest import read_manifest
from inference.models import load_model
from ringrift.control.domain.ports import ModelFile
from ringrift.control.signing import export_text, public_text, signature_line
from ringrift.game.config import GameConfig
from ringrift.golden import measure
from ringrift.nets.checkpoint import save_checkpoint
from ringrift.nets.network import ArchConfig, RingRiftNet
from tests.cli.test_with_the_controller import ctl, up
from tests.control.exports import KEY, SIGNER, STRANGER, training

CONFIG = "hex8_2p"
FILE = f"canonical_{CONFIG}.pth"


class Export:
    """A folder as another controller would have written it, signed by `SIGNER`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        torch.manual_seed(3)
        net = RingRiftNet(ArchConfig(blocks=1, channels=8))
        golden = measure(net, GameConfig.parse(CONFIG)).document()
        metadata = {"config": CONFIG, "parent": None, "dataset": None, "recipe": {}, "golden": golden}
        self.sha256 = save_checkpoint(folder / FILE, net, metadata)
        model = ModelFile(CONFIG, self.sha256, folder / FILE, 3, "ev_there", golden)
        self.text = export_text(model, training(), None)
        self.content = (folder / FILE).read_bytes()
        self.sign(self.text)

    def sign(self, text: str, signer: Any = SIGNER) -> None:
        """Put a manifest there that `signer` signed."""
        (self.folder / "manifest.json").write_text(text)
        (self.folder / "manifest.sig").write_text(signature_line(signer, text))

    def tell(self, **changes: Any) -> None:
        """Sign a manifest in which the model's entry, or the whole, says something else."""
        document = json.loads(self.text)
        for name, value in changes.items():
            (document if name in document else document["models"][CONFIG])[name] = value
        self.sign(json.dumps(document))


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """Two controllers."""
    made = tmp_path_factory.mktemp("a") / "h", tmp_path_factory.mktemp("b") / "h"
    for home in made:
        found = up(home, "--port", "0", "--json")
        assert found.returncode == 0, found.stderr
    yield made
    for home in made:
        ctl(home, "down")


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Export:
    return Export(tmp_path_factory.mktemp("export") / "one")


@pytest.fixture
def export(net: Export) -> Export:
    """The export as it was signed, whatever the test before made of it."""
    (net.folder / FILE).write_bytes(net.content)
    net.sign(net.text)
    return net


def told(home: Path, *words: str) -> Any:
    found = ctl(home, *words, "--json")
    assert found.exit_code == 0, found.stderr
    return json.loads(found.stdout)


BAD: dict[str, tuple[Callable[[Export], object], int, str]] = {
    "another signer": (lambda e: e.sign(e.text, STRANGER), 4, "it is signed by"),
    "a changed manifest": (
        lambda e: (e.folder / "manifest.json").write_text(e.text + " "), 8, "is no signature"),
    "expired": (lambda e: e.tell(expires_at=5.0), 4, "the export expired"),
    "other bytes": (lambda e: (e.folder / FILE).write_bytes(e.content + b"x"), 8, "has SHA-256"),
    "a truncated checkpoint": (
        lambda e: ((e.folder / FILE).write_bytes(e.content[:99]),
                   e.tell(sha256=hashlib.sha256(e.content[:99]).hexdigest())), 8, "is not a checkpoint"),
    "no checkpoint": (lambda e: (e.folder / FILE).unlink(), 5, "cannot read"),
    "no such config": (lambda e: e.sign(e.text.replace("hex8_2p", "hex9_9p")), 2, "unknown config"),
    "another config's net": (
        lambda e: (e.sign(e.text.replace("hex8_2p", "square8_2p")),
                   (e.folder / "canonical_square8_2p.pth").write_bytes(e.content)), 4,
        "is for hex8_2p, not for square8_2p"),
    "the format of before": (lambda e: e.tell(format=2), 2, "has format 2"),
    "other vectors": (
        lambda e: e.tell(golden=json.loads(e.text)["models"][CONFIG]["golden"] | {"moves": [[-9.0]] * 8}), 8,
        "golden vectors"),
    "another shape": (lambda e: e.sign(e.text.replace('"blocks": 1', '"blocks": 2')), 4, "of another shape"),
    "a huge manifest": (lambda e: e.sign(e.text + " " * 70_000), 2, "is larger than"),
    "a binary manifest": (lambda e: (e.folder / "manifest.json").write_bytes(b"\xff\xfe"), 2, "is no text"),
}  # fmt: skip


def test_bad_exports_are_refused_in_one_line_each_and_leave_nothing(homes, export: Export) -> None:
    home, _ = homes
    newest = told(home, "events", "--limit", "1")[0]["id"]
    for case, (spoil, status, words) in BAD.items():
        (export.folder / FILE).write_bytes(export.content)
        export.sign(export.text)
        spoil(export)
        found = ctl(home, "models", "import", str(export.folder), "--key", KEY)
        assert (found.exit_code, found.stdout) == (status, ""), (case, found.stderr)
        line = found.stderr.strip().splitlines()[0]
        assert line.startswith("error: ") and words in line, (case, found.stderr)
    assert told(home, "models", "list") == []
    assert told(home, "events", "--limit", "1")[0]["id"] == newest
    assert not list((home / "artifacts" / "incoming").iterdir())


def test_folders_and_keys_that_are_none_are_told(homes, export: Export, tmp_path: Path) -> None:
    home, _ = homes
    for folder, key, status, words in (
        (tmp_path / "none", KEY, 5, "cannot read"),
        (tmp_path, KEY, 5, "manifest.json"),
        (export.folder / FILE, KEY, 5, "cannot read"),
        (export.folder, "x" * 9000, 5, "cannot read"),
        (export.folder, str(export.folder / "manifest.json"), 2, "no public key"),
        (export.folder, public_text(STRANGER), 4, "trusted is"),
    ):
        found = ctl(home, "models", "import", str(folder), "--key", key)
        assert found.exit_code == status and words in found.stderr, (folder, found.stderr)


def test_a_model_comes_in_goes_out_and_comes_in_elsewhere_as_the_same(
    homes, export: Export, tmp_path: Path
) -> None:
    first, second = homes
    arguments = ("models", "import", str(export.folder), "--key", KEY)
    planned = told(first, *arguments, "--dry-run")
    assert (planned["outcome"], planned["done"], told(first, "models", "list")) == ("imported", False, [])
    assert told(first, *arguments)["outcome"] == "imported"
    assert told(first, *arguments)["outcome"] == "unchanged"
    shown = ctl(first, "models", "show", export.sha256[:8])
    assert f"imported, signed by {planned['signer']} (generation 3 there" in shown.stdout

    away = tmp_path / "away" / "model"
    view = told(first, "models", "export", export.sha256[:8], "--to", str(away), "--days", "30")
    keys = tmp_path / "keys"
    keys.write_text(view["key"] + "\n")
    manifest = read_manifest(away, keys)
    assert load_model(manifest.entries[0]).sha256 == export.sha256, "the service serves the folder as it is"
    assert sorted(path.name for path in away.iterdir()) == [FILE, "manifest.json", "manifest.sig"]
    again = ctl(first, "models", "export", export.sha256[:8], "--to", str(away))
    assert again.exit_code == 2 and "is there already" in again.stderr

    taken = told(second, "models", "import", str(away), "--key", str(keys))
    assert (taken["model"], taken["outcome"], taken["signer"]) == (export.sha256, "imported", view["signer"])
    (model,) = told(second, "models", "list")
    assert (model["config"], model["state"], model["generation"]) == (CONFIG, "candidate", None)
    entry = json.loads(export.text)["models"][CONFIG]
    assert (taken["golden"], taken["architecture"]) == (entry["golden"], entry["training"]["architecture"])
    assert model["origin"]["parent"] == entry["training"]["parent"]
