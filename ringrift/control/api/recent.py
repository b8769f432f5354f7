"""Answers about the whole fleet: made beside the event loop, and used again for a second when large."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Any

from fastapi import Response
from pydantic import TypeAdapter
from sqlmodel import Session

from ringrift.control.reconcile.context import Context

AGAIN_SECONDS = 1.0
LARGE = 1 << 19
"""Bytes. A smaller answer, of some hundred hosts, is made anew each time: it is as new as can be."""


class Recent:
    """The answers of one route, by what was asked, as JSON."""

    def __init__(self, context: Context, kind: Any) -> None:
        self._context, self._adapter = context, TypeAdapter(kind)
        self._kept: dict[Hashable, tuple[float, bytes]] = {}

    async def answer(self, asked: Hashable, load: Callable[[Session], Any]) -> Response:
        """Return what `load` gives in a reader thread, or what it gave within the last second."""
        now = time.monotonic()
        self._kept = {key: kept for key, kept in self._kept.items() if kept[0] > now}
        if asked in self._kept:
            return _json(self._kept[asked][1])
        text = await self._context.store.read(lambda session: self._adapter.dump_json(load(session)))
        if len(text) > LARGE:
            self._kept[asked] = time.monotonic() + AGAIN_SECONDS, text
        return _json(text)


def _json(text: bytes) -> Response:
    return Response(text, media_type="application/json")
