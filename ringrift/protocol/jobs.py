"""Job kinds: what is asked (specs) and what comes back (results).

A spec is immutable and names every input by hash: nothing is looked up by name while a job runs.
A result is one unit of work, keyed by (job, sequence). Sequence k of a spec always means the same work,
so that a unit done twice is the same unit.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, TypeAdapter, model_validator

from ringrift.protocol.types import ConfigKey, Count, Finite, Fraction, Seat, Sha256, Wire


class JobKind(StrEnum):
    """The kinds of work that agents do."""

    SELFPLAY = "selfplay"
    INGEST = "ingest"
    TRAIN = "train"
    EVALUATE = "evaluate"
    REPEAT = "repeat"


class PlayerSpec(Wire):
    """Who chooses moves. `model` None with a searching kind means the heuristic as evaluator."""

    kind: Literal["random", "heuristic", "minimax", "mcts", "gumbel", "policy"]
    model: Sha256 | None = None
    simulations: Annotated[int, Field(ge=0, le=100_000)] = 0
    considered: Annotated[int, Field(ge=0, le=64)] = 16
    randomness: Fraction = 0.0


class SelfplaySpec(Wire):
    """`shards` shards of `games_per_shard` games each; shard k is sequence k and is seeded by (seed, k).

    `full_share` of the decisions of a game are searched with the full budget and carry a policy target,
    the others are played with `cheap_simulations` (playout-cap randomisation).
    """

    kind: Literal["selfplay"] = "selfplay"
    config: ConfigKey
    player: PlayerSpec
    shards: Annotated[int, Field(ge=1, le=10_000)]
    games_per_shard: Annotated[int, Field(ge=1, le=4096)]
    seed: Count
    full_share: Fraction = 1.0
    cheap_simulations: Count = 0
    opening_random_plies: Count = 0


class IngestSpec(Wire):
    """Replay every game of one shard through the rules."""

    kind: Literal["ingest"] = "ingest"
    config: ConfigKey
    shard: Sha256


class Recipe(Wire):
    """How to train: every number that matters for the result."""

    steps: Annotated[int, Field(ge=1)]
    batch_size: Annotated[int, Field(ge=1)]
    learning_rate: Annotated[float, Field(gt=0, le=1)]
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    value_weight: Annotated[float, Field(ge=0)] = 1.0
    gradient_clip: Annotated[float, Field(gt=0)] = 1.0
    holdout_share: Annotated[float, Field(gt=0, lt=0.5)] = 0.1
    max_seconds: Annotated[float, Field(gt=0)] = 3600.0
    """Abort (failed job) when exceeded: a limit, never a stopping rule."""


class Architecture(Wire):
    """Shape of the one network class."""

    blocks: Annotated[int, Field(ge=1, le=64)] = 4
    channels: Annotated[int, Field(ge=8, le=1024)] = 32


class TrainSpec(Wire):
    """One training run on a frozen data set. `parent` None means from scratch, said explicitly."""

    kind: Literal["train"] = "train"
    config: ConfigKey
    dataset: Sha256
    shards: Annotated[list[Sha256], Field(min_length=1)]
    parent: Sha256 | None
    architecture: Architecture
    recipe: Recipe
    seed: Count


class EvaluateSpec(Wire):
    """Blocks `first_block .. first_block + blocks - 1`; block k is sequence k.

    A block plays the candidate once in every seat against copies of the opponent, all games of a block
    from the same seeded opening (two players: one seat-swapped pair).
    """

    kind: Literal["evaluate"] = "evaluate"
    config: ConfigKey
    evaluation: Sha256
    candidate: PlayerSpec
    opponent: PlayerSpec
    first_block: Count
    blocks: Annotated[int, Field(ge=1, le=1000)]
    seed: Count
    opening_random_plies: Count = 4


class RepeatSpec(Wire):
    """Play games of one self-play shard again by their seeds, and compare them with that `shard`.

    `sequence` is the shard's number in `origin`. `games` are the numbers of the games to repeat, all of them
    when empty. With a net only whole shards are repeated: what a small net says may depend in its last bits
    on the batch, so the repetition must batch as the original did.
    """

    kind: Literal["repeat"] = "repeat"
    config: ConfigKey
    origin: SelfplaySpec
    sequence: Count
    shard: Sha256
    games: list[Count] = []

    @model_validator(mode="after")
    def _fits_its_origin(self) -> RepeatSpec:
        if self.origin.config != self.config:
            raise ValueError(f"config: the shard is of {self.origin.config}")
        if self.sequence >= self.origin.shards:
            raise ValueError(f"sequence: the origin has {self.origin.shards} shards")
        if any(game >= self.origin.games_per_shard for game in self.games):
            raise ValueError(f"games: a shard of the origin has {self.origin.games_per_shard} games")
        if self.games and self.origin.player.model:
            raise ValueError("games: with a net only whole shards can be repeated")
        return self


def exact_everywhere(player: PlayerSpec) -> bool:
    """Tell whether a player chooses the same moves on every machine.

    Others do so only within an equal `numeric_class`: a net's sums depend on the processor, and the
    logarithms and powers of a search on the C library.
    """
    return player.kind == "random"


JobSpec = Annotated[
    SelfplaySpec | IngestSpec | TrainSpec | EvaluateSpec | RepeatSpec, Field(discriminator="kind")
]
_SPEC: TypeAdapter[JobSpec] = TypeAdapter(JobSpec)


def parse_spec(data: Any) -> JobSpec:
    """Read a spec from its JSON object; raise pydantic's ValidationError when it is not one."""
    return _SPEC.validate_python(data)


def required_artifacts(spec: JobSpec) -> list[str]:
    """Return the hashes that must be at hand before the job starts, each once, in a stable order."""
    wanted: list[str | None] = []
    if isinstance(spec, SelfplaySpec):
        wanted = [spec.player.model]
    elif isinstance(spec, IngestSpec):
        wanted = [spec.shard]
    elif isinstance(spec, TrainSpec):
        wanted = [spec.parent, *spec.shards]
    elif isinstance(spec, RepeatSpec):
        wanted = [spec.shard, spec.origin.player.model]
    else:
        wanted = [spec.candidate.model, spec.opponent.model]
    return list(dict.fromkeys(sha for sha in wanted if sha))


def sequences(spec: JobSpec) -> range:
    """Return the units of work of a spec."""
    if isinstance(spec, SelfplaySpec):
        return range(spec.shards)
    if isinstance(spec, EvaluateSpec):
        return range(spec.first_block, spec.first_block + spec.blocks)
    return range(1)


class GameResult(Wire):
    """One finished game. `game_id` is the SHA-256 of its record; `winner` None only when unfinished."""

    game_id: Sha256
    winner: Seat | None
    plies: Count
    decisions: Count


class SelfplayResult(Wire):
    """One shard was written and uploaded."""

    kind: Literal["selfplay"] = "selfplay"
    config: ConfigKey
    shard: Sha256
    games: Annotated[list[GameResult], Field(min_length=1)]
    seconds: Annotated[float, Field(ge=0)]


class IngestResult(Wire):
    """What replaying one shard found. `sound` False carries the reason and no games count."""

    kind: Literal["ingest"] = "ingest"
    config: ConfigKey
    shard: Sha256
    sound: bool
    reason: str = ""
    games: list[GameResult] = []
    soft_target_share: Fraction = 0.0
    """Share of decisions that carry a search target."""


Chances = Annotated[list[Fraction], Field(min_length=2, max_length=4)]
Logarithms = Annotated[
    list[Annotated[float, Field(le=0.001, allow_inf_nan=False)]], Field(min_length=1, max_length=8)
]


class GoldenVectors(Wire):
    """What a net says in eight fixed positions of its config, see `ringrift.golden`.

    `values` are chances of the seats, `moves` natural logarithms of probabilities; `positions` is a digest.
    """

    version: Literal[1]
    positions: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
    values: Annotated[list[Chances], Field(min_length=8, max_length=8)]
    moves: Annotated[list[Logarithms], Field(min_length=8, max_length=8)]


class TrainResult(Wire):
    """A checkpoint was written and uploaded."""

    kind: Literal["train"] = "train"
    config: ConfigKey
    dataset: Sha256
    model: Sha256
    architecture: Architecture
    positions: Count
    train_loss: Finite
    holdout_loss: Finite
    parent_holdout_loss: Finite | None
    holdout_value_accuracy: Fraction
    seconds: Annotated[float, Field(ge=0)]
    golden: GoldenVectors | None = None
    """None from an agent of the version before; such a model is not deployed."""
    onnx_difference: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """Largest difference from `golden` when onnxruntime computes the net; None where it is not installed."""


class EvaluateResult(Wire):
    """One block: `candidate_seats[i]` is where the candidate sat in `games[i]`; `shard` holds the records."""

    kind: Literal["evaluate"] = "evaluate"
    config: ConfigKey
    evaluation: Sha256
    block: Count
    shard: Sha256
    games: Annotated[list[GameResult], Field(min_length=2, max_length=4)]
    candidate_seats: Annotated[list[Seat], Field(min_length=2, max_length=4)]


class RepeatResult(Wire):
    """Whether the games came out as the shard holds them. `same` False carries the first difference."""

    kind: Literal["repeat"] = "repeat"
    config: ConfigKey
    shard: Sha256
    same: bool
    reason: Annotated[str, Field(max_length=500)] = ""
    games: Count
    """Number of games that were compared."""


JobResult = Annotated[
    SelfplayResult | IngestResult | TrainResult | EvaluateResult | RepeatResult, Field(discriminator="kind")
]
_RESULT: TypeAdapter[JobResult] = TypeAdapter(JobResult)


def parse_result(data: Any) -> JobResult:
    """Read a result payload; raise pydantic's ValidationError when impossible."""
    return _RESULT.validate_python(data)
