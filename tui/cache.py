"""What was last seen, kept for the first picture of the next start: `RINGRIFT_HOME/cache/tui.json`."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ringrift.client.home import home
from ringrift.protocol import operator as op

KEPT: dict[str, Any] = {
    "status": op.StatusView,
    "targets": list[op.TargetView],
    "evaluations": list[op.EvaluationView],
}
"""The views that the three screens show; drill-downs are asked for anew."""


def cache_path() -> Path:
    return home() / "cache" / "tui.json"


def load(path: Path) -> tuple[dict[str, Any], float]:
    """Return the kept views and when they were taken (epoch seconds); nothing when there is nothing sound."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        taken = float(data["taken"])
        views = {name: TypeAdapter(kind).validate_python(data["views"][name]) for name, kind in KEPT.items()}
    except (OSError, ValueError, TypeError, KeyError, ValidationError):
        return {}, 0.0
    return views, taken


def save(path: Path, views: dict[str, Any], taken: float) -> None:
    """Keep views, replaced as a whole and readable by us only. A full disk disturbs nobody."""
    if any(name not in views for name in KEPT):
        return
    kept = {name: TypeAdapter(kind).dump_python(views[name], mode="json") for name, kind in KEPT.items()}
    fresh = path.with_suffix(".new")
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump({"taken": taken, "views": kept}, stream)
        fresh.replace(path)
