"""The controller's signature under what it orders targets to serve and gives to others, and that of others.

An Ed25519 key of its own signs the very bytes of a manifest; `manifest.sig` is one line: the signer's key id,
a space and the signature in base64.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ringrift.control.domain.ports import DeployOrder, ModelFile
from ringrift.control.home import private_text
from ringrift.errors import BadInput, CorruptData, EnvironmentProblem, Refused

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
    return DeployOrder(
        target=target,
        port=port,
        deployment=deployment,
        generation=generation,
        models=tuple(models),
        manifest=text,
        signature=signature_line(key, text),
        trusted=f"{public_text(key)}\n",
    )


def public_text(key: Ed25519PrivateKey) -> str:
    """Return the public key in base64."""
    return _base64(key.public_key().public_bytes_raw())


def key_id(public: str) -> str:
    """Return the name of a public key: 16 hex digits of its SHA-256."""
    return hashlib.sha256(base64.b64decode(public)).hexdigest()[:16]


def signature_line(key: Ed25519PrivateKey, text: str) -> str:
    """Return the text of `manifest.sig` beside a manifest."""
    return f"{key_id(public_text(key))} {_base64(key.sign(text.encode()))}\n"


def signer_of(text: str, signature: str, keys: Sequence[str]) -> str:
    """Return the id of the one among `keys` that signed `text`.

    Raises `BadInput` for what is no signature, `Refused` for a signer who is not among them and `CorruptData`
    for a signature of something else.
    """
    name, _, encoded = signature.strip().partition(" ")
    try:
        signed = base64.b64decode(encoded, validate=True)
    except ValueError:
        signed = b""
    if len(signed) != 64:
        raise BadInput("manifest.sig is no signature", hint="export the model again")
    known = {key_id(key): key for key in keys}
    if name not in known:
        raise Refused(
            f"it is signed by {name[:16]!r}, and trusted is {', '.join(sorted(known))}",
            hint="give --key of the signer, if you trust it",
        )
    try:
        Ed25519PublicKey.from_public_bytes(base64.b64decode(known[name])).verify(signed, text.encode())
    except InvalidSignature:
        raise CorruptData(
            f"manifest.sig is no signature of this manifest by {name}", hint="get the export again"
        ) from None
    return name


def export_text(model: ModelFile, training: Mapping[str, Any], expires_at: float | None) -> str:
    """Return the manifest of one model for others: what the service reads, and where the model comes from."""
    content = {
        "format": FORMAT,
        "generation": model.generation,
        "deployment": "export",
        "expires_at": expires_at,
        "models": {model.config: {**_entry(model), "training": training}},
    }
    return _text(content)


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
    return _text(content)


def _text(content: Mapping[str, Any]) -> str:
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
