"""The identity of a data set: a config and a set of shards, independent of their order.

Pure Python on purpose: the controller names data sets and imports no numpy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from ringrift.errors import BadInput
from ringrift.game.config import GameConfig

_TITLE = "ringrift dataset 1"
_HEX = frozenset("0123456789abcdef")


def dataset_shards(shards: Iterable[str]) -> list[str]:
    """Return the shards of a data set in their one order; `BadInput` for none, a repeated or a bad hash."""
    listed = sorted(shards)
    if not listed:
        raise BadInput("a data set needs at least one shard")
    if len(set(listed)) != len(listed):
        raise BadInput("a data set names a shard twice", hint="list every shard once")
    for shard in listed:
        if len(shard) != 64 or not _HEX.issuperset(shard):
            raise BadInput(f"{shard[:80]!r} is not a SHA-256 in 64 lower-case hex digits")
    return listed


def dataset_sha(config: str, shards: Iterable[str]) -> str:
    """Return the SHA-256 that names the data set of these shards; any order of them gives the same name."""
    lines = [_TITLE, GameConfig.parse(config).key, *dataset_shards(shards)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
