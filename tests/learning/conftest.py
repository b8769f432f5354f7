"""What several tests of this room need: made-up records, quick real units of work."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ringrift.game.config import GameConfig
from ringrift.learning.dataset_id import dataset_sha
from ringrift.learning.records import CHEAP, FULL, OPENING, GameEnd, GameHeader, GameRecord, RecordBuilder
from ringrift.learning.selfplay import play_shard
from ringrift.learning.shards import shard_bytes
from ringrift.players.base import PlayerSpec as Specification
from ringrift.players.base import build_player
from ringrift.protocol.jobs import PlayerSpec, SelfplaySpec, TrainSpec


def make_header(config: str = "hex8_3p", **changes: object) -> GameHeader:
    players = int(config[-2])
    fields: dict[str, object] = {
        "config": config,
        "swap_rule": players == 2,
        "seats": [PlayerSpec(kind="gumbel", simulations=8)] * players,
        "evaluation": None,
        "seed": 7,
        "sequence": 3,
        "opening_random_plies": 2,
        "full_share": 0.25,
        "cheap_simulations": 4,
    }
    return GameHeader.model_validate(fields | changes)


def make_record(config: str = "hex8_3p", *, game: int = 0, decisions: int = 12) -> GameRecord:
    """A record with decisions of every kind."""
    dice = np.random.default_rng(game)
    players = int(config[-2])
    builder = RecordBuilder(players)
    for decision in range(decisions):
        kind = (OPENING, CHEAP, FULL)[decision % 3]
        values = None if kind == OPENING else dice.random(players, dtype=np.float32)
        size = int(dice.integers(1, 50))
        shares = dice.random(size, dtype=np.float32)
        target = (dice.permutation(300)[:size], shares / shares.sum())
        builder.add(int(dice.integers(1 << 16)), kind, values, target if kind == FULL else None)
    return builder.finish(make_header(config), game, GameEnd(2, 40, int(dice.integers(1 << 32))))


@pytest.fixture
def header():
    """Make a header; keyword arguments change fields."""
    return make_header


@pytest.fixture
def record():
    """Make a record with the structure of a game but arbitrary content."""
    return make_record


RANDOM = {"kind": "random"}
SEARCH = {"kind": "gumbel", "simulations": 4, "considered": 4}
"""A search with the heuristic as evaluator: quick, but with real targets."""


def selfplay_spec(config: str = "hex8_2p", **changes: object) -> SelfplaySpec:
    fields: dict[str, object] = {
        "config": config,
        "player": SEARCH,
        "shards": 1,
        "games_per_shard": 4,
        "seed": 11,
        "opening_random_plies": 3,
    }
    return SelfplaySpec.model_validate(fields | changes)


def train_spec(config: str, shards: list[str], **changes: object) -> TrainSpec:
    recipe = {"steps": 2, "batch_size": 32, "learning_rate": 2e-3}
    fields: dict[str, object] = {
        "config": config,
        "dataset": dataset_sha(config, shards),
        "shards": shards,
        "parent": None,
        "architecture": {"blocks": 1, "channels": 8},
        "recipe": recipe | changes.pop("recipe", {}),
        "seed": 5,
    }
    return TrainSpec.model_validate(fields | changes)


class Inputs:
    """A folder of artifacts named by their hashes, as an agent prepares it for a job."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, data: bytes) -> str:
        sha = hashlib.sha256(data).hexdigest()
        (self.folder / sha).write_bytes(data)
        return sha

    def add_games(self, spec: SelfplaySpec, sequence: int = 0) -> str:
        """Play a shard and put it here; return its hash."""
        player = build_player(
            Specification.from_dict(spec.player.model_dump()), GameConfig.parse(spec.config)
        )
        records = play_shard(spec, sequence, player, quiet)
        return self.add(shard_bytes(records))


def quiet(done: float) -> None:
    """Take a report of progress and drop it."""


@pytest.fixture
def inputs(tmp_path: Path) -> Inputs:
    folder = tmp_path / "inputs"
    folder.mkdir()
    return Inputs(folder)


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder with a shard of searched hex8_2p games, and the shard's hash."""
    here = Inputs(tmp_path_factory.mktemp("played"))
    return here.folder, here.add_games(selfplay_spec(games_per_shard=16))


@pytest.fixture
def specs():
    """The makers of specifications, as `specs.selfplay(...)` and `specs.train(...)`."""
    return SimpleNamespace(
        selfplay=selfplay_spec, train=train_spec, random=RANDOM, search=SEARCH, quiet=quiet
    )
