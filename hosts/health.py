"""Asking an inference target what it serves, through the host's SSH connection."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import asyncssh
import httpx

from hosts.remote import Remote
from ringrift.control.domain.ports import Serving, Traffic
from ringrift.errors import AccessRefused, CorruptData, Unreachable

ANSWER_SECONDS = 10.0
POLL_SECONDS = 0.1
ANSWERED, ERRORS = "ai_move_requests_total", "ringrift_ai_errors_total"
LATENCY = "ai_move_latency_seconds_bucket"
ASKED_WRONGLY = frozenset(
    (
        *("usage", "bad_input", "unknown_config", "illegal_move"),
        *("no_options", "bad_filter", "body_too_large", "body_too_slow"),
    )
)
"""Errors that the service answers with 4xx: the client's, not the model's."""
_NOBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Trusts no authority: it is plain HTTP inside SSH. Reading those that httpx trusts takes 70 ms a client."""
_SAMPLE = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'(\w+)="([^"]*)"')


async def ask(remote: Remote, target: str, port: int) -> Serving:
    """Return what a target says of itself.

    Raises Unreachable when nothing answers on its port, CorruptData when the answer is not a health report.
    """
    try:
        async with forwarded(remote, target, port, ANSWER_SECONDS) as client:
            answer = await client.get("/health")
            metrics = await client.get("/metrics")
    except httpx.HTTPError as error:
        raise Unreachable(
            f"{target} on {remote.name} does not answer on port {port}: {error or type(error).__name__}"
        ) from error
    serving = parse(f"{target} on {remote.name}", answer.content)
    return replace(serving, traffic=read_traffic(metrics.text) if metrics.is_success else None)


@asynccontextmanager
async def forwarded(
    remote: Remote, target: str, port: int, seconds: float
) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of a target's service, with the time that an answer may take."""
    with remote.speaking(f"asking {target}"):
        listener = await _forward(remote, port)
    try:
        address = f"http://127.0.0.1:{listener.get_port()}"
        options = {"base_url": address, "timeout": seconds, "trust_env": False, "verify": _NOBODY}
        async with httpx.AsyncClient(**options) as client:
            yield client
    finally:
        listener.close()


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
    process, release = report.get("pid"), report.get("release")
    return Serving(
        healthy=healthy,
        generation=generation,
        models=models,
        issues=issues,
        process=process if type(process) is int else None,
        release=release if isinstance(release, str) else None,
    )


def read_traffic(page: str) -> Traffic | None:
    """Read the counters of a metrics page, added up over all levels; None when they are not there."""
    answered, errors, buckets = 0, 0, Counter[float]()
    try:
        for line in page.splitlines():
            sample = _SAMPLE.fullmatch(line)
            if sample is None:
                continue
            name, labels, value = sample[1], dict(_LABEL.findall(sample[2] or "")), float(sample[3])
            if name == ANSWERED:
                answered += int(value)
            elif name == ERRORS and labels.get("error_type") not in ASKED_WRONGLY:
                errors += int(value)
            elif name == LATENCY and labels["le"] != "+Inf":
                buckets[float(labels["le"])] += int(value)
    except (ValueError, KeyError, OverflowError):
        return None
    if f"# TYPE {ANSWERED} " not in page:
        return None
    return Traffic(answered, errors, tuple(sorted(buckets.items())))


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
