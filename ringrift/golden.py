"""Golden vectors: what a net says in eight fixed positions, to ask it again wherever it is loaded.

The hash of a checkpoint proves its bytes. The vectors prove what becomes of them: an encoder, a network, a
library or a rule that differs from those of the training gives other numbers. The positions follow from the
config alone, by seeded random play; `positions` is a digest of them, so that other rules are told apart from
another net. As JSON:

    {"version": 1, "positions": "<16 hex digits>", "values": [[0.25, 0.75], ...], "moves": [[-1.3, ...], ...]}

`values` are the chances of the seats, `moves` the natural logarithms of the probabilities of up to eight
legal moves, spread evenly over the sorted legal set. Each of them stands for the whole policy, as all moves
of a position share one sum.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from ringrift.errors import BadInput, CorruptData
from ringrift.game.config import GameConfig
from ringrift.game.play import Game
from ringrift.notation.fingerprint import fingerprint_text
from ringrift.players.search.evaluators import Evaluator
from ringrift.players.search.forest import Leaves

if TYPE_CHECKING:
    from ringrift.nets.network import RingRiftNet

VERSION = 1
POSITIONS = 8
MOVES = 8
TOLERANCE = 0.002
"""Largest difference of a number. Found for a trained net of 4x32: other kernels and thread counts 0.00001,
TF32 arithmetic 0.0003, weights changed at random by 0.3 % 0.007, one layer's filters shuffled 0.5."""

_FIRST, _STEP = 3, 8
"""Decisions before the first position, and between two of them."""
_DIGITS = 5
_DIGEST = re.compile(r"[0-9a-f]{16}")
Rows = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Golden:
    """The vectors of one net, position by position: `values` over the seats, `moves` over chosen moves."""

    positions: str
    values: Rows
    moves: Rows

    def document(self) -> dict[str, Any]:
        """Return the vectors as plain JSON."""
        rows = {"values": [list(row) for row in self.values], "moves": [list(row) for row in self.moves]}
        return {"version": VERSION, "positions": self.positions, **rows}


class OtherNet(Protocol):
    """A net that torch does not compute."""

    def evaluator(self, config: GameConfig) -> Evaluator:
        """Return what judges positions of a config by it."""


@dataclass(frozen=True)
class Positions:
    """The positions of a config: `states` (8,), the sorted legal moves of each, and a digest of both."""

    states: npt.NDArray[np.void]
    moves: tuple[npt.NDArray[np.int64], ...]
    digest: str


def measure(net: RingRiftNet | OtherNet, config: GameConfig) -> Golden:
    """Return what a net says in the positions of its config."""
    asked = positions(config)
    leaves = _leaves(asked)
    _evaluator(net, config).evaluate(asked.states, leaves, POSITIONS)
    found = [_said(config, leaves, index) for index in range(POSITIONS)]
    return Golden(asked.digest, tuple(values for values, _ in found), tuple(moves for _, moves in found))


def _evaluator(net: RingRiftNet | OtherNet, config: GameConfig) -> Evaluator:
    if hasattr(net, "evaluator"):
        return net.evaluator(config)
    from ringrift.players.search import torch_net

    return torch_net.evaluator(net, config)


def check(golden: Golden, net: RingRiftNet | OtherNet, config: GameConfig) -> None:
    """Raise `CorruptData`, naming the largest difference, unless the net says what its vectors say."""
    found = measure(net, config)
    if found.positions != golden.positions:
        raise CorruptData(
            f"its golden vectors are of other positions of {config.key} than the rules here play",
            hint="it was made for other rules, or its vectors are of another model",
        )
    off, where = difference(golden, found)
    if not off <= TOLERANCE:
        raise CorruptData(
            f"the net does not say what its golden vectors say: off by {off:.3g} in {where}, "
            f"allowed is {TOLERANCE:g}",
            hint="weights, network or library are not those of its training",
        )


def difference(golden: Golden, found: Golden) -> tuple[float, str]:
    """Return the largest difference of a number, infinite for vectors of another form, and where it is."""
    return max(_differences(golden, found))


def check_own(net: RingRiftNet, metadata: dict[str, Any], config: GameConfig) -> None:
    """Hold a net to the vectors in its checkpoint's metadata; one made before there were any passes."""
    if "golden" in metadata:
        check(read_golden(metadata["golden"], config), net, config)


def read_golden(document: Any, config: GameConfig) -> Golden:
    """Return vectors from their JSON; raise `BadInput` when they are none of this config."""
    if not isinstance(document, dict) or document.get("version") != VERSION:
        raise BadInput(f"golden.version must be {VERSION}")
    digest = document.get("positions")
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise BadInput("golden.positions is no digest")
    values = _rows(document, "values", config.players, config.players)
    moves = _rows(document, "moves", 1, MOVES)
    return Golden(digest, values, moves)


def positions(config: GameConfig) -> Positions:
    """Return the positions of a config, all of them running, none with a single legal move."""
    found = list(itertools.islice(_played(config), POSITIONS))
    texts = [f"{len(moves)} {fingerprint_text(Game(config, state))}" for state, moves in found]
    return Positions(
        np.concatenate([state for state, _ in found]),
        tuple(moves for _, moves in found),
        hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16],
    )


def _played(config: GameConfig) -> Iterator[tuple[npt.NDArray[np.void], npt.NDArray[np.int64]]]:
    """Yield positions of one random game after another, with their legal moves, for ever."""
    for number in itertools.count():
        game, decision = Game.new(config), 0
        while not game.over:
            legal = np.sort(game.legal())
            if len(legal) > 1:
                decision += 1
                if decision % _STEP == _FIRST:
                    yield game.states.copy(), legal
            seed = hashlib.blake2b(f"{config.key} {number} {decision}".encode(), digest_size=8).digest()
            game.apply(int(legal[int.from_bytes(seed) % len(legal)]))


def _leaves(asked: Positions) -> Leaves:
    offsets = np.cumsum([0, *map(len, asked.moves)])
    return Leaves(
        node=np.arange(POSITIONS),
        offsets=offsets,
        moves=np.concatenate(asked.moves),
        logits=np.zeros(offsets[-1]),
        values=np.zeros((POSITIONS, 4)),
    )


def _said(config: GameConfig, leaves: Leaves, index: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    begin, end = int(leaves.offsets[index]), int(leaves.offsets[index + 1])
    logits = leaves.logits[begin:end]
    top = logits.max()
    logarithms = logits - top - np.log(np.exp(logits - top).sum())
    count = min(MOVES, end - begin)
    chosen = logarithms[np.arange(count) * (end - begin) // count]
    return _rounded(leaves.values[index, : config.players]), _rounded(chosen)


def _rounded(numbers: npt.NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(round(float(number), _DIGITS) for number in numbers)


def _differences(golden: Golden, found: Golden) -> Iterator[tuple[float, str]]:
    for name, wanted, got in (("values", golden.values, found.values), ("moves", golden.moves, found.moves)):
        for position, (ours, theirs) in enumerate(zip(wanted, got, strict=True), 1):
            where = f"the {name} of position {position}"
            if len(ours) != len(theirs):
                yield math.inf, where
                continue
            for a, b in zip(ours, theirs, strict=True):
                yield (abs(a - b) if math.isfinite(b) else math.inf), where


def _rows(document: dict[str, Any], name: str, least: int, most: int) -> Rows:
    rows = document.get(name)
    if not isinstance(rows, list) or len(rows) != POSITIONS:
        raise BadInput(f"golden.{name} has not {POSITIONS} rows")
    for row in rows:
        sound = isinstance(row, list) and least <= len(row) <= most
        if not sound or not all(type(number) in (int, float) and math.isfinite(number) for number in row):
            raise BadInput(f"golden.{name} has a row that is not {least} to {most} numbers")
    return tuple(tuple(float(number) for number in row) for row in rows)
