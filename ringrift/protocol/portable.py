"""Single models between controllers: what an export says beside what a deployment says, and its import."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Base64Bytes, Field, StringConstraints

from ringrift.protocol.jobs import Architecture, GoldenVectors, Recipe
from ringrift.protocol.types import ConfigKey, Count, Finite, Fraction, Line, Reply, Sha256, Wire

MANIFEST_BYTES = 64 << 10
"""Largest manifest of an export; one has some 4 KiB."""
CHECKPOINT_BYTES = 32 << 20
"""Largest checkpoint that is exported or imported; one of 6 blocks of 64 channels has 2 MiB."""
IMPORT_BYTES = 4 * CHECKPOINT_BYTES // 3 + 4 * MANIFEST_BYTES
"""Largest request of an import, whose checkpoint is base64."""

PublicKey = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]{43}=$")]
"""An Ed25519 public key in base64."""
KeyId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]


class Training(Wire):
    """Where a model comes from, by its exporter's word: there is no data set to look at."""

    parent: Sha256 | None
    dataset: Sha256 | None
    architecture: Architecture
    recipe: Recipe | None
    positions: Count
    train_loss: Finite
    holdout_loss: Finite
    parent_holdout_loss: Finite | None
    holdout_value_accuracy: Fraction
    onnx_difference: Annotated[float, Field(ge=0)] | None = None


class ExportedModel(Wire):
    """The entry of the one model in an export; the inference service reads all but `training`."""

    file: str
    sha256: Sha256
    generation: Count
    evaluation: Line | None
    golden: GoldenVectors
    training: Training


class ExportManifest(Wire):
    """`manifest.json` of an export. `expires_at` is seconds since 1970, None for never."""

    format: Literal[3]
    generation: Count
    deployment: Line
    expires_at: Finite | None
    models: Annotated[dict[ConfigKey, ExportedModel], Field(min_length=1, max_length=1)]


class ExportRequest(Wire):
    """Sign a model for others. `days` is how long the export counts, None for ever."""

    days: Annotated[float, Field(gt=0, le=3650)] | None = None
    actor: Line = "operator"


class ExportView(Reply):
    """A signed model: texts of `manifest.json` and `manifest.sig`, and the key that proves them."""

    model: Sha256
    config: ConfigKey
    file: Line
    """What the checkpoint is called beside its manifest."""
    size: int
    """Bytes of the checkpoint."""
    manifest: str
    signature: str
    key: PublicKey
    signer: KeyId
    expires_at: float | None


class ImportRequest(Wire):
    """Take in a model that one of `keys` has signed; without `checkpoint` only what can be told before it."""

    manifest: Annotated[str, StringConstraints(max_length=MANIFEST_BYTES)]
    signature: Annotated[str, StringConstraints(max_length=200)]
    keys: Annotated[list[PublicKey], Field(min_length=1, max_length=100)]
    checkpoint: Base64Bytes | None = None
    actor: Line = "operator"
    dry_run: bool = False


class ImportView(Reply):
    """What an import does (`done` False) or did.

    `outcome` is `imported`, `restored` when a known model gets its removed weights back, or `unchanged`.
    """

    model: Sha256
    config: ConfigKey
    file: Line
    outcome: Literal["imported", "restored", "unchanged"]
    done: bool
    signer: KeyId
    architecture: Architecture
    golden: GoldenVectors
    generation: int
    """That it was champion of where it comes from; 0 for none."""
    expires_at: float | None
