"""Models that wait on a real host for their deployment, with a stand-in for the service."""

from __future__ import annotations

import hashlib
import socket

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ringrift.control.domain.ports import DeployOrder, ModelFile
from ringrift.control.signing import signed_order
from ringrift.errors import CorruptData

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
pytestmark = pytest.mark.usefixtures("impatient")


@pytest.fixture
def make_order(tmp_path):
    """Return a function that makes an order for models with these contents."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def make(generation: int, **contents: bytes) -> DeployOrder:
        models = []
        for config, content in contents.items():
            sha256 = hashlib.sha256(content).hexdigest()
            path = tmp_path / sha256
            path.write_bytes(content)
            models.append(ModelFile(config, sha256, path, generation))
        return signed_order(KEY, "web", port, f"d-{generation}", generation, models)

    return make


@pytest.fixture
def stage(stub_fleet, host, report):
    """Return a function that has the models of some orders wait on the host."""

    async def stage(*orders: DeployOrder) -> None:
        await stub_fleet.stage(host.spec, "web", "", orders, report)

    return stage


def waiting(host) -> list[str]:
    return sorted(path.name for path in (host.root / "inference" / "web" / "staged").iterdir())


async def test_a_model_that_waits_is_deployed_without_being_copied_or_asked_again(
    stub_fleet, host, report, make_order, stage
):
    await stub_fleet.deploy(host.spec, make_order(1, hex8_2p=b"one", hex8_3p=b"same"), report)
    await stage(make_order(0, hex8_2p=b"better"))
    second = make_order(2, hex8_2p=b"better", hex8_3p=b"same")
    report.events.clear()
    second.models[0].path.write_bytes(b"gone")
    serving = await stub_fleet.deploy(host.spec, second, report)
    assert (serving.healthy, serving.generation) == (True, 2)
    assert serving.models == {model.config: model.sha256 for model in second.models}
    told = next(event.detail for event in report.events if (event.name, event.state) == ("verify", "done"))
    assert told == "check canonical_hex8_2p.pth, check canonical_hex8_3p.pth"


async def test_staging_the_same_again_changes_nothing_and_what_is_not_named_goes(
    stub_fleet, host, report, make_order, stage
):
    await stub_fleet.deploy(host.spec, make_order(1, hex8_2p=b"one"), report)
    better, other = make_order(0, hex8_2p=b"better"), make_order(0, hex8_3p=b"other")
    await stage(better, other)
    assert waiting(host) == sorted([better.models[0].sha256, other.models[0].sha256])
    report.events.clear()
    await stage(better, other)
    assert set(report.ended.values()) == {"unchanged"}
    await stage(other)
    assert waiting(host) == [other.models[0].sha256]
    await stage()
    assert waiting(host) == []


async def test_a_model_keeps_its_proof_while_it_is_served_and_can_come_back_at_once(
    stub_fleet, host, report, make_order, stage
):
    await stub_fleet.deploy(host.spec, make_order(1, hex8_2p=b"one"), report)
    one, better = make_order(0, hex8_2p=b"one"), make_order(0, hex8_2p=b"better")
    await stage(better)
    await stub_fleet.deploy(host.spec, make_order(2, hex8_2p=b"better"), report)
    await stage(one)
    assert waiting(host) == sorted([better.models[0].sha256, one.models[0].sha256])
    await stub_fleet.deploy(host.spec, make_order(3, hex8_2p=b"one"), report)
    await stage()
    assert waiting(host) == [one.models[0].sha256]


async def test_a_model_that_plays_no_legal_move_there_waits_without_a_proof(
    stub_fleet, host, report, make_order, stage
):
    good, bad = make_order(1, hex8_2p=b"one"), make_order(0, hex8_2p=b"unplayable")
    await stub_fleet.deploy(host.spec, good, report)
    with pytest.raises(CorruptData, match="illegal move"):
        await stage(bad)
    assert not list((host.root / "inference" / "web" / "staged").glob("*/proof.json"))
    with pytest.raises(CorruptData, match="illegal move"):
        await stub_fleet.deploy(host.spec, make_order(2, hex8_2p=b"unplayable"), report)
    serving = await stub_fleet.observe(host.spec, "web", good.port)
    assert (serving.healthy, serving.generation) == (True, 1)


async def test_what_a_deployment_had_to_prove_anew_comes_back_at_once(
    stub_fleet, host, report, make_order, stage
):
    """As after an update of the software, for which no model that waits was proven."""
    await stub_fleet.deploy(host.spec, make_order(1, hex8_2p=b"one"), report)
    better = make_order(0, hex8_2p=b"better")
    await stage(better)
    (host.root / "inference" / "web" / "staged" / better.models[0].sha256 / "proof.json").write_text("{}")
    await stub_fleet.deploy(host.spec, make_order(2, hex8_2p=b"better"), report)
    await stub_fleet.deploy(host.spec, make_order(3, hex8_2p=b"one"), report)
    report.events.clear()
    await stub_fleet.deploy(host.spec, make_order(4, hex8_2p=b"better"), report)
    told = [event.detail for event in report.events if (event.name, event.state) == ("verify", "done")]
    assert told == ["check canonical_hex8_2p.pth"]


@pytest.mark.parametrize("file", ["canonical_hex8_2p.pth", "proof.json"])
async def test_what_was_edited_while_it_waited_is_proven_anew(
    stub_fleet, host, report, make_order, stage, file
):
    await stub_fleet.deploy(host.spec, make_order(1, hex8_2p=b"one"), report)
    better = make_order(0, hex8_2p=b"better")
    await stage(better)
    (host.root / "inference" / "web" / "staged" / better.models[0].sha256 / file).write_bytes(b"edited")
    report.events.clear()
    serving = await stub_fleet.deploy(host.spec, make_order(2, hex8_2p=b"better"), report)
    assert (serving.healthy, serving.generation) == (True, 2)
    told = next(event.detail for event in report.events if (event.name, event.state) == ("verify", "done"))
    assert told == "a legal move for each of hex8_2p"


async def test_a_served_file_that_was_damaged_is_sent_anew_and_proven_by_the_next_deployment(
    stub_fleet, host, report, make_order, stage
):
    await stub_fleet.deploy(host.spec, make_order(1, hex8_2p=b"one", hex8_3p=b"same"), report)
    await stage(make_order(0, hex8_2p=b"better"))
    served = host.root / "inference" / "web" / "current" / "canonical_hex8_3p.pth"
    served.write_bytes(b"damaged")
    report.events.clear()
    serving = await stub_fleet.deploy(host.spec, make_order(2, hex8_2p=b"better", hex8_3p=b"same"), report)
    assert (serving.healthy, serving.generation) == (True, 2)
    assert served.read_bytes() == b"same" and report.ended["verify"] == "done"


async def test_a_service_that_answers_without_a_move_goes_back_to_what_served(
    stub_fleet, host, report, make_order
):
    good = make_order(1, hex8_2p=b"one", hex8_3p=b"same")
    await stub_fleet.deploy(host.spec, good, report)
    with pytest.raises(CorruptData, match="asked for a move of hex8_2p, answers 200 without a move"):
        await stub_fleet.deploy(host.spec, make_order(2, hex8_2p=b"mute", hex8_3p=b"same"), report)
    assert report.ended["restore"] == "done"
    serving = await stub_fleet.observe(host.spec, "web", good.port)
    assert (serving.healthy, serving.generation) == (True, 1)
