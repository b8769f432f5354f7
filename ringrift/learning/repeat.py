"""Playing games of a shard again by their seeds, to see whether its producer played them as it says.

What is exact: every draw of a game follows from its own seeds, and no game depends on the games beside it
(`learning.games`), so without a net any choice of games comes out bit for bit as in the whole shard. A net's
answers were found not to depend on the batch for 16 channels and more (`players.search.net_evaluator`), but
not for smaller ones; therefore a shard played by a net is repeated whole, in the same batches. Between
machines, `protocol.jobs.exact_everywhere` tells for which players equality may be asked of any machine, and
for which only within an equal numeric class.

Compared is all that a record holds: how the games were played, the moves, the end, and what the search said,
since that is what nets are taught.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ringrift.errors import CorruptData
from ringrift.learning.records import GameRecord
from ringrift.learning.selfplay import check_selfplay, play_shard
from ringrift.learning.shards import read_artifact, read_shard
from ringrift.players.base import Player
from ringrift.protocol.jobs import RepeatResult, RepeatSpec


def repeat_games(
    spec: RepeatSpec, path: Path, player: Player, report: Callable[[float], None]
) -> RepeatResult:
    """Play the asked games of the shard at `path` again; return whether they came out the same.

    A shard that cannot be read is a difference too, found before anything is played; but raises `CorruptData`
    when the file is not the shard, which is this host's fault. `report` gets the number of games played so
    far, with fractions.
    """
    check_selfplay(spec.origin)
    numbers = sorted(set(spec.games)) or list(range(spec.origin.games_per_shard))
    read_artifact(path, spec.shard)
    try:
        claimed = {record.game: record for record in read_shard(path)}
    except CorruptData as error:
        return _result(spec, error.message[:500], 0)
    played = play_shard(spec.origin, spec.sequence, player, report, numbers)
    for compared, record in enumerate(played, start=1):
        difference = _difference(record, claimed.get(record.game))
        if difference:
            return _result(spec, f"game {record.game} {difference}", compared)
    return _result(spec, "", len(played))


def _result(spec: RepeatSpec, reason: str, games: int) -> RepeatResult:
    return RepeatResult(config=spec.config, shard=spec.shard, same=not reason, reason=reason, games=games)


def _difference(played: GameRecord, claimed: GameRecord | None) -> str:
    """Tell what of a claimed game its repetition does not show; empty when they are the same."""
    if claimed is None:
        return "is not in the shard"
    if played == claimed:
        return ""
    if played.header != claimed.header:
        return "was played for another job"
    for name, mine, theirs in (
        ("differs", played.played, claimed.played),
        ("has another kind of decision", played.kinds, claimed.kinds),
        ("has other root values", played.values, claimed.values),
    ):
        at = _first_difference(mine, theirs)
        if at is not None:
            return f"{name} at decision {at}"
    return "ends otherwise" if played.end != claimed.end else "has other policy targets"


def _first_difference(mine: npt.NDArray[np.generic], theirs: npt.NDArray[np.generic]) -> int | None:
    shorter = min(len(mine), len(theirs))
    unequal = np.flatnonzero((mine[:shorter] != theirs[:shorter]).reshape(shorter, -1).any(1))
    if len(unequal):
        return int(unequal[0])
    return shorter if len(mine) != len(theirs) else None
