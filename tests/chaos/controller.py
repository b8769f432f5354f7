"""The controller as a process that can be killed, and the operator who asks it through `ringrift-ctl`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_UNREACHABLE = 6
_CTL = [sys.executable, "-m", "ringrift.cli.main"]
SETTINGS = """
[agents]
beat_seconds = {beat}
stale_seconds = {stale}
down_seconds = {down}
lease_seconds = {lease}
idle_seconds = 2.0
retry_seconds = 1.0
patience_seconds = 5.0
restart_seconds = {stale}
restarts = 20

[selfplay]
games_per_shard = 8
shards_per_job = 10
queued_per_config = 50
ahead = 1000.0

[training]
min_positions = 1000000000

[hosts]
systemd = 0
"""
"""Jobs of ten shards; nothing is ever trained."""


@dataclass
class Answer:
    """How a command of `ringrift-ctl` ended, after so many seconds."""

    status: int
    output: str
    error: str
    seconds: float

    def json(self) -> Any:
        return json.loads(self.output)


@dataclass
class Controller:
    """One home with one controller; `absences` are the seconds from each kill to the next good answer."""

    home: Path
    port: int
    process: subprocess.Popen[bytes] | None = None
    kills: int = 0
    killed_at: float | None = None
    absences: list[float] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        clean = {key: value for key, value in os.environ.items() if not key.startswith("RINGRIFT_")}
        return clean | {"RINGRIFT_HOME": str(self.home), "COLUMNS": "160"}

    @property
    def database(self) -> Path:
        return self.home / "ringrift.db"

    def prepare(self, beat: float) -> None:
        """Make the home; agents beat every so many seconds, and all that follows from it is in proportion."""
        self.home.mkdir(parents=True, mode=0o700)
        text = SETTINGS.format(beat=beat, stale=3 * beat, down=6 * beat, lease=12 * beat)
        (self.home / "config.toml").write_text(text)

    def start(self) -> None:
        """Start the controller and return when it answers."""
        self._spawn()
        until = time.monotonic() + 60.0
        while self.ctl("status", "--json").status != 0:
            if time.monotonic() > until or self.process.poll() is not None:
                raise RuntimeError((self.home / "up.log").read_text()[-2000:])
            time.sleep(0.2)

    def _spawn(self) -> None:
        with (self.home / "up.log").open("ab") as log:
            argv = [*_CTL, "up", "--port", str(self.port)]
            self.process = subprocess.Popen(argv, env=self.environment, stdout=log, stderr=log)

    def kill(self) -> None:
        """Kill it with -9 and start it again, without waiting for it."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.killed_at = time.monotonic()
            self.kills += 1
            self._spawn()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)

    def ctl(self, *words: str) -> Answer:
        """Ask as an operator does."""
        began = time.monotonic()
        done = subprocess.run(
            [*_CTL, *words], env=self.environment, capture_output=True, text=True, check=False, timeout=300
        )
        if done.returncode == 0 and self.killed_at is not None:
            self.absences.append(time.monotonic() - self.killed_at)
            self.killed_at = None
        return Answer(done.returncode, done.stdout, done.stderr, time.monotonic() - began)

    def order(self, *words: str) -> Answer:
        """Ask for something that must be done; a controller that is busy is asked again."""
        answer = self.ctl(*words)
        for _ in range(3):
            if answer.status != _UNREACHABLE:
                break
            answer = self.ctl(*words)
        if answer.status:
            raise RuntimeError(f"{' '.join(words)}: exit {answer.status}: {answer.error[-1500:]}")
        return answer
