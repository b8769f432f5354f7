"""Keeps what is served equal to what the manifest says, or says why it is not.

A thread looks once a second, and when `current` points elsewhere. It loads a changed set beside the present
one, verifies it and swaps the two in one assignment, so that every request sees one set. A set with anything
wrong replaces nothing but an absent model: what was verified before goes on serving while `/health` names the
fault.

Nothing goes back behind a generation that was served and proven. A set is on trial for as long as a link
`previous` stands beside `current`: until then the deployment may take it back.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from inference import footprint, logs
from inference.manifest import Manifest, locate, read_manifest
from inference.models import ModelSet, load_set
from ringrift.errors import Refused, RingRiftError

POLL_SECONDS = 1.0
_POINTER_SECONDS = 0.05
Mark = tuple[object, ...]


@dataclass(frozen=True)
class Serving:
    """What is served and what is wrong; healthy exactly when nothing is."""

    models: ModelSet
    issues: tuple[str, ...]


class Watcher:
    """Owns `serving`, which others read without a lock: it is replaced, never changed."""

    def __init__(
        self,
        folder: Path,
        trusted: Path | None,
        expected: frozenset[str] = frozenset(),
        prepare: Callable[[], object] | None = None,
    ) -> None:
        """Watch `folder`; configs in `expected` must be served.

        Its manifests must be signed by a key in the file `trusted`; None asks for no signature. `prepare`
        runs in the thread before all.
        """
        self.serving = Serving(ModelSet(), ("the models are being loaded",))
        self._folder = folder
        self._trusted = trusted
        self._proven = 0
        self._expected = expected
        self._prepare = prepare
        self._mark: Mark | None = None
        self._stopping = threading.Event()
        self._looked = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def first_look(self, seconds: float) -> bool:
        """Wait until the models were looked at once; False when that takes longer."""
        return self._looked.wait(seconds)

    def stop(self, seconds: float) -> bool:
        """Ask the thread to end and wait for it; False if it is still loading after that time."""
        self._stopping.set()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def look(self) -> None:
        """Compare what is served with what the manifest says, once."""
        on_trial = self._on_trial()
        try:
            manifest = read_manifest(locate(self._folder), self._trusted)
            self._refuse_older(manifest)
        except RingRiftError as error:
            self._note(None, (error.line(),))
            return
        mark = _mark(manifest)
        if mark != self._mark:
            self._mark = mark
            self._replace(manifest)
            footprint.trim()
        # Asked before and after: `previous` is made before `current` changes and goes after it changed back.
        if not (on_trial or self._on_trial()) and manifest.generation == self.serving.models.generation:
            self._proven = manifest.generation

    def _on_trial(self) -> bool:
        return (self._folder / "previous").is_symlink()

    def _refuse_older(self, manifest: Manifest) -> None:
        if manifest.generation < self._proven:
            raise Refused(
                f"generation {manifest.generation} is older than {self._proven}, which was served",
                hint="deploy again: going back gets a new generation",
            )

    def _replace(self, manifest: Manifest) -> None:
        loaded, issues = load_set(manifest, self.serving.models)
        issues += [f"{key}: expected, but the manifest does not name it" for key in self._missing(manifest)]
        present = self.serving.models
        if issues and present.models:
            self._note(present, tuple(issues))
        else:
            self._note(loaded, tuple(issues))

    def _missing(self, manifest: Manifest) -> list[str]:
        return sorted(self._expected - {entry.config.key for entry in manifest.entries})

    def _note(self, models: ModelSet | None, issues: tuple[str, ...]) -> None:
        """Publish; without a readable manifest forget what was seen, so that its return is noticed."""
        if models is None:
            self._mark = None
        serving = Serving(models or self.serving.models, issues)
        if serving == self.serving:
            return
        for issue in issues:
            logs.log.error("unhealthy", extra=logs.fields(issue=issue))
        if serving.models is not self.serving.models:
            found = serving.models
            about = {"generation": found.generation, "deployment": found.deployment}
            logs.log.info("serving", extra=logs.fields(**about, configs=sorted(found.models)))
        self.serving = serving

    def _watch(self) -> None:
        if self._prepare is not None:
            self._prepare()
        while not self._stopping.is_set():
            pointer = self._pointer()
            try:
                self.look()
            except Exception as error:
                # The watcher must outlive whatever a broken file makes a library raise, and say so.
                logs.log.exception("looking at the models failed")
                self._note(None, (f"looking at the models failed: {error}",))
            self._looked.set()
            self._rest(pointer)

    def _rest(self, pointer: str) -> None:
        """Wait for the next look; a link that says something else than `pointer` is followed at once."""
        until = time.monotonic() + POLL_SECONDS
        while time.monotonic() < until and self._pointer() == pointer:
            if self._stopping.wait(_POINTER_SECONDS):
                return

    def _pointer(self) -> str:
        try:
            return str((self._folder / "current").readlink())
        except OSError:
            return ""


def _mark(manifest: Manifest) -> Mark:
    """Identify a manifest and the very files that it names, so that a file put right later is noticed."""
    return manifest.folder, manifest.digest, tuple(_file_mark(entry.path) for entry in manifest.entries)


def _file_mark(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
