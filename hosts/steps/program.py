"""What every service manager is told about a program."""

from __future__ import annotations

from dataclasses import dataclass

from ringrift.errors import BadInput


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
    kill_mode: str = "control-group"

    def __post_init__(self) -> None:
        """Refuse what would begin a line of its own in a unit file or a crontab, or be no program."""
        for text in (self.host, self.name, self.unit, *self.argv):
            if any(ord(char) < 32 and char != "\t" for char in text):
                raise BadInput(
                    f"a control character in what {self.name} is to run with: {text!r}",
                    hint="mend the host's name, root folder or interpreter",
                )
        if "=" in self.command[0]:
            raise BadInput(
                f"{self.command[0]!r} has a = in its path, so that env(1) would take it for a variable",
                hint="use a root folder or an interpreter without one",
            )

    @property
    def argv(self) -> tuple[str, ...]:
        """The whole command, environment included, so that its text tells everything that matters."""
        return ("/usr/bin/env", *(f"{key}={value}" for key, value in self.environment), *self.command)
