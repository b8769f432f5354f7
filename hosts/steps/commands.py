"""What a step may ask for. Paths are absolute paths on the host."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Mkdir:
    """Make a folder, and those above it; an existing one gets the mode."""

    path: str
    mode: int = 0o755


@dataclass(frozen=True)
class PutFile:
    """Write a small text file atomically."""

    path: str
    content: str
    mode: int = 0o644


@dataclass(frozen=True)
class Merge:
    """Set values in a JSON object, atomically; others in it stay, and what is no JSON object is replaced.

    The value named `hidden` never appears in a description.
    """

    path: str
    values: tuple[tuple[str, str], ...]
    mode: int = 0o644
    hidden: str = ""


@dataclass(frozen=True)
class Upload:
    """Copy a file of the controller; it appears only with the right SHA-256."""

    source: str
    path: str
    sha256: str


@dataclass(frozen=True)
class Unpack:
    """Send a zip archive of the controller along and unpack it; the folder appears whole or not at all."""

    source: str
    path: str
    sha256: str


@dataclass(frozen=True)
class Rename:
    """Rename within one file system, atomically."""

    source: str
    path: str


@dataclass(frozen=True)
class Link:
    """Point a symbolic link at `target`, replacing an older link atomically."""

    path: str
    target: str


@dataclass(frozen=True)
class Remove:
    """Remove a file, link or folder; nothing there is fine."""

    path: str


@dataclass(frozen=True)
class Check:
    """Go on only when a file has this SHA-256."""

    path: str
    sha256: str


@dataclass(frozen=True)
class Run:
    """Run a program that must end with status 0 within `seconds`. `env` is sorted pairs."""

    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()
    seconds: float = 60.0


Command = Mkdir | PutFile | Merge | Upload | Unpack | Rename | Link | Remove | Check | Run


def wire(command: Command) -> dict[str, Any]:
    """Return a command as `hosts.apply_script` reads it."""
    return {"do": type(command).__name__, **asdict(command)}


def describe(command: Command) -> dict[str, Any]:
    """Return a command as JSON data for plans and case files, with secrets left out."""
    data = wire(command)
    if isinstance(command, Merge):
        shown = {key: "(secret)" if key == command.hidden else value for key, value in command.values}
        data["values"] = list(shown.items())
    return data


def digest(command: Command) -> str:
    """Return what tells a command from any other, secrets included, without showing them."""
    return hashlib.sha256(repr(command).encode()).hexdigest()
