"""Exports as another controller would sign them."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ringrift.control.domain.ports import ModelFile
from ringrift.control.signing import export_text, public_text, signature_line
from ringrift.protocol.jobs import Recipe
from tests.control.doubles import checkpoint, vectors

SIGNER = Ed25519PrivateKey.from_private_bytes(bytes(32))
STRANGER = Ed25519PrivateKey.from_private_bytes(bytes([1] * 32))
KEY = public_text(SIGNER)
RECIPE = Recipe(steps=10, batch_size=8, learning_rate=0.01).model_dump()
CHECKPOINT = checkpoint("of another controller")


def training(**changes: Any) -> dict[str, Any]:
    """Return what an exporter says of a training."""
    told = {
        "parent": "a" * 64,
        "dataset": "b" * 64,
        "architecture": {"blocks": 1, "channels": 8},
        "recipe": RECIPE,
        "positions": 80,
        "train_loss": 1.0,
        "holdout_loss": 1.1,
        "parent_holdout_loss": 1.2,
        "holdout_value_accuracy": 0.6,
        "onnx_difference": 1e-05,
    }
    return told | changes


def manifest(
    config: str = "hex8_2p",
    content: bytes = CHECKPOINT,
    expires_at: float | None = None,
    golden: dict[str, Any] | None = None,
    **changes: Any,
) -> str:
    """Return the manifest of a model; `changes` are of its training."""
    sha256 = hashlib.sha256(content).hexdigest()
    file = ModelFile(config, sha256, Path(), 3, "ev_there", golden or vectors(config))
    return export_text(file, training(**changes), expires_at)


def wish(text: str | None = None, content: bytes | None = CHECKPOINT, **changes: Any) -> dict[str, Any]:
    """Return the request that imports a manifest with its checkpoint."""
    text = manifest() if text is None else text
    encoded = None if content is None else base64.b64encode(content).decode()
    told = {"manifest": text, "signature": signature_line(SIGNER, text), "keys": [KEY], "checkpoint": encoded}
    return told | changes
