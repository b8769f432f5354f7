"""The gate's policy that comes along, and how an operator's own is read."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from ringrift.control.domain.policy import Policy, parse_policy
from ringrift.errors import EnvironmentProblem


def packaged_text() -> bytes:
    """Return the policy file that comes along."""
    return (files(__package__) / "gate.toml").read_bytes()


@lru_cache(maxsize=1)
def packaged_policy() -> Policy:
    """Return the policy that comes along."""
    return parse_policy(packaged_text(), "the packaged gate.toml")


def read_policy(path: Path) -> Policy:
    """Read a policy file; raises `BadInput` naming file and fault, `EnvironmentProblem` when unreadable."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise EnvironmentProblem(f"{path} cannot be read: {error.strerror}") from error
    return parse_policy(data, str(path))
