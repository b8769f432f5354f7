"""Whose manifests count: `trusted_keys`, one base64 Ed25519 public key a line, and `manifest.sig`.

The signature covers the very bytes of `manifest.json` and is one line: the signer's `key_id`, a space and the
64 bytes in base64. It is checked before anybody parses what it covers.
"""

from __future__ import annotations

import argparse
import base64
import functools
import hashlib
import os
from pathlib import Path

from inference import ed25519
from ringrift.errors import BadInput, CorruptData, NotFound, Refused

TRUSTED_KEYS = "trusted_keys"
SIGNATURE = "manifest.sig"
_VARIABLE = "RINGRIFT_TRUSTED_KEYS"
_LIMIT = 1 << 20
"""Bytes of a manifest, of its signature and of the trusted keys."""
_verify = functools.lru_cache(maxsize=4)(ed25519.verify)


def add_trust(parser: argparse.ArgumentParser, folder: str) -> None:
    """Add the options that say whose manifests count; `folder` is what the help calls the default's."""
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument(
        "--trust", type=Path, help=f"file of trusted keys, default {folder}/{TRUSTED_KEYS} ({_VARIABLE})"
    )
    chosen.add_argument("--unsigned", action="store_true", help="ask for no signature (development)")


def trust_of(options: argparse.Namespace, folder: Path) -> Path | None:
    """Return the file of trusted keys that the options mean, None where none is wished."""
    if options.unsigned:
        return None
    return options.trust or Path(os.environ.get(_VARIABLE) or folder / TRUSTED_KEYS)


def read_limited(path: Path, what: str, hint: str) -> bytes:
    """Return a small file; raise `NotFound` when it cannot be read and `BadInput` when it is not small."""
    try:
        with path.open("rb") as file:
            data = file.read(_LIMIT + 1)
    except OSError as error:
        raise NotFound(f"no {what} at {path}: {error.strerror or 'cannot be read'}", hint=hint) from None
    if len(data) > _LIMIT:
        raise BadInput(f"{path} is larger than {_LIMIT >> 20} MiB")
    return data


def key_id(public_key: bytes) -> str:
    """Return the name of a public key: 16 hex digits of its SHA-256."""
    return hashlib.sha256(public_key).hexdigest()[:16]


def trusted_keys(path: Path) -> dict[str, bytes]:
    """Return key id -> public key; raise `NotFound` without a key, `BadInput` for a line that is none."""
    hint = "deploy to this target, or give --trust FILE; --unsigned is for development"
    keys = {}
    for line in read_limited(path, "trusted keys", hint).split():
        key = _decoded(line, 32, f"{path}: a line is no public key")
        keys[key_id(key)] = key
    if not keys:
        raise NotFound(f"no trusted keys in {path}", hint=hint)
    return keys


def check_signature(manifest: Path, data: bytes, trusted: Path) -> None:
    """Raise unless the file beside a manifest holds a trusted key's signature of its bytes.

    `NotFound` without keys or signature, `Refused` for a key that is not trusted, `CorruptData` for a
    signature of something else.
    """
    keys = trusted_keys(trusted)
    path = manifest.with_name(SIGNATURE)
    words = read_limited(path, "signature", "deploy again").split()
    if len(words) != 2:
        raise BadInput(f"{path} is no signature", hint="deploy again")
    signature = _decoded(words[1], 64, f"{path} is no signature")
    name = words[0].decode(errors="replace")
    if name not in keys:
        raise Refused(f"{path}: signed by {name}, which {trusted} does not trust", hint="deploy again")
    if not _verify(keys[name], data, signature):
        raise CorruptData(f"{path} is no signature of {manifest.name} by {name}", hint="deploy again")


def _decoded(text: bytes, size: int, problem: str) -> bytes:
    try:
        found = base64.b64decode(text, validate=True)
    except ValueError:
        found = b""
    if len(found) != size:
        raise BadInput(problem, hint="deploy again")
    return found
