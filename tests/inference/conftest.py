"""Tiny real models, folders as a deployment leaves them, and the service as a real process."""

from __future__ import annotations

import base64
import gzip
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
import torch
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from inference.trust import key_id
from ringrift.game.config import ALL_CONFIGS, GameConfig
from ringrift.golden import measure
from ringrift.nets.checkpoint import save_checkpoint
from ringrift.nets.network import ArchConfig, RingRiftNet

REPOSITORY = Path(__file__).resolve().parents[2]
SAMPLES = REPOSITORY / "tests" / "data" / "api"
PATIENCE = 900.0
SIGNER = Ed25519PrivateKey.from_private_bytes(bytes(32))


def public(signer):
    """Return a line of `trusted_keys`."""
    return base64.b64encode(signer.public_key().public_bytes_raw()).decode() + "\n"


def signature(data, signer=SIGNER):
    """Return what belongs into `manifest.sig` beside this manifest."""
    name = key_id(signer.public_key().public_bytes_raw())
    return f"{name} {base64.b64encode(signer.sign(data)).decode()}\n"


class Shelf:
    """Checkpoints with random weights, one per (config, seed), made when first wanted."""

    def __init__(self, folder):
        self.folder = folder

    def checkpoint(self, key, seed=0):
        """Return the path of a checkpoint; its name is its SHA-256."""
        index = self.folder / f"{key}-{seed}"
        if not index.exists():
            torch.manual_seed(seed)
            net = RingRiftNet(ArchConfig(blocks=1, channels=8))
            metadata = {"config": key, "parent": None, "dataset": None, "recipe": {"seed": seed}}
            sha256 = save_checkpoint(self.folder / "new.pth", net, metadata)
            (self.folder / "new.pth").rename(self.folder / sha256)
            vectors = measure(net, GameConfig.parse(key)).document()
            (self.folder / f"{sha256}.golden").write_text(json.dumps(vectors))
            index.write_text(sha256)
        return self.folder / index.read_text()

    def golden(self, key, seed=0):
        """Return the golden vectors of that checkpoint."""
        return json.loads(self.checkpoint(key, seed).with_suffix(".golden").read_text())


class Deployment:
    """A folder of models whose `current` leads to the newest generation, signed."""

    def __init__(self, folder, shelf):
        self.folder = folder
        self.shelf = shelf
        self.generation = 0
        folder.mkdir()
        self.trusted = folder / "trusted_keys"
        self.trusted.write_text(public(SIGNER))

    def deploy(self, models, **changes):
        """Put a generation beside the present one and swap; `models` maps config keys to checkpoint seeds.

        `changes` may replace what the manifest says: {"hex8_2p": {"sha256": ...}}.
        """
        self.generation += 1
        place = self.folder / "models" / str(self.generation)
        place.mkdir(parents=True)
        entries = {}
        for key, seed in models.items():
            source = self.shelf.checkpoint(key, seed)
            name = f"canonical_{key}.pth"
            (place / name).write_bytes(source.read_bytes())
            entry = {"file": name, "sha256": source.name, "model": source.name, "generation": seed}
            entry["golden"] = self.shelf.golden(key, seed)
            entries[key] = {**entry, **changes.get(key, {})}
        manifest = {"format": 3, "generation": self.generation, "deployment": "d", "models": entries}
        self.write(place / "manifest.json", manifest)
        self.swap(place)
        return place

    def write(self, path, manifest):
        """Write a manifest and its signature; where they are current, a look may see only one of them."""
        data = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()
        path.write_bytes(data)
        path.with_suffix(".sig").write_text(signature(data))

    def swap(self, place):
        fresh = self.folder / "current.new"
        fresh.symlink_to(place)
        fresh.replace(self.folder / "current")

    def sha256(self, key, seed):
        return self.shelf.checkpoint(key, seed).name


class Service:
    """The service as its own process."""

    def __init__(self, folder, *options, environment=None, descriptors=(), stderr=None, log):
        self.log = log
        self.process = subprocess.Popen(
            [sys.executable, "-m", "inference", "--models", str(folder), *options],
            cwd=REPOSITORY,
            env={**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})},
            stdout=subprocess.DEVNULL,
            stderr=stderr if stderr is not None else log.open("ab"),
            pass_fds=descriptors,
        )
        self.url = ""

    def wait_until_listening(self, url):
        self.url = url
        self.wait_for(lambda: self.health() is not None, "an answer")
        return self

    def wait_for(self, condition, what):
        until = time.monotonic() + PATIENCE
        while not condition():
            assert self.process.poll() is None, f"the service ended: {self.log.read_text()}"
            assert time.monotonic() < until, f"waited in vain for {what}: {self.log.read_text()}"
            time.sleep(0.05)

    def wait_until_healthy(self):
        self.wait_for(lambda: self.health()["status"] == "healthy", "health")
        return self

    def health(self):
        try:
            return httpx.get(f"{self.url}/health", timeout=30).json()
        except httpx.TransportError:
            return None

    def move(self, body):
        return httpx.post(f"{self.url}/move", json=body, timeout=60)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


def said(answer):
    """Return the one line of a refusal; a 422 has the form of FastAPI's own."""
    detail = answer.json()["detail"]
    if answer.status_code == 422:
        (fault,) = detail
        assert set(fault) == {"type", "loc", "msg"}
        assert fault["loc"][0] == "body"
        return fault["msg"]
    return detail


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def shelf(tmp_path_factory):
    return Shelf(tmp_path_factory.mktemp("shelf"))


@pytest.fixture
def deployment(tmp_path, shelf):
    return Deployment(tmp_path / "target", shelf)


@pytest.fixture
def start_service(tmp_path):
    """Start services that end with the test."""
    running = []

    def start(folder, *options, url=None, **more):
        """Start on a free port, or with `--fd` among the options on the socket of `url`."""
        port = free_port()
        place = () if url else ("--port", str(port))
        service = Service(folder, *place, *options, log=tmp_path / f"{len(running)}.log", **more)
        running.append(service)
        return service.wait_until_listening(url or f"http://127.0.0.1:{port}")

    yield start
    for service in running:
        service.stop()


@pytest.fixture(scope="session")
def service(tmp_path_factory, shelf):
    """One service for many tests, with a model of every config."""
    folder = tmp_path_factory.mktemp("all")
    deployment = Deployment(folder / "target", shelf)
    deployment.deploy({config.key: 0 for config in ALL_CONFIGS})
    port = free_port()
    made = Service(folder / "target", "--port", str(port), log=folder / "service.log")
    made.deployment = deployment
    yield made.wait_until_listening(f"http://127.0.0.1:{port}").wait_until_healthy()
    made.stop()


def _lines(name):
    with gzip.open(SAMPLES / name, "rt") as file:
        return [json.loads(line) for line in file]


@pytest.fixture(scope="session")
def positions():
    return {sample["name"]: sample for sample in _lines("positions.jsonl.gz")}


@pytest.fixture(scope="session")
def others():
    return _lines("other.jsonl.gz")


@pytest.fixture(scope="session")
def malformed():
    return {sample["id"]: sample for sample in _lines("malformed.jsonl.gz")}
