"""Signatures of agents, checked with their public keys beside the event loop."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from sqlmodel import Session, col, select

from ringrift.control.store.store import Store
from ringrift.control.store.tables import Agent

_AT_ONCE = 64
_NOBODY = base64.b64encode(Ed25519PrivateKey.generate().public_key().public_bytes_raw()).decode()
"""A key that signs nothing."""


@dataclass(frozen=True)
class _Asked:
    agent: str
    signature: bytes
    text: bytes
    answer: asyncio.Future[bool]


class Keys:
    """Public keys of agents, read from the rows each time; those asked for at once share one query."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._asked: list[_Asked] = []
        self._checking: asyncio.Task[None] | None = None

    async def signed(self, agent: str, signature: bytes, text: bytes) -> bool:
        """Tell whether this agent signed `text`; never for an unknown agent, nor for a revoked one.

        All of them take the same work.
        """
        loop = asyncio.get_running_loop()
        asked = _Asked(agent, signature, text, loop.create_future())
        self._asked.append(asked)
        if self._checking is None:
            self._checking = loop.create_task(self._check_asked(), name="keys")
        return await asked.answer

    async def _check_asked(self) -> None:
        try:
            while self._asked:
                asked, self._asked = self._asked[:_AT_ONCE], self._asked[_AT_ONCE:]
                await self._answer(asked)
        finally:
            self._checking = None

    async def _answer(self, asked: list[_Asked]) -> None:
        try:
            # In a reader's thread: a fleet that comes back at once must not hold up the event loop.
            answers = await self._store.read(lambda session: _check(session, asked))
        except Exception as error:
            for item in asked:
                if not item.answer.done():
                    item.answer.set_exception(error)
            return
        for item, answer in zip(asked, answers, strict=True):
            if not item.answer.done():
                item.answer.set_result(answer)


def _check(session: Session, asked: list[_Asked]) -> list[bool]:
    query = select(Agent.id, Agent.public_key).where(
        col(Agent.id).in_({item.agent for item in asked}), col(Agent.revoked_at).is_(None)
    )
    keys = dict(session.exec(query).all())
    return [_fits(keys.get(item.agent, _NOBODY), item) for item in asked]


def _fits(key: str, asked: _Asked) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(base64.b64decode(key)).verify(asked.signature, asked.text)
    except (InvalidSignature, ValueError):
        return False
    return True
