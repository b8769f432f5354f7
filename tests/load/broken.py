"""Candidates that must not get far: each is made, promoted if it is a model, and deployed to every target."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ringrift.control.domain.ports import DeployOrder
from ringrift.control.signing import signed_order, signing_key
from tests.load.stand import ENDED, Stand, golden

_LOOK_SECONDS = 0.1
Make = Callable[[Stand], Awaitable[dict[str, Any]]]
"""Makes a candidate; returns the wish for its deployment, and its hash as `model` if it is one."""


@dataclass(frozen=True)
class Outcome:
    """What became of a candidate."""

    state: str
    reason: str
    targets: dict[str, str]
    """How its deployment left each target."""
    touched: tuple[str, ...]
    """Targets that were seen to serve it, or to be unhealthy."""
    ended: float
    """Seconds from the order to the end of the deployment."""
    back: float
    """Seconds until no target was seen to serve anything else any more; 0 where none was at all."""


async def bad_bytes(stand: Stand) -> dict[str, Any]:
    model = await stand.model(100)
    await stand.file(model, b"not these")
    return {"model": model}


async def bad_signature(stand: Stand) -> dict[str, Any]:
    model, other = await stand.model(101), Ed25519PrivateKey.generate()
    stand.spoil(model, lambda order: replace(order, signature=_again(other, order).signature))
    return {"model": model}


async def older_generation(stand: Stand) -> dict[str, Any]:
    model, key = await stand.model(102), signing_key(stand.home)
    stand.spoil(model, lambda order: _again(key, order, 0))
    return {"model": model}


def _again(key: Ed25519PrivateKey, order: DeployOrder, generation: int | None = None) -> DeployOrder:
    number = order.generation if generation is None else generation
    made = signed_order(key, order.target, order.port, order.deployment, number, order.models)
    return replace(made, release=order.release)


async def wrong_board(stand: Stand) -> dict[str, Any]:
    return {"model": await stand.model(103, "square8_2p")}


async def crashing_on_load(stand: Stand) -> dict[str, Any]:
    content = b"PK\x03\x04 no checkpoint"
    model = hashlib.sha256(content).hexdigest()
    await stand.file(model, content)
    await stand.row(model, golden=golden(104))
    return {"model": model}


async def wrong_vectors(stand: Stand) -> dict[str, Any]:
    return {"model": await stand.model(105, golden=golden(106))}


def _software(file: str, before: str, after: str) -> Make:
    async def make(stand: Stand) -> dict[str, Any]:
        stand.edit(file, before, after)
        return {"software": True}

    return make


_NOWHERE = '{"to": {"x": 99, "y": 99}}'
_MOVE = "    return move_to_json(game, move), evaluation\n"
BROKEN: dict[str, Make] = {
    "bad bytes": bad_bytes,
    "bad signature": bad_signature,
    "older generation": older_generation,
    "wrong board": wrong_board,
    "crashing on load": crashing_on_load,
    "wrong golden vectors": wrong_vectors,
    "crashing software": _software("inference/app.py", "SERVICE =", "raise SystemExit(3)\nSERVICE ="),
    "slow": _software("inference/answer.py", _MOVE, f"    time.sleep(8)\n{_MOVE}"),
    "illegal moves": _software("inference/answer.py", _MOVE, _MOVE.replace("move)", f"move) | {_NOWHERE}")),
}


async def tried(stand: Stand, name: str) -> Outcome:
    """Try to bring a broken candidate to every target; afterwards everything stands as before."""
    champion, kept = await stand.champion(), await stand.serving()
    wish = await BROKEN[name](stand)
    model = wish.pop("model", None)
    if model is not None:
        await stand.promote(model)
    began, seen = time.monotonic(), dict[str, float]()
    view = await stand.post("/deployments", **wish)
    while view["state"] not in ENDED:
        for target, found in (await stand.serving()).items():
            if found != kept[target]:
                seen[target] = time.monotonic() - began
        await asyncio.sleep(_LOOK_SECONDS)
        view = await stand.get(f"/deployments/{view['id']}")
    ended = time.monotonic() - began
    assert await stand.serving() == kept, f"{name}: not everything is as it was"
    if model is not None:
        await stand.promote(champion)
    stand.mend()
    left = {row["target"]: row["state"] for row in view["targets"]}
    back = max(seen.values(), default=0.0)
    return Outcome(view["state"], view["reason"], left, tuple(sorted(seen)), ended, back)
