"""The service as a process of its own, with a model of every config, started to be measured."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

import torch

from inference.manifest import FORMAT
from ringrift.errors import EnvironmentProblem
from ringrift.game.config import ALL_CONFIGS
from ringrift.golden import measure
from ringrift.nets.checkpoint import save_checkpoint
from ringrift.nets.network import ArchConfig, RingRiftNet

_PATIENCE = 300.0
"""Seconds; with an empty cache the first start compiles."""
_LOOK_SECONDS = 0.02


def write_models(folder: Path, arch: ArchConfig) -> None:
    """Fill a folder with a manifest and nets of random weights, one for each of the twelve configs."""
    models = {}
    for config in ALL_CONFIGS:
        torch.manual_seed(0)
        name = f"canonical_{config.key}.pth"
        described = {"config": config.key, "parent": None, "dataset": None, "recipe": {}}
        net = RingRiftNet(arch)
        sha256 = save_checkpoint(folder / name, net, described)
        golden = measure(net, config).document()
        models[config.key] = {"file": name, "sha256": sha256, "generation": 0, "golden": golden}
    manifest = {"format": FORMAT, "generation": 0, "deployment": "bench", "models": models}
    (folder / "manifest.json").write_text(json.dumps(manifest))


class Service:
    """A service of `folder` that has become healthy; as a context it ends with the block.

    `seconds` is the wall time from the start of the process until then.
    """

    def __init__(self, folder: Path, workers: int) -> None:
        """Raises `EnvironmentProblem` with the service's last words when it does not become healthy."""
        self._log = folder / "service.log"
        with socket.create_server(("127.0.0.1", 0), backlog=1024) as listening, self._log.open("wb") as log:
            self.address: tuple[str, int] = listening.getsockname()[:2]
            command = ("-m", "inference", "--models", str(folder), "--unsigned", "--fd")
            began = time.perf_counter()
            self._process = subprocess.Popen(
                [sys.executable, *command, str(listening.fileno()), "--workers", str(workers)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(listening.fileno(),),
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
        try:
            self._wait_until_healthy(began + _PATIENCE)
        except BaseException:
            self.stop()
            raise
        self.seconds = time.perf_counter() - began

    def metric(self, name: str) -> float:
        """Return a sample of `/metrics` that has no labels."""
        lines = self._get("/metrics")[1].decode().splitlines()
        return float(next(line.split()[1] for line in lines if line.startswith(f"{name} ")))

    def memory(self) -> int:
        """Return the resident bytes."""
        return int(self.metric("process_resident_memory_bytes"))

    def cpu(self) -> float:
        """Return the CPU seconds used so far."""
        return self.metric("process_cpu_seconds_total")

    def stop(self) -> None:
        """End it; nothing is waited for that it still searches."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Service:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _get(self, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(*self.address, timeout=30)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def _wait_until_healthy(self, until: float) -> None:
        status = 0
        while status != 200:
            if self._process.poll() is not None or time.perf_counter() > until:
                words = self._log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
                raise EnvironmentProblem(f"the service did not become healthy: {words[-1]}")
            time.sleep(_LOOK_SECONDS)
            try:
                status, _ = self._get("/health")
            except OSError:
                continue
