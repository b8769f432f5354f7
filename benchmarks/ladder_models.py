"""Train a model for `ringrift-ctl bench ladder` on this machine alone, a generation after the other.

    python -m benchmarks.ladder_models hex8_2p FOLDER

Generation 0 learns from games of the search with the heuristic, every later one from games of the net before
it, the games of the last generations beside them. The jobs are those that agents run. FOLDER then holds the
model and a manifest as the service reads it; other configs' models in it stay.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import torch

from benchmarks.first_champion import run
from inference.manifest import FORMAT, MANIFEST
from ringrift.game.config import ALL_CONFIGS
from ringrift.learning.dataset_id import dataset_sha

SHARD = 64
"""Games of a shard: one batch of searches."""


def play(options: argparse.Namespace, generation: int, model: str | None, folder: Path) -> list[str]:
    """Play a generation's games, a shard a task, on all cores; return the shards' names."""
    simulations = options.simulations if model else options.teacher
    count = options.first_shards if model is None else options.shards
    spec = {
        "kind": "selfplay", "config": options.config, "shards": 1, "games_per_shard": SHARD,
        "player": {"kind": "gumbel", "simulations": simulations, "model": model},
        "full_share": 0.5, "cheap_simulations": max(8, simulations // 4), "opening_random_plies": 4,
    }  # fmt: skip
    seeds = [options.seed * 1_000_000 + generation * 10_000 + number for number in range(count)]
    with ProcessPoolExecutor(options.workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        tasks = [pool.submit(_shard, spec | {"seed": seed}, folder) for seed in seeds]
        return [task.result() for task in tasks]


def _shard(spec: dict[str, Any], folder: Path) -> str:
    with tempfile.TemporaryDirectory() as outputs:
        (payload,) = run(spec, folder, Path(outputs))
    return str(payload["shard"])


def train(options: argparse.Namespace, shards: list[str], seed: int, folder: Path) -> dict[str, Any]:
    """Train a net from scratch on these shards; return the job's result."""
    spec = {
        "kind": "train", "config": options.config, "dataset": dataset_sha(options.config, shards),
        "shards": shards, "parent": None, "seed": seed,
        "recipe": {"steps": options.steps, "batch_size": 256, "learning_rate": 3e-3},
        "architecture": {"blocks": options.blocks, "channels": options.channels},
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as outputs:
        (result,) = run(spec, folder, Path(outputs))
    return result


def publish(config: str, result: dict[str, Any], generation: int, work: Path, models: Path) -> None:
    """Put the model and its entry of the manifest into `models`."""
    models.mkdir(parents=True, exist_ok=True)
    path, name = models / MANIFEST, f"canonical_{config}.pth"
    empty = {"format": FORMAT, "generation": 0, "deployment": "bench", "expires_at": None, "models": {}}
    manifest = json.loads(path.read_text()) if path.exists() else empty
    manifest["models"][config] = {
        "file": name, "sha256": result["model"], "generation": generation,
        "evaluation": None, "golden": result["golden"],
    }  # fmt: skip
    shutil.copyfile(work / result["model"], models / name)
    path.write_text(json.dumps(manifest))


def main() -> None:
    """Train the asked generations and publish each as soon as it is there."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", choices=[config.key for config in ALL_CONFIGS])
    parser.add_argument("models", type=Path, metavar="FOLDER")
    for name, default in (
        ("generations", 4), ("window", 3), ("first-shards", 24), ("shards", 12), ("teacher", 512),
        ("simulations", 64), ("steps", 1500), ("blocks", 4), ("channels", 32), ("seed", 1),
        ("workers", os.cpu_count() or 1),
    ):  # fmt: skip
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--work", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        work = options.work or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        work.mkdir(parents=True, exist_ok=True)
        climb(options, work)


def climb(options: argparse.Namespace, work: Path) -> None:
    """Play, train and publish, generation after generation, from where `work` stands."""
    path = work / f"{options.config}.json"
    state = json.loads(path.read_text()) if path.exists() else {"model": None, "played": []}
    for generation in range(len(state["played"]), options.generations):
        began = time.monotonic()
        state["played"].append(play(options, generation, state["model"], work))
        shards = [shard for part in state["played"][-options.window :] for shard in part]
        halfway = time.monotonic()
        result = train(options, shards, options.seed + generation, work)
        publish(options.config, result, generation, work, options.models)
        state["model"] = result["model"]
        path.write_text(json.dumps(state))
        print(
            f"{options.config} generation {generation}: {len(shards) * SHARD} games learnt from, "
            f"held-out loss {result['holdout_loss']:.3f}, "
            f"winner {result['holdout_value_accuracy']:.0%} right; "
            f"played {halfway - began:.0f} s, trained {time.monotonic() - halfway:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
