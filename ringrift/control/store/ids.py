"""Identifiers of rows. The underscore keeps them apart from host and target names."""

from __future__ import annotations

import secrets


def new_id(prefix: str) -> str:
    """Return a fresh identifier such as `job_5f2c9a01b3d4`; never used twice."""
    return f"{prefix}_{secrets.token_hex(6)}"


def new_seed() -> int:
    """Return a fresh seed below 2**53, so that every JSON reader keeps it exact."""
    return secrets.randbits(53)
