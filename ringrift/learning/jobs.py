"""The kinds of work, as an agent runs them: a specification and files in, units of work out.

A unit is emitted only after its files are whole and on disk, so a job that is killed loses at most the unit
it was working on, and its next try skips the units that were reported. Units are named by (job, sequence) and
are the same whoever does them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ringrift.errors import BadInput
from ringrift.game.config import GameConfig
from ringrift.protocol.jobs import (
    EvaluateResult,
    EvaluateSpec,
    IngestSpec,
    JobKind,
    JobSpec,
    PlayerSpec,
    RepeatSpec,
    SelfplayResult,
    SelfplaySpec,
    TrainSpec,
    parse_spec,
    sequences,
)

Emit = Callable[[dict[str, Any]], None]

REPORT_SECONDS = 1.0
"""Progress is told at most this often."""

THREADS_VARIABLE = "RINGRIFT_TORCH_THREADS"
"""Environment variable with the number of torch threads. One unless set: two threads on two busy cores are
far slower than one, and one thread gives the same weights every time."""


def run_job(kind: str, spec: dict[str, Any], inputs: Path, outputs: Path, done: set[int], emit: Emit) -> None:
    """Do every unit of a job that is not in `done`.

    `inputs` holds each required artifact as a file named by its SHA-256; files are written to `outputs`,
    which is made if absent. `emit` gets `{"type": "progress", "done", "total", "unit", "rate"}` now and then
    and `{"type": "result", "sequence", "payload", "artifacts"}` per unit, artifacts as paths relative to
    `outputs`. Raises `BadInput` for a specification that is none, and the errors of the kind of work.
    """
    parsed = _parse(kind, spec)
    outputs.mkdir(parents=True, exist_ok=True)
    pending = [sequence for sequence in sequences(parsed) if sequence not in done]
    if not pending:
        return
    if isinstance(parsed, SelfplaySpec):
        _selfplay(parsed, inputs, outputs, pending, emit)
    elif isinstance(parsed, EvaluateSpec):
        _evaluate(parsed, inputs, outputs, pending, emit)
    elif isinstance(parsed, TrainSpec):
        _train(parsed, inputs, outputs, emit)
    elif isinstance(parsed, RepeatSpec):
        _repeat(parsed, inputs, emit)
    else:
        _ingest(parsed, inputs, emit)


def _parse(kind: str, spec: dict[str, Any]) -> JobSpec:
    try:
        parsed = parse_spec(spec)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadInput(f"not a job specification: {where}: {first['msg']}") from None
    if parsed.kind != kind or kind not in set(JobKind):
        raise BadInput(f"a specification of kind {parsed.kind!r} came with a job of kind {kind!r}")
    return parsed


class Progress:
    """Cumulative progress of one job over all its tries, told at a bounded rate.

    `total` and `before`, what earlier tries did, are in `unit`s; the rate is that of this try.
    """

    def __init__(self, emit: Emit, total: float, unit: str, before: float = 0.0) -> None:
        self._emit = emit
        self._total = total
        self._unit = unit
        self._before = self._base = before
        self._began = self._told = time.monotonic()

    def complete(self, amount: float) -> None:
        """Count `amount` as done; later reports of a unit's own progress add to it."""
        self._base += amount

    def report(self, partial: float) -> None:
        """Tell that `partial` of the running unit is done."""
        now = time.monotonic()
        if now - self._told < REPORT_SECONDS:
            return
        self._told = now
        done = self._base + partial
        rate = (done - self._before) / max(now - self._began, 1e-9)
        self._emit({"type": "progress", "done": done, "total": self._total, "unit": self._unit, "rate": rate})


def _selfplay(spec: SelfplaySpec, inputs: Path, outputs: Path, pending: list[int], emit: Emit) -> None:
    from ringrift.learning.selfplay import check_selfplay, write_selfplay_shard

    check_selfplay(spec)
    player = _player(spec.player, spec.config, inputs)
    progress = _games_progress(emit, spec, pending, spec.games_per_shard)
    for sequence in pending:
        began = time.monotonic()
        path, sha, games = write_selfplay_shard(spec, sequence, player, outputs, progress.report)
        progress.complete(spec.games_per_shard)
        seconds = time.monotonic() - began
        result = SelfplayResult(config=spec.config, shard=sha, games=games, seconds=seconds)
        _emit_result(emit, sequence, result, [path])


def _evaluate(spec: EvaluateSpec, inputs: Path, outputs: Path, pending: list[int], emit: Emit) -> None:
    from ringrift.learning.arena import block_groups, play_blocks
    from ringrift.learning.shards import write_shard

    config = GameConfig.parse(spec.config)
    candidate = _player(spec.candidate, spec.config, inputs, noise=0.0)
    opponent = _player(spec.opponent, spec.config, inputs, noise=0.0)
    progress = _games_progress(emit, spec, pending, config.players)
    for group in block_groups(config, pending):
        for block in play_blocks(spec, group, candidate, opponent, progress.report):
            path, sha = write_shard(outputs, block.records)
            result = EvaluateResult(
                config=spec.config,
                evaluation=spec.evaluation,
                block=block.number,
                shard=sha,
                games=block.results,
                candidate_seats=list(range(1, config.players + 1)),
            )
            progress.complete(config.players)
            _emit_result(emit, block.number, result, [path])


def _games_progress(
    emit: Emit, spec: SelfplaySpec | EvaluateSpec, pending: list[int], games_per_unit: int
) -> Progress:
    units = len(sequences(spec))
    before = (units - len(pending)) * games_per_unit
    return Progress(emit, units * games_per_unit, "games", before)


def _train(spec: TrainSpec, inputs: Path, outputs: Path, emit: Emit) -> None:
    from ringrift.learning.train import train

    set_torch_threads()
    progress = Progress(emit, spec.recipe.steps, "steps")
    trained = train(spec, inputs, outputs, progress.report)
    _emit_result(emit, 0, trained.result, [trained.path])


def _ingest(spec: IngestSpec, inputs: Path, emit: Emit) -> None:
    from ringrift.learning.ingest import ingest_shard

    progress = Progress(emit, 1.0, "shards")
    _emit_result(emit, 0, ingest_shard(spec, inputs / spec.shard, progress.report), [])


def _repeat(spec: RepeatSpec, inputs: Path, emit: Emit) -> None:
    from ringrift.learning.repeat import repeat_games

    player = _player(spec.origin.player, spec.config, inputs)
    progress = Progress(emit, len(set(spec.games)) or spec.origin.games_per_shard, "games")
    _emit_result(emit, 0, repeat_games(spec, inputs / spec.shard, player, progress.report), [])


def _player(spec: PlayerSpec, config_key: str, inputs: Path, *, noise: float = 1.0) -> Any:
    """Build a player; its net, if it has one, is read from `inputs` after its hash was checked.

    A net that does not say here what it said after its training raises `CorruptData`.
    """
    from ringrift.players.base import PlayerSpec as Specification
    from ringrift.players.base import build_player

    config = GameConfig.parse(config_key)
    wanted = replace(Specification.from_dict(spec.model_dump()), noise=noise)
    if spec.model is None:
        return build_player(wanted, config)
    from ringrift import golden
    from ringrift.nets.checkpoint import load_checkpoint

    set_torch_threads()
    net, metadata = load_checkpoint(inputs / spec.model, spec.model, config_key)
    golden.check_own(net, metadata, config)
    return build_player(wanted, config, net)


def set_torch_threads() -> None:
    """Set torch's threads to `RINGRIFT_TORCH_THREADS`, or one."""
    import torch

    text = os.environ.get(THREADS_VARIABLE, "1")
    if not text.isdecimal() or not 1 <= int(text) <= 256:
        raise BadInput(f"{THREADS_VARIABLE}={text!r} is not a number from 1 to 256")
    torch.set_num_threads(int(text))


def _emit_result(emit: Emit, sequence: int, result: Any, paths: Iterable[Path]) -> None:
    emit(
        {
            "type": "result",
            "sequence": sequence,
            "payload": result.model_dump(mode="json"),
            "artifacts": [path.name for path in paths],
        }
    )
