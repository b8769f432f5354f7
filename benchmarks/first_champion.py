"""What a first champion costs: self-play without a net, one training, and the test against the random anchor.

    python benchmarks/first_champion.py hex8_2p --shards 8 --steps 300

Runs the jobs as an agent does, in one process on one thread, and prints wall and CPU seconds of each.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ringrift.game.config import GameConfig
from ringrift.learning.dataset_id import dataset_sha
from ringrift.learning.jobs import run_job
from ringrift.learning.sprt import Test, block_wins, decide, tally

BLOCKS_PER_JOB = 8


@contextmanager
def measured(name: str) -> Iterator[None]:
    wall, cpu = time.monotonic(), time.process_time()
    yield
    print(f"{name}: {time.monotonic() - wall:.1f} s, {time.process_time() - cpu:.1f} s of CPU", flush=True)


def run(spec: dict[str, Any], inputs: Path, outputs: Path) -> list[dict[str, Any]]:
    """Run a job; put its artifacts among the inputs and return the payloads in order."""
    payloads = []

    def emit(event: dict[str, Any]) -> None:
        if event["type"] == "result":
            payloads.append(event["payload"])
            for name in event["artifacts"]:
                data = (outputs / name).read_bytes()
                (inputs / hashlib.sha256(data).hexdigest()).write_bytes(data)

    run_job(spec["kind"], spec, inputs, outputs, set(), emit)
    return payloads


def selfplay(options: argparse.Namespace, inputs: Path, outputs: Path) -> list[str]:
    player = {"kind": "gumbel", "simulations": options.simulations}
    spec = {
        "kind": "selfplay", "config": options.config, "player": player, "shards": options.shards,
        "games_per_shard": options.games, "seed": options.seed, "opening_random_plies": 4,
    }  # fmt: skip
    with measured("self-play"):
        payloads = run(spec, inputs, outputs)
    games = [game for payload in payloads for game in payload["games"]]
    print(f"  {len(games)} games, {sum(game['decisions'] for game in games)} decisions")
    with measured("ingest"):
        for payload in payloads:
            spec = {"kind": "ingest", "config": options.config, "shard": payload["shard"]}
            assert all(found["sound"] for found in run(spec, inputs, outputs))
    return [payload["shard"] for payload in payloads]


def train(options: argparse.Namespace, shards: list[str], inputs: Path, outputs: Path) -> str:
    recipe = {"steps": options.steps, "batch_size": options.batch, "learning_rate": options.rate}
    spec = {
        "kind": "train", "config": options.config, "dataset": dataset_sha(options.config, shards),
        "shards": shards, "parent": None, "recipe": recipe, "seed": options.seed,
        "architecture": {"blocks": options.blocks, "channels": options.channels},
    }  # fmt: skip
    with measured("training"):
        (result,) = run(spec, inputs, outputs)
    print(
        f"  held-out loss {result['holdout_loss']:.3f}, winner {result['holdout_value_accuracy']:.0%} right"
    )
    return str(result["model"])


def evaluate(options: argparse.Namespace, model: str, opponent: str, inputs: Path, outputs: Path) -> None:
    players = GameConfig.parse(options.config).players
    test = Test(0, 200, 0.05, 0.05, players, options.max_blocks)
    wins: list[int] = []
    candidate = {"kind": "gumbel", "simulations": options.evaluation_simulations, "model": model}
    spec = {
        "kind": "evaluate", "config": options.config, "evaluation": "0" * 64, "candidate": candidate,
        "opponent": {"kind": opponent}, "blocks": BLOCKS_PER_JOB, "seed": options.seed,
    }  # fmt: skip
    with measured(f"evaluation against {opponent}"):
        while (verdict := decide(test, tally(players, wins))).verdict == "continue":
            for payload in run(spec | {"first_block": len(wins)}, inputs, outputs):
                winners = [game["winner"] for game in payload["games"]]
                wins.append(block_wins(players, winners, payload["candidate_seats"]))
    print(f"  {verdict.verdict}: {verdict.games} games, score {verdict.score:.3f}, {verdict.reason}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config")
    for name, default in (
        ("shards", 8), ("games", 64), ("simulations", 32), ("steps", 300), ("batch", 128), ("blocks", 4),
        ("channels", 32), ("evaluation-simulations", 16), ("max-blocks", 200), ("seed", 1),
    ):  # fmt: skip
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--rate", type=float, default=3e-3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        inputs, outputs = Path(folder) / "inputs", Path(folder) / "outputs"
        inputs.mkdir()
        shards = selfplay(options, inputs, outputs)
        model = train(options, shards, inputs, outputs)
        for opponent in ("random", "heuristic"):
            evaluate(options, model, opponent, inputs, outputs)


if __name__ == "__main__":
    main()
