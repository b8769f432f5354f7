"""The controller's signature: one key, made once, and the same order always signed alike."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from sqlmodel import select

from inference.manifest import read_manifest
from ringrift.control.domain.ports import DeployOrder, ModelFile
from ringrift.control.signing import signed_order, signing_key
from ringrift.control.store.tables import Promotion
from ringrift.errors import EnvironmentProblem
from tests.control.test_operations import champion
from tests.control.world import World

MODEL = ModelFile("hex8_2p", "1" * 64, Path("artifact"), 4, "ev_1")


def order_of(home: Path) -> DeployOrder:
    return signed_order(signing_key(home), "web", 8600, "dep_1", 7, [MODEL])


def test_the_key_is_made_once_for_its_user_alone(tmp_path: Path) -> None:
    first = signing_key(tmp_path)
    path = tmp_path / "signing.key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert base64.b64decode(path.read_text()) == first.private_bytes_raw()
    assert signing_key(tmp_path).private_bytes_raw() == first.private_bytes_raw()


def test_the_same_order_has_the_same_manifest_and_signature(tmp_path: Path) -> None:
    assert order_of(tmp_path) == order_of(tmp_path)


def test_the_service_trusts_what_was_signed_and_reads_all_of_it(tmp_path: Path) -> None:
    order = order_of(tmp_path)
    (tmp_path / "manifest.json").write_text(order.manifest)
    (tmp_path / "manifest.sig").write_text(order.signature)
    (tmp_path / "trusted_keys").write_text(order.trusted)
    found = read_manifest(tmp_path, tmp_path / "trusted_keys")
    assert (found.generation, found.deployment) == (7, "dep_1")
    (entry,) = found.entries
    assert (entry.config.key, entry.sha256, entry.generation) == ("hex8_2p", "1" * 64, 4)
    assert (entry.evaluation, entry.path.name) == ("ev_1", MODEL.served_as)
    assert json.loads(order.manifest)["expires_at"] is None


@pytest.mark.parametrize("text", ["", "abc", base64.b64encode(b"\0" * 31).decode()])
def test_a_file_that_holds_no_key_is_named_and_not_replaced(tmp_path: Path, text: str) -> None:
    path = tmp_path / "signing.key"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(EnvironmentProblem, match=r"signing\.key holds no signing key"):
        signing_key(tmp_path)
    assert path.read_text() == text


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    signing_key(tmp_path)
    (tmp_path / "signing.key").chmod(0o640)
    with pytest.raises(EnvironmentProblem, match="can be read by others"):
        signing_key(tmp_path)


async def test_a_deployment_names_the_test_that_its_champion_passed(world: World) -> None:
    model = await champion(world)
    await world.post("/targets", {"name": "front", "host": "stage", "port": 9000})
    await world.post("/deployments", {})
    await world.finish_deployments()
    (promotion,) = await world.store.read(lambda s: s.exec(select(Promotion)).all())
    entry = json.loads(world.fleet.orders[0].manifest)["models"][promotion.config]
    assert entry["sha256"] == model and promotion.evaluation is not None
    assert entry["evaluation"] == promotion.evaluation
