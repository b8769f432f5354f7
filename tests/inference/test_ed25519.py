"""The signature check: the RFC's own vectors, a library's signatures, and every damaged one refused."""

from __future__ import annotations

import random

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from inference.ed25519 import _ORDER, verify

VECTORS = [  # RFC 8032, section 7.1: public key, message, signature
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
        "d25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
        "387b2eaeb4302aeeb00d291612bb0c00",
    ),
]


@pytest.mark.parametrize(("key", "message", "signature"), VECTORS)
def test_the_vectors_of_the_rfc_are_sound(key: str, message: str, signature: str) -> None:
    assert verify(bytes.fromhex(key), bytes.fromhex(message), bytes.fromhex(signature))


def signed(generator: random.Random) -> tuple[bytes, bytes, bytes]:
    secret = Ed25519PrivateKey.from_private_bytes(generator.randbytes(32))
    message = generator.randbytes(generator.randrange(200))
    return secret.public_key().public_bytes_raw(), message, secret.sign(message)


def test_a_signature_of_the_library_is_sound_and_any_changed_bit_is_not() -> None:
    generator = random.Random(8032)
    for _ in range(40):
        parts = signed(generator)
        assert verify(*parts)
        which = generator.choice([part for part in range(3) if parts[part]])
        damaged = bytearray(parts[which])
        damaged[generator.randrange(len(damaged))] ^= 1 << generator.randrange(8)
        changed = [*parts[:which], bytes(damaged), *parts[which + 1 :]]
        assert verify(*changed) == library(*changed) is False


def library(key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def test_a_second_way_to_write_a_signature_is_refused() -> None:
    """The scalar plus the order solves the same equation; taking it would make signatures malleable."""
    key, message, signature = signed(random.Random(1))
    scalar = int.from_bytes(signature[32:], "little") + _ORDER
    assert not verify(key, message, signature[:32] + scalar.to_bytes(32, "little"))


@pytest.mark.parametrize(
    ("key", "signature"),
    [
        (b"", b"\0" * 64),
        (b"\0" * 32, b""),
        (b"\xff" * 32, b"\0" * 64),
        (b"\1" + b"\0" * 30 + b"\x80", b"\0" * 64),
    ],
    ids=["no key", "no signature", "beyond the field", "minus zero"],
)
def test_what_is_no_key_or_no_signature_is_refused(key: bytes, signature: bytes) -> None:
    assert not verify(key, b"", signature)
