"""Deploying models to a target on a real host, with a stand-in for the service."""

from __future__ import annotations

import hashlib
import json
import socket
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from stub_release import Ending, StoppedHere

from hosts import deploy as deployment
from hosts import health, wheel
from ringrift.control.domain.ports import DeployOrder, ModelFile
from ringrift.control.signing import signed_order
from ringrift.errors import (
    BadInput,
    Conflict,
    CorruptData,
    EnvironmentProblem,
    NotFound,
    RingRiftError,
    Unreachable,
)

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
pytestmark = pytest.mark.usefixtures("impatient")
TOKEN = "token-of-a-test-0123456789"
STEPS = ["facts", "folders", "release", "environment", "warm-up", "models", "verify"]
STEPS += ["swap", "service", "health", "probe", "retention", "proof"]


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def make_order(tmp_path, port):
    """Return a function that makes an order for models with these contents."""

    def make(generation: int, key: Ed25519PrivateKey = KEY, **contents: bytes) -> DeployOrder:
        models = []
        for config, content in contents.items():
            sha256 = hashlib.sha256(content).hexdigest()
            path = tmp_path / "artifacts" / sha256
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
            models.append(ModelFile(config, sha256, path, generation))
        return signed_order(key, "web", port, f"d-{generation}", generation, models)

    return make


def wanted(order: DeployOrder) -> dict[str, str]:
    return {model.config: model.sha256 for model in order.models}


def folder(host) -> Path:
    return host.root / "inference" / "web"


async def test_a_first_deployment_serves_exactly_the_order(stub_fleet, either_host, report, make_order):
    host, order = either_host, make_order(1, hex8_2p=b"one", square8_3p=b"two")
    serving = await stub_fleet.deploy(host.spec, order, report)
    assert list(report.ended) == STEPS
    assert (serving.healthy, serving.generation, serving.models) == (True, 1, wanted(order))
    assert (await stub_fleet.observe(host.spec, "web", order.port)).models == wanted(order)
    place = folder(host) / "models" / "1"
    assert json.loads((place / "manifest.json").read_text()) == {
        "format": 2,
        "generation": 1,
        "deployment": "d-1",
        "expires_at": None,
        "models": {
            config: {
                "file": f"canonical_{config}.pth",
                "sha256": sha256,
                "generation": 1,
                "evaluation": None,
            }
            for config, sha256 in wanted(order).items()
        },
    }
    assert (place / "manifest.json").read_text() == order.manifest
    assert (place / "manifest.sig").read_text() == order.signature
    assert (folder(host) / "trusted_keys").read_text() == order.trusted
    assert (folder(host) / "current").readlink() == Path("models/1")


async def test_deploying_the_same_again_changes_nothing(stub_fleet, host, report, make_order):
    order = make_order(1, hex8_2p=b"one")
    first = await stub_fleet.deploy(host.spec, order, report)
    report.events.clear()
    assert await stub_fleet.deploy(host.spec, order, report) == first
    assert set(report.ended.values()) == {"unchanged"}


async def test_the_next_generation_replaces_the_models_without_a_restart_and_keeps_the_previous(
    stub_fleet, host, report, make_order
):
    await stub_fleet.deploy(host.spec, make_order(1, hex8_2p=b"one", hex8_3p=b"same"), report)
    process = (host.root / "run" / "services" / "inference-web.json").read_bytes()
    report.events.clear()
    second = make_order(2, hex8_2p=b"better", hex8_3p=b"same")
    serving = await stub_fleet.deploy(host.spec, second, report)
    assert (serving.generation, serving.models) == (2, wanted(second))
    assert report.ended["service"] == "unchanged"
    assert (host.root / "run" / "services" / "inference-web.json").read_bytes() == process
    assert (folder(host) / "models" / "1" / "canonical_hex8_2p.pth").read_bytes() == b"one"
    unchanged = [folder(host) / "models" / number / "canonical_hex8_3p.pth" for number in ("1", "2")]
    assert unchanged[0].samefile(unchanged[1])


async def test_only_the_last_three_generations_stay(stub_fleet, host, report, make_order):
    for generation in range(1, 5):
        await stub_fleet.deploy(host.spec, make_order(generation, hex8_2p=b"%d" % generation), report)
    assert sorted(path.name for path in (folder(host) / "models").iterdir()) == ["2", "3", "4"]


async def test_a_model_that_is_damaged_here_is_refused_and_the_previous_keeps_serving(
    stub_fleet, host, report, make_order
):
    good = make_order(1, hex8_2p=b"one")
    await stub_fleet.deploy(host.spec, good, report)
    bad = make_order(2, hex8_2p=b"two")
    bad.models[0].path.write_bytes(b"damaged")
    with pytest.raises(CorruptData, match="expected"):
        await stub_fleet.deploy(host.spec, bad, report)
    assert report.ended["models"] == "failed"
    serving = await stub_fleet.observe(host.spec, "web", good.port)
    assert (serving.healthy, serving.models) == (True, wanted(good))


async def test_a_model_that_plays_no_legal_move_there_is_refused_before_the_swap(
    stub_fleet, host, report, make_order
):
    good = make_order(1, hex8_2p=b"one")
    await stub_fleet.deploy(host.spec, good, report)
    with pytest.raises(CorruptData, match="plays an illegal move"):
        await stub_fleet.deploy(host.spec, make_order(2, hex8_2p=b"unplayable"), report)
    assert report.ended["verify"] == "failed"
    assert (folder(host) / "current").readlink() == Path("models/1")
    assert (await stub_fleet.observe(host.spec, "web", good.port)).models == wanted(good)


async def test_what_the_service_itself_refuses_is_swapped_back(stub_fleet, host, report, make_order):
    good = make_order(1, hex8_2p=b"one")
    await stub_fleet.deploy(host.spec, good, report)
    with pytest.raises(CorruptData, match="what served before is current again"):
        await stub_fleet.deploy(host.spec, make_order(2, hex8_2p=b"surprise"), report)
    assert (report.ended["health"], report.ended["restore"]) == ("failed", "done")
    assert (folder(host) / "current").readlink() == Path("models/1")
    assert not (folder(host) / "previous").is_symlink()
    serving = await stub_fleet.observe(host.spec, "web", good.port)
    assert (serving.healthy, serving.models) == (True, wanted(good))


async def test_a_first_deployment_that_fails_leaves_nothing_current(stub_fleet, host, report, make_order):
    order = make_order(1, hex8_2p=b"surprise")
    with pytest.raises(CorruptData):
        await stub_fleet.deploy(host.spec, order, report)
    assert not (folder(host) / "current").is_symlink()


async def test_a_port_that_is_taken_is_named_and_the_previous_serves_on(stub_fleet, host, report, make_order):
    good = make_order(1, hex8_2p=b"one")
    await stub_fleet.deploy(host.spec, good, report)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        moved = replace(make_order(2, hex8_2p=b"two"), port=taken.getsockname()[1])
        with pytest.raises(EnvironmentProblem, match="is in use"):
            await stub_fleet.deploy(host.spec, moved, report)
    assert (folder(host) / "current").readlink() == Path("models/1")
    remote = await stub_fleet._remote(host.spec)
    serving = await health.wait_for(remote, "web", good.port, lambda found: found.healthy, 20.0)
    assert serving.models == wanted(good)


async def test_a_served_generations_number_cannot_be_given_to_other_models(
    stub_fleet, host, report, make_order
):
    await stub_fleet.deploy(host.spec, make_order(1, hex8_2p=b"one"), report)
    with pytest.raises(Conflict, match="generation 1"):
        await stub_fleet.deploy(host.spec, make_order(1, hex8_2p=b"two"), report)


async def test_a_model_damaged_on_the_host_is_sent_again(stub_fleet, host, report, make_order):
    order = make_order(1, hex8_2p=b"one")
    await stub_fleet.deploy(host.spec, order, report)
    (folder(host) / "models" / "1" / "canonical_hex8_2p.pth").write_bytes(b"rot")
    report.events.clear()
    serving = await stub_fleet.deploy(host.spec, order, report)
    assert report.ended["models"] == "done"
    assert (serving.healthy, serving.models) == (True, wanted(order))


@pytest.mark.parametrize("file", ["trusted_keys", "models/1/manifest.sig"])
@pytest.mark.parametrize("content", [None, "A" * 43 + "=\n"])
async def test_a_lost_or_foreign_signature_or_key_is_put_right(
    stub_fleet, host, report, make_order, file, content
):
    order = make_order(1, hex8_2p=b"one")
    await stub_fleet.deploy(host.spec, order, report)
    path = folder(host) / file
    right = path.read_text()
    path.unlink() if content is None else path.write_text(content)
    report.events.clear()
    await stub_fleet.deploy(host.spec, order, report)
    assert report.ended["models"] == "done"
    assert path.read_text() == right


async def test_another_controllers_key_is_trusted_beside_the_old_one_until_its_models_are_proven(
    stub_fleet, host, report, make_order
):
    first = make_order(1, hex8_2p=b"one")
    await stub_fleet.deploy(host.spec, first, report)
    second = make_order(2, Ed25519PrivateKey.from_private_bytes(b"\1" * 32), hex8_2p=b"two")
    with pytest.raises(StoppedHere):
        await stub_fleet.deploy(host.spec, second, Ending("health", "running"))
    trusted = folder(host) / "trusted_keys"
    assert trusted.read_text() == first.trusted + second.trusted
    await stub_fleet.deploy(host.spec, second, report)
    assert trusted.read_text() == second.trusted


async def test_ended_before_any_step_and_called_again_it_comes_to_the_same_end(
    stub_fleet, host, report, make_order
):
    await stub_fleet.deploy(host.spec, make_order(1, hex8_2p=b"one"), report)
    for generation, step in enumerate(STEPS[5:], start=2):
        order = make_order(generation, hex8_2p=b"model %d" % generation)
        with pytest.raises(StoppedHere):
            # The service itself runs on, and no model waits here that a proof is written of.
            state = "unchanged" if step in ("service", "proof") else "running"
            await stub_fleet.deploy(host.spec, order, Ending(step, state))
        serving = await stub_fleet.deploy(host.spec, order, report)
        assert (serving.healthy, serving.generation) == (True, generation), step
        assert serving.models == wanted(order), step
        assert not (folder(host) / "previous").is_symlink(), step


async def test_a_swap_that_was_cut_off_before_its_proof_is_still_undone_when_it_proves_wrong(
    stub_fleet, host, report, make_order
):
    good, bad = make_order(1, hex8_2p=b"one"), make_order(2, hex8_2p=b"surprise")
    await stub_fleet.deploy(host.spec, good, report)
    with pytest.raises(StoppedHere):
        await stub_fleet.deploy(host.spec, bad, Ending("health", "running"))
    assert (folder(host) / "current").readlink() == Path("models/2")
    with pytest.raises(CorruptData):
        await stub_fleet.deploy(host.spec, bad, report)
    assert (folder(host) / "current").readlink() == Path("models/1")


async def test_an_order_without_models_is_refused(stub_fleet, host, report, make_order):
    with pytest.raises(BadInput, match="names no model"):
        await stub_fleet.deploy(host.spec, make_order(1), report)


async def test_a_missing_artifact_is_named(stub_fleet, host, report, make_order):
    order = make_order(1, hex8_2p=b"one")
    order.models[0].path.unlink()
    with pytest.raises(NotFound, match="cannot read"):
        await stub_fleet.deploy(host.spec, order, report)


async def test_a_target_that_does_not_answer_is_unreachable(stub_fleet, host, port):
    with pytest.raises(Unreachable, match="does not answer"):
        await stub_fleet.observe(host.spec, "web", port)


@pytest.mark.parametrize(
    "output",
    ["", "Traceback", '{"ok": true}', '{"ok": false}', "[1]", '{"ok": true, "moves": []}', "null"],
)
def test_a_verification_without_a_verdict_fails_closed(output):
    with pytest.raises(CorruptData, match="could not be verified"):
        deployment.read_verdict("web", output, "")


def test_a_verdict_is_found_behind_what_libraries_print():
    output = 'warning: x\n{"ok": true, "moves": {"hex8_2p": "k"}}\n'
    assert deployment.read_verdict("web", output, "") == {"hex8_2p": "k"}


def test_a_reported_error_keeps_its_class():
    output = '{"ok": false, "error": {"code": "incompatible_model", "message": "another board"}}'
    with pytest.raises(RingRiftError, match="another board") as caught:
        deployment.read_verdict("web", output, "")
    assert caught.value.code == "incompatible_model"


class TestSoftware:
    """Another release of our software beside the one that serves."""

    async def test_it_takes_over_behind_the_same_port_and_goes_back(
        self, stub_fleet, host, report, make_order, source, monkeypatch
    ):
        old = await stub_fleet.deploy(host.spec, make_order(1, hex8_2p=b"one"), report)
        before = (host.root / "run" / "services" / "inference-web.json").read_bytes()
        (source / "inference" / "later.py").write_text("")
        with monkeypatch.context() as patch:
            patch.setattr(wheel, "__version__", "99.0")
            patch.setattr(wheel, "DIST_INFO", "ringrift-99.0.dist-info")
            patch.setattr(wheel, "RECORD", "ringrift-99.0.dist-info/RECORD")
            second = replace(make_order(2, hex8_2p=b"one"), release=await stub_fleet.installable())
        new = await stub_fleet.deploy(host.spec, second, report)
        assert (new.release, new.models, new.generation) == (second.release, old.models, 2)
        assert old.release not in (None, new.release) and old.process != new.process
        assert (host.root / "run" / "services" / "inference-web.json").read_bytes() == before
        assert await stub_fleet.deploy(host.spec, second, report) == new
        assert report.ended["release"] == "unchanged", "it is known by its own RECORD"
        third = replace(make_order(3, hex8_2p=b"one"), release=old.release)
        assert (await stub_fleet.deploy(host.spec, third, report)).release == old.release
        (source / "agents" / "later.py").write_text("")
        await stub_fleet.provision(host.spec, TOKEN, report)
        left = {path.name for path in (host.root / "releases").iterdir()}
        assert {old.release, new.release} < left, "what a generation was served by stays for the way back"

    async def test_a_release_that_does_not_run_leaves_the_old_one_serving(
        self, stub_fleet, host, report, make_order, source
    ):
        old = await stub_fleet.deploy(host.spec, make_order(1, hex8_2p=b"one"), report)
        main = source / "inference" / "__main__.py"
        main.write_text("raise SystemExit('a module is missing')\n" + main.read_text())
        bad = replace(make_order(2, hex8_2p=b"one"), release=await stub_fleet.installable())
        with pytest.raises(EnvironmentProblem, match="does not take over: it ended with 1"):
            await stub_fleet.deploy(host.spec, bad, report)
        shown = await stub_fleet.observe(host.spec, "web", bad.port)
        assert (shown.release, shown.process, shown.healthy) == (old.release, old.process, True)
        assert (folder(host) / "current").readlink() == Path("models/1")

    async def test_ended_before_a_step_and_called_again_it_comes_to_the_same_end(
        self, stub_fleet, host, report, make_order, source
    ):
        first = await stub_fleet.deploy(host.spec, make_order(1, hex8_2p=b"one"), report)
        releases = [first.release]
        for generation, step in enumerate(("models", "verify", "swap", "health", "retention"), start=2):
            (source / "inference" / f"later_{generation}.py").touch()
            release = await stub_fleet.installable()
            releases.append(release)
            order = replace(make_order(generation, hex8_2p=b"one"), release=release)
            with pytest.raises(StoppedHere):
                await stub_fleet.deploy(host.spec, order, Ending(step, "running"))
            serving = await stub_fleet.deploy(host.spec, order, report)
            assert (serving.healthy, serving.generation, serving.release) == (True, generation, release), step
        left = {path.name for path in (host.root / "releases").iterdir()}
        kept = [number for number, name in enumerate(releases, start=1) if name in left]
        assert kept == [1, 4, 5, 6], "that of the front, and those of the generations that are there"

    async def test_a_release_that_is_gone_is_named(self, stub_fleet, host, report, make_order):
        with pytest.raises(NotFound, match="there is no release ffffffffffff"):
            await stub_fleet.deploy(
                host.spec, replace(make_order(1, hex8_2p=b"one"), release="f" * 12), report
            )
