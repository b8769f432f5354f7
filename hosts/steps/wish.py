"""What is wanted of a host."""

from __future__ import annotations

from dataclasses import dataclass

from hosts import layout
from hosts.facts import Facts

EXTRAS = {"torch": "inference", "onnx": "onnx"}
"""Engine of a target -> the extra that its interpreter must meet."""


@dataclass(frozen=True)
class Wish:
    """The wished state of one service on one host: its release, its interpreter, its command."""

    host: str
    extra: str
    """`agent`, `inference` or `onnx`: whose requirements the interpreter must meet."""
    release: str
    wheel: str
    """The wheel's path on the controller."""
    wheel_sha256: str
    record: str
    """The release's RECORD file, relative to its folder."""
    kernels: str
    """Names the sources of what is compiled; equal in releases that share their compiled code."""
    requirements: tuple[str, ...]
    python: str | None = None
    """An existing interpreter, which is only checked; None makes `env/` under the root."""
    warm: bool = True
    """Compile the kernels at provisioning; without it they compile at their first use."""
    systemd: bool = True
    """Use the service manager of the host where there is one; without it always our supervisor, alone."""
    slots: int = 1
    token: str | None = None


def interpreter(facts: Facts, wish: Wish) -> str:
    """Return the interpreter that runs our programs on the host."""
    return wish.python or layout.environment_python(facts.root)


def program_environment(facts: Facts, wish: Wish) -> tuple[tuple[str, str], ...]:
    """Return the environment variables of every program of ours on the host, sorted."""
    engine = (("RINGRIFT_ENGINE", "onnx"),) if wish.extra == "onnx" else ()
    return (
        ("NUMBA_CACHE_DIR", layout.numba_cache(facts.root)),
        ("OMP_WAIT_POLICY", "passive"),
        ("PYTHONPATH", layout.release(facts.root, wish.release)),
        *engine,
    )
