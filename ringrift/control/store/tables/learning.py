"""Games, data sets, models, evaluations, promotions and aliases."""

from typing import Any

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from ringrift.control.store.tables.columns import big, document, seconds, text


class ConfigRow(SQLModel, table=True):
    """Whether a config is trained; no row means not."""

    __tablename__ = "config"
    key: str = Field(primary_key=True)
    enabled: bool = False
    actor: str = ""
    changed_at: float = seconds()


class Shard(SQLModel, table=True):
    """A file of game records: `received`, then `sound` or `refused` after its replay."""

    __table_args__ = (
        Index("ix_shard_config_purpose_state", "config", "purpose", "state"),
        Index("ix_shard_fresh", "in_dataset", "state", "purpose"),
    )
    sha256: str = Field(primary_key=True, foreign_key="artifact.sha256")
    config: str
    purpose: str
    """`selfplay` or `evaluation`; only self-play becomes training data."""
    state: str = Field(index=True)
    reason: str = text(default="")
    job: str = Field(foreign_key="job.id", index=True)
    sequence: int
    """With `job`, the result that reported it."""
    agent: str = Field(foreign_key="agent.id", index=True)
    games: int
    positions: int = big()
    """Decisions in its games: each is one training position."""
    soft_target_share: float = 0.0
    in_dataset: bool = False
    """Whether some data set has it or passed it over as too old; sound ones without that are fresh."""
    received_at: float = seconds(index=True)
    judged_at: float | None = seconds(default=None)


class Game(SQLModel, table=True):
    """One finished game, counted once whatever is retried (P2)."""

    game_id: str = Field(primary_key=True)
    shard: str = Field(foreign_key="shard.sha256", index=True)
    config: str
    purpose: str
    winner: int | None
    plies: int
    decisions: int


class Dataset(SQLModel, table=True):
    """An immutable list of shards with its statistics; `sha256` is the hash of that list."""

    sha256: str = Field(primary_key=True)
    config: str = Field(index=True)
    games: int
    positions: int = big()
    statistics: dict[str, Any] = document()
    made_at: float = seconds()


class DatasetShard(SQLModel, table=True):
    """Membership of a shard in a data set, in order."""

    __tablename__ = "dataset_shard"
    dataset: str = Field(primary_key=True, foreign_key="dataset.sha256")
    position: int = Field(primary_key=True)
    shard: str = Field(foreign_key="shard.sha256", index=True)


class Model(SQLModel, table=True):
    """An immutable checkpoint with where it comes from."""

    __table_args__ = (Index("ix_model_config_state", "config", "state"),)
    sha256: str = Field(primary_key=True, foreign_key="artifact.sha256")
    config: str
    state: str
    """`candidate`, `champion`, `retired` or `rejected`."""
    parent: str | None = Field(default=None, foreign_key="model.sha256")
    dataset: str | None = Field(default=None, foreign_key="dataset.sha256")
    """None, as `job`, for a model that was imported."""
    job: str | None = Field(default=None, foreign_key="job.id")
    architecture: dict[str, Any] = document()
    recipe: dict[str, Any] = document()
    positions: int = big()
    train_loss: float
    holdout_loss: float
    parent_holdout_loss: float | None = None
    holdout_value_accuracy: float
    golden: dict[str, Any] | None = document(default=None)
    """What the net says in fixed positions (`ringrift.golden`); None for models of before: not deployed."""
    onnx_difference: float | None = None
    """Largest difference from `golden` when onnxruntime computes it; None where nobody compared."""
    origin: dict[str, Any] | None = document(default=None)
    """Of an imported model: `signer`, who says `parent`, `dataset`, `generation` and `evaluation`."""
    made_at: float = seconds()


class Evaluation(SQLModel, table=True):
    """A test registered before its game 1; `id` is the hash of `registration` and both never change."""

    __table_args__ = (Index("ix_evaluation_config_state", "config", "state"),)
    id: str = Field(primary_key=True)
    config: str
    candidate: str = Field(foreign_key="model.sha256", index=True)
    opponent: str
    """A model hash, or the name of a player without a model, such as `random`."""
    registration: dict[str, Any] = document()
    state: str
    """`running`, `accepted`, `rejected` or `superseded`."""
    reason: str = text(default="")
    blocks: int = 0
    """Blocks that the verdict rests on: 0 .. blocks - 1."""
    llr: float = 0.0
    registered_at: float = seconds()
    decided_at: float | None = seconds(default=None)


class EvaluationBlock(SQLModel, table=True):
    """The outcome of one seat-rotation block, once."""

    __tablename__ = "evaluation_block"
    evaluation: str = Field(primary_key=True, foreign_key="evaluation.id")
    block: int = Field(primary_key=True)
    shard: str = Field(foreign_key="shard.sha256")
    result: int = Field(foreign_key="result.id")
    wins: int
    games: int
    winning_seats: list[int] = document()
    """Seats from which the candidate won."""


class Promotion(SQLModel, table=True):
    """One move of a champion alias; a config's promotions form one chain (P4)."""

    config: str = Field(primary_key=True)
    generation: int = Field(primary_key=True)
    kind: str
    """`promote` or `rollback`."""
    model: str = Field(foreign_key="model.sha256")
    previous: str | None = Field(default=None, foreign_key="model.sha256")
    evaluation: str | None = Field(default=None, foreign_key="evaluation.id")
    conditions: list[dict[str, Any]] = document()
    elo: float | None = None
    actor: str
    reason: str = text(default="")
    at: float = seconds()


class Alias(SQLModel, table=True):
    """A movable name of a model: `champion`, and what follows from it, `challenger` and `previous`."""

    name: str = Field(primary_key=True)
    config: str = Field(primary_key=True)
    model: str = Field(foreign_key="model.sha256")
    generation: int
    changed_at: float = seconds()
