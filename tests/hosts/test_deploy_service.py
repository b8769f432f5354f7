"""A deployment of real checkpoints to the real inference service on a real host."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hosts.probing import PROBES
from ringrift.control.domain.ports import ModelFile
from ringrift.control.signing import signed_order
from ringrift.errors import IncompatibleModel

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def warm_host(host):
    """A host whose kernels are compiled already: it shares the cache of this checkout."""
    cache = host.root / "cache" / "numba"
    cache.mkdir(parents=True)
    (REPOSITORY / "ringrift" / "__pycache__" / "jit").mkdir(parents=True, exist_ok=True)
    (cache / "ringrift").symlink_to(REPOSITORY / "ringrift" / "__pycache__" / "jit")
    return host


@pytest.fixture
def make_model(tmp_path):
    """Return a function that writes a tiny checkpoint of a config."""
    torch = pytest.importorskip("torch")
    from ringrift.game.config import GameConfig
    from ringrift.golden import measure
    from ringrift.nets.checkpoint import save_checkpoint
    from ringrift.nets.network import ArchConfig, RingRiftNet

    def make(config: str, seed: int) -> ModelFile:
        torch.manual_seed(seed)
        path = tmp_path / f"{config}-{seed}"
        metadata = {"config": config, "parent": None, "dataset": None, "recipe": {"seed": seed}}
        net = RingRiftNet(ArchConfig(blocks=1, channels=8))
        sha256 = save_checkpoint(path, net, metadata)
        vectors = measure(net, GameConfig.parse(config)).document()
        return ModelFile(config, sha256, path, seed, golden=vectors)

    return make


@pytest.mark.timeout(900)  # minutes where the kernels are not compiled yet, seconds where they are
async def test_real_models_are_verified_served_replaced_and_a_wrong_one_is_refused(
    fleet, warm_host, report, make_model
):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    first = signed_order(KEY, "web", port, "d-1", 1, (make_model("hex8_2p", 1),))
    serving = await fleet.deploy(warm_host.spec, first, report)
    assert (serving.healthy, serving.generation) == (True, 1)
    assert serving.models == {"hex8_2p": first.models[0].sha256}
    asked = await fleet.observe(warm_host.spec, "web", port)
    assert asked.process == serving.process and asked.process is not None
    assert asked.traffic is not None
    assert (asked.traffic.answered, asked.traffic.errors) == (PROBES, 0)

    second = signed_order(KEY, "web", port, "d-2", 2, (make_model("hex8_2p", 2),))
    serving = await fleet.deploy(warm_host.spec, second, report)
    assert serving.models == {"hex8_2p": second.models[0].sha256}

    wrong = replace(make_model("square8_2p", 3), config="hex8_2p")
    with pytest.raises(IncompatibleModel, match="square8_2p"):
        await fleet.deploy(warm_host.spec, signed_order(KEY, "web", port, "d-3", 3, (wrong,)), report)
    assert report.ended["verify"] == "failed"
    health = httpx.get(f"http://127.0.0.1:{port}/health", timeout=20).json()
    assert health["models"]["hex8_2p"]["sha256"] == second.models[0].sha256
