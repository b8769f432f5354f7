"""The gate's policy: one versioned file with every number that decides on a promotion."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ringrift.errors import BadInput
from ringrift.learning.sprt import MIN_BLOCKS, Test

Purpose = Literal["superiority", "non-inferiority", "mirror"]
SUPERIORITY: Purpose = "superiority"
NON_INFERIORITY: Purpose = "non-inferiority"
MIRROR: Purpose = "mirror"
ANCHOR = "random"
"""Opponent of a config's first champion: the pinned random player. A constant, so that it never drifts."""

Elo = Annotated[float, Field(ge=-500, le=500, allow_inf_nan=False)]
Rate = Annotated[float, Field(gt=0, lt=0.5)]
Blocks = Annotated[int, Field(ge=MIN_BLOCKS, le=100_000)]
Errors = Literal["default", "strict"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Rates(_Part):
    """Error rates of every test, and how many times `max_blocks` they may take."""

    alpha: Rate
    beta: Rate
    length: Annotated[int, Field(ge=1, le=100)]


class _AllRates(_Part):
    default: Rates
    strict: Rates


class Bounds(_Part):
    """H0 "at most `elo0`" against H1 "at least `elo1`", in normalised Elo."""

    elo0: Elo
    elo1: Elo
    max_blocks: Blocks


class NonInferiority(_Part):
    """How much weaker than the last `champions` former champions a model must not be."""

    champions: Annotated[int, Field(ge=0, le=20)]
    margin: Annotated[float, Field(gt=0, le=500)]
    max_blocks: Blocks


class Anchor(Bounds):
    """A player without a model."""

    player: Literal["random", "heuristic"]


class Mirror(_Part):
    """How even a model's games against itself must come out: `elo`, on either side, is what is found.

    It has error rates of its own, since a model is not to be lost by chance in a test of the machinery.
    """

    elo: Annotated[float, Field(gt=0, le=500)]
    alpha: Rate
    beta: Rate
    max_blocks: Blocks


class Onnx(_Part):
    """Whether a model must be known to be the same in onnxruntime, and how nearly (`ringrift.golden`)."""

    required: bool = False
    tolerance: Annotated[float, Field(gt=0, le=1)] = 0.002


class _Document(_Part):
    version: Literal[1]
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
    errors: Errors
    error_rates: _AllRates
    superiority: Bounds
    first_champion: Bounds
    non_inferiority: NonInferiority
    mirror: Mirror
    anchors: list[Anchor]
    onnx: Onnx = Onnx()

    @model_validator(mode="after")
    def _decides(self) -> _Document:
        players = [anchor.player for anchor in self.anchors]
        if len(set(players)) < len(players):
            raise ValueError("anchors: a player is named twice")
        return self


class Policy(_Document):
    """A policy as it was read. `sha256` is of the file's bytes."""

    sha256: str

    @property
    def identity(self) -> dict[str, Any]:
        """Return the name under which registrations and decisions keep it."""
        return {"name": self.name, "version": self.version, "sha256": self.sha256}

    @property
    def label(self) -> str:
        """Return the same in words."""
        return policy_label(self.identity)

    def with_errors(self, errors: Errors) -> Policy:
        """Return this policy with the other named error rates."""
        return self.model_copy(update={"errors": errors})

    def test(self, players: int, purpose: str, opponent: str) -> Test:
        """Return the test of a candidate against an opponent: `random`, `heuristic` or a model's hash."""
        if purpose == MIRROR:
            rule = self.mirror
            return Test(0.0, rule.elo, rule.alpha, rule.beta, players, rule.max_blocks)
        bounds = self._bounds(purpose, opponent)
        rates: Rates = getattr(self.error_rates, self.errors)
        blocks = bounds.max_blocks * rates.length
        return Test(bounds.elo0, bounds.elo1, rates.alpha, rates.beta, players, blocks)

    def _bounds(self, purpose: str, opponent: str) -> Bounds:
        if purpose == SUPERIORITY:
            return self.first_champion if opponent == ANCHOR else self.superiority
        for anchor in self.anchors:
            if anchor.player == opponent:
                return anchor
        rule = self.non_inferiority
        return Bounds(elo0=-rule.margin, elo1=0.0, max_blocks=rule.max_blocks)


def policy_label(identity: Mapping[str, Any]) -> str:
    """Return a policy's name, version and SHA-256 in words; `none` for a registration that names none."""
    return "{name} version {version}, {sha256}".format(**identity) if identity else "none"


def parse_policy(data: bytes, source: str) -> Policy:
    """Read a policy file; raise `BadInput` in one line that names `source` and the first fault."""
    try:
        document: dict[str, Any] = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{source} is not valid TOML: {error}") from error
    if document.get("version") != 1:
        raise BadInput(
            f"{source}: version is {document.get('version')!r}, must be 1",
            hint="this controller reads policies of version 1",
        )
    try:
        known = _Document.model_validate(document)
    except ValidationError as error:
        hint = "`ringrift-ctl evaluate policy --toml` prints one that is right"
        raise BadInput(f"{source}: {_first(error)}", hint=hint) from error
    policy = Policy(sha256=hashlib.sha256(data).hexdigest(), **dict(known))
    for purpose, opponent in _TESTS:
        try:
            policy.test(2, purpose, opponent)
        except BadInput as error:
            raise BadInput(f"{source}: {purpose} against {opponent}: {error.message}") from error
    return policy


_TESTS = (
    (SUPERIORITY, "a champion"),
    (SUPERIORITY, ANCHOR),
    (NON_INFERIORITY, "a champion"),
    (NON_INFERIORITY, "random"),
    (NON_INFERIORITY, "heuristic"),
    (MIRROR, "itself"),
)


def _first(error: ValidationError) -> str:
    fault = error.errors()[0]
    place = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return f"unknown key {place}"
    if fault["type"] == "missing":
        return f"{place} is missing"
    given = f", not {fault['input']!r}" if place else ""
    return f"{place}: {fault['msg'].removeprefix('Value error, ')}{given}".removeprefix(": ")
