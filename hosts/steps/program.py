"""What every service manager is told about a program."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Program:
    """A program with everything that makes it another one when it differs."""

    host: str
    name: str
    unit: str
    environment: tuple[tuple[str, str], ...]
    """Sorted."""
    command: tuple[str, ...]
    stop_seconds: float

    @property
    def argv(self) -> tuple[str, ...]:
        """The whole command, environment included, so that its text tells everything that matters."""
        return ("/usr/bin/env", *(f"{key}={value}" for key, value in self.environment), *self.command)
