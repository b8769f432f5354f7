"""A real controller over hosts that do not exist: `python -m ringrift.control.bench.server HOME`.

Everything but SSH is the product's own. Tunnels open at once and stay open.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import uvloop

from ringrift.control import collector
from ringrift.control.domain.ports import Fleet, HostSpec
from ringrift.errors import Unreachable

OPENING_SECONDS = 30.0
"""Tunnels come up in the course of this time: logging in over SSH takes its time on many hosts."""


class ImaginedFleet:
    """Hosts whose tunnels always stand; nothing else can be done with them."""

    async def hold_tunnel(
        self, host: HostSpec, agents_socket: Path, opened: Callable[[], Awaitable[None]]
    ) -> None:
        await asyncio.sleep(random.uniform(0.0, OPENING_SECONDS))
        await opened()
        await asyncio.get_running_loop().create_future()

    async def close(self) -> None:
        """Nothing is open."""

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def absent(*_: object, **__: object) -> Any:
            raise Unreachable("this host is imagined")

        return absent


if __name__ == "__main__":
    collector.rest()
    from ringrift.control.app import run_controller

    uvloop.run(run_controller(Path(sys.argv[1]), 0, cast(Fleet, ImaginedFleet()), ready=collector.begin))
