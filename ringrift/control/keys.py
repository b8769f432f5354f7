"""Public keys of agents on their way out of the store."""

from __future__ import annotations

import asyncio
import itertools

from sqlmodel import Session, col, select

from ringrift.control.store.store import Store
from ringrift.control.store.tables import Agent
from ringrift.errors import RingRiftError

_AT_ONCE = 256


class Keys:
    """Public keys of agents, read from the rows each time; those asked for at once share one query."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._asked: dict[str, asyncio.Future[str | None]] = {}
        self._reading: asyncio.Task[None] | None = None

    async def get(self, agent: str) -> str | None:
        """Return an agent's key in base64; None for an unknown agent and for a revoked one."""
        loop = asyncio.get_running_loop()
        future = self._asked.get(agent) or self._asked.setdefault(agent, loop.create_future())
        if self._reading is None:
            self._reading = loop.create_task(self._read_asked(), name="keys")
        return await asyncio.shield(future)

    async def _read_asked(self) -> None:
        try:
            while asked := dict(itertools.islice(self._asked.items(), _AT_ONCE)):
                for name in asked:
                    del self._asked[name]
                await self._answer(asked)
        finally:
            self._reading = None

    async def _answer(self, asked: dict[str, asyncio.Future[str | None]]) -> None:
        try:
            keys = await self._store.read(lambda session: _keys(session, list(asked)))
        except RingRiftError as error:
            for future in asked.values():
                future.set_exception(error)
            return
        for name, future in asked.items():
            future.set_result(keys.get(name))


def _keys(session: Session, names: list[str]) -> dict[str, str]:
    query = select(Agent.id, Agent.public_key).where(
        col(Agent.id).in_(names), col(Agent.revoked_at).is_(None)
    )
    return dict(session.exec(query).all())
