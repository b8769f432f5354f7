"""Asking an inference target what it serves, through the host's SSH connection."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import asyncssh
import httpx

from hosts.remote import Remote
from ringrift.control.domain.ports import Serving
from ringrift.errors import AccessRefused, CorruptData, Unreachable

ANSWER_SECONDS = 10.0
POLL_SECONDS = 0.5


async def ask(remote: Remote, target: str, port: int) -> Serving:
    """Return what a target says of itself.

    Raises Unreachable when nothing answers on its port, CorruptData when the answer is not a health report.
    """
    with remote.speaking(f"asking {target}"):
        listener = await _forward(remote, port)
    try:
        async with httpx.AsyncClient(timeout=ANSWER_SECONDS, trust_env=False) as client:
            answer = await client.get(f"http://127.0.0.1:{listener.get_port()}/health")
    except httpx.HTTPError as error:
        raise Unreachable(
            f"{target} on {remote.name} does not answer on port {port}: {error or type(error).__name__}"
        ) from error
    finally:
        listener.close()
    return parse(f"{target} on {remote.name}", answer.content)


async def wait_for(
    remote: Remote, target: str, port: int, settled: Callable[[Serving], bool], seconds: float
) -> Serving:
    """Ask until `settled` holds or `seconds` have passed; return the last answer.

    Raises Unreachable when there was none, or when the SSH connection is cut.
    """
    until = time.monotonic() + seconds
    while True:
        try:
            serving = await ask(remote, target, port)
            if settled(serving) or time.monotonic() > until:
                return serving
        except Unreachable:
            if time.monotonic() > until or remote.connection.is_closed():
                raise
        await asyncio.sleep(POLL_SECONDS)


def parse(name: str, body: bytes) -> Serving:
    """Read a health report; raises CorruptData naming what is wrong with it."""
    try:
        report = json.loads(body)
        models = {str(key): _sha256(value) for key, value in report["models"].items()}
        issues = tuple(str(issue) for issue in report["issues"])
        generation = report["generation"]
        healthy = report["status"] == "healthy" and not issues
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorruptData(f"{name}: its /health is not a health report: {error}") from None
    if generation is not None and type(generation) is not int:
        raise CorruptData(f"{name}: its /health tells generation {generation!r}")
    return Serving(healthy=healthy, generation=generation, models=models, issues=issues)


def _sha256(value: Any) -> str:
    sha256 = value["sha256"]
    if not isinstance(sha256, str) or len(sha256) != 64:
        raise ValueError("a model without SHA-256")
    return sha256


async def _forward(remote: Remote, port: int) -> asyncssh.SSHListener:
    try:
        return await remote.connection.forward_local_port("127.0.0.1", 0, "127.0.0.1", port)
    except asyncssh.ChannelListenError as error:
        raise AccessRefused(f"no local port can be opened towards {remote.name}: {error}") from None
