"""The controller's signature under what it orders targets to serve: an Ed25519 key of its own."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ringrift.control.domain.ports import DeployOrder, ModelFile
from ringrift.control.home import private_text
from ringrift.errors import EnvironmentProblem

FORMAT = 3
FORMAT_BEFORE = 2
"""Without golden vectors; only for going back to models that have none."""
KEY_FILE = "signing.key"


def signing_key(home: Path) -> Ed25519PrivateKey:
    """Return the key in `home/signing.key`, made at its first use with mode 0600.

    Raises `EnvironmentProblem` when others may read the file or it holds no key.
    """
    path = home / KEY_FILE
    text = private_text(path, lambda: _base64(Ed25519PrivateKey.generate().private_bytes_raw()))
    try:
        return Ed25519PrivateKey.from_private_bytes(base64.b64decode(text, validate=True))
    except ValueError:
        raise EnvironmentProblem(
            f"{path} holds no signing key",
            hint="put it back, or remove it: targets trust a new one from their next deployment on",
        ) from None


def signed_order(
    key: Ed25519PrivateKey,
    target: str,
    port: int,
    deployment: str,
    generation: int,
    models: Sequence[ModelFile],
) -> DeployOrder:
    """Return the order for these models, with the manifest that the service reads and its signature."""
    text = manifest_text(deployment, generation, models)
    public = key.public_key().public_bytes_raw()
    name = hashlib.sha256(public).hexdigest()[:16]
    return DeployOrder(
        target=target,
        port=port,
        deployment=deployment,
        generation=generation,
        models=tuple(models),
        manifest=text,
        signature=f"{name} {_base64(key.sign(text.encode()))}\n",
        trusted=f"{_base64(public)}\n",
    )


def manifest_text(deployment: str, generation: int, models: Sequence[ModelFile]) -> str:
    """Return the manifest: the same text for the same order, as its signature has to stay the same."""
    whole = all(model.golden is not None for model in models)
    content = {
        "format": FORMAT if whole else FORMAT_BEFORE,
        "generation": generation,
        "deployment": deployment,
        "expires_at": None,
        "models": {model.config: _entry(model) for model in models},
    }
    return json.dumps(content, indent=1, sort_keys=True) + "\n"


def _entry(model: ModelFile) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "file": model.served_as,
        "sha256": model.sha256,
        "generation": model.generation,
        "evaluation": model.evaluation,
    }
    return entry if model.golden is None else entry | {"golden": dict(model.golden)}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
