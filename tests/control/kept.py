"""Artifacts in a world without an agent that made them."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator

from ringrift.control.store.artifacts import note_artifact
from tests.control.world import World


async def keep(world: World, content: bytes) -> str:
    """Store an artifact as the agents' API does; return its name."""
    name = hashlib.sha256(content).hexdigest()

    async def body() -> AsyncIterator[bytes]:
        yield content

    size = await world.context.artifacts.put(name, body())
    await world.write(lambda session: note_artifact(session, name, size, "agent_x"))
    return name
