"""SSH public keys as text: their form, type and fingerprint."""

from __future__ import annotations

import base64
import binascii
import hashlib

from ringrift.errors import BadInput

KEY_TYPES = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")
FINGERPRINT = r"^SHA256:[A-Za-z0-9+/]{43}$"


def bare_key(public_key: str, what: str = "host_key") -> str:
    """Return type and base64 of an OpenSSH public key without its comment; `BadInput` when it is none."""
    parts = public_key.split()
    try:
        blob = base64.b64decode(parts[1], validate=True)
        length = int.from_bytes(blob[:4], "big")
        if parts[0] not in KEY_TYPES or blob[4 : 4 + length].decode("ascii") != parts[0]:
            raise ValueError("type and contents differ")
        if len(blob) <= 4 + length:
            raise ValueError("it has no contents")
    except (IndexError, ValueError, binascii.Error) as error:
        raise BadInput(
            f"{what}: it is not an OpenSSH public key",
            hint="it is one line, type and base64, as in the machine's .pub file",
        ) from error
    return f"{parts[0]} {parts[1]}"


def fingerprint(public_key: str, what: str = "host_key") -> str:
    """Return the `SHA256:...` fingerprint of an OpenSSH public key; `BadInput` when it is not one."""
    blob = base64.b64decode(bare_key(public_key, what).split()[1])
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    return f"SHA256:{digest}"
