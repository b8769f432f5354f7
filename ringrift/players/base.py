"""What a player is: a specification, a search over a batch of positions, a result.

A player belongs to one thread (it owns working memory). Its choice for a position depends on the position,
the seed and the specification, not on the other positions of the batch; with a net this holds bit for bit on
one machine (`search.evaluators`). Torch's number of threads is the caller's business.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ringrift.errors import BadInput
from ringrift.game.config import GameConfig
from ringrift.game.geometry import geometry
from ringrift.game.legal import legal_moves
from ringrift.game.phases import ACTIVE
from ringrift.game.state import new_scratch
from ringrift.players.randomness import below, position_word, uniform

KINDS = ("random", "heuristic", "minimax", "mcts", "gumbel", "policy")
SEARCHING = ("minimax", "mcts", "gumbel")

Positions = npt.NDArray[np.void]
Moves = npt.NDArray[np.int64]
Policy = tuple[Moves, npt.NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class PlayerSpec:
    """Who chooses moves.

    `model`: SHA-256 of the net, None for the heuristic as evaluator. `simulations`: leaves per decision
    (minimax: positions looked at). `considered`: root moves that a Gumbel search starts from.
    `randomness`: share of decisions answered by a uniformly random move.
    `noise`: scale of the Gumbel noise at the root of a Gumbel search (1 = as published, 0 = always the same
    move), and the sampling temperature of the policy player (0 = its most likely move).
    """

    kind: str
    model: str | None = None
    simulations: int = 0
    considered: int = 16
    randomness: float = 0.0
    noise: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise BadInput(f"unknown kind of player {self.kind!r}", hint=f"use one of {', '.join(KINDS)}")
        self._check("simulations", int, 1 if self.kind in SEARCHING else 0, 100_000)
        self._check("considered", int, 1 if self.kind == "gumbel" else 0, 64)
        self._check("randomness", (int, float), 0, 1)
        self._check("noise", (int, float), 0, 10)
        if self.model is not None and self.kind in ("random", "heuristic", "minimax"):
            raise BadInput(f"a {self.kind} player takes no model")

    def _check(self, name: str, kinds: type | tuple[type, ...], low: float, high: float) -> None:
        value = getattr(self, name)
        if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
            raise BadInput(f"{name} of a {self.kind} player must be in {low}..{high}, not {value!r}")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> PlayerSpec:
        """Read a specification; `BadInput` names unknown keys, a missing kind or values out of range."""
        unknown = sorted(set(data) - {field.name for field in fields(cls)})
        if unknown:
            raise BadInput(f"unknown key in a player: {', '.join(unknown)}")
        if "kind" not in data:
            raise BadInput("a player needs a kind", hint=f"use one of {', '.join(KINDS)}")
        return cls(**data)


class Deadline:
    """When a search must answer (of `time.monotonic`). Another thread may cancel it while the search runs."""

    __slots__ = ("cancelled", "end")

    def __init__(self, end: float) -> None:
        self.end = end
        self.cancelled = False

    def cancel(self) -> None:
        """Answer as soon as possible: nobody waits any more."""
        self.cancelled = True

    def passed(self) -> bool:
        return self.cancelled or time.monotonic() >= self.end


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Answers for n positions.

    `moves` (n,): the chosen moves. `values` (n, 4) float32: expected result of seats 1..4, each row sums to 1
    and is 0 for seats that don't exist. `policy`: per position its legal moves and the improved
    probabilities (sum 1) that a policy should learn; a player without a search gives what it knows.
    """

    moves: Moves
    values: npt.NDArray[np.float32]
    policy: list[Policy]


class Player(ABC):
    """Chooses moves in games of one config."""

    def __init__(self, spec: PlayerSpec, config: GameConfig) -> None:
        self.spec = spec
        self.config = config
        self.geo = geometry(config.board)
        self.scratch = new_scratch(config.board)

    def search(
        self,
        states: Positions,
        seeds: npt.NDArray[np.uint64],
        *,
        deadline: Deadline | None = None,
        simulations: Moves | None = None,
    ) -> SearchResult:
        """Search every position of `states`.

        `deadline` ends a search early with the best found so far. `simulations`
        overrides the specification's budget per position; players without a budget ignore it.
        `BadInput` for a finished game, another player count, or lists of different length.
        """
        if len(seeds) != len(states) or (simulations is not None and len(simulations) != len(states)):
            raise BadInput("a search needs one seed, and one budget if any, for each position")
        if np.any(states["status"] != ACTIVE):
            raise BadInput("a finished game has nothing to search")
        if np.any(states["players"] != self.config.players):
            raise BadInput(f"a player for {self.config.key} was given a game with other seats")
        result = self._search(states, seeds, deadline, simulations)
        return replace(result, moves=self._with_randomness(states, seeds, result.moves))

    @abstractmethod
    def _search(
        self,
        states: Positions,
        seeds: npt.NDArray[np.uint64],
        deadline: Deadline | None,
        simulations: Moves | None,
    ) -> SearchResult:
        """Answer checked positions; the specification's randomness is added afterwards."""

    def choose(
        self, states: Positions, seeds: npt.NDArray[np.uint64], *, deadline: Deadline | None = None
    ) -> Moves:
        """Return one legal move per position."""
        return self.search(states, seeds, deadline=deadline).moves

    def legal(self, states: Positions, i: int) -> Moves:
        """Return the legal moves of position i."""
        count = legal_moves(self.geo, states, i, self.scratch, self.scratch.moves)
        return self.scratch.moves[:count].copy()

    def word(self, states: Positions, i: int, seed: int) -> int:
        """Return the random word of position i under a seed (as `signed` gives it)."""
        return int(position_word(self.geo, states, i, seed))

    def _with_randomness(self, states: Positions, seeds: npt.NDArray[np.uint64], moves: Moves) -> Moves:
        """Return `moves` with the specified share of them replaced by uniformly random legal moves."""
        if self.spec.randomness == 0:
            return moves
        mixed = moves.copy()
        for i, seed in enumerate(signed(seeds)):
            word = self.word(states, i, seed)
            if uniform(word, RANDOM_DRAW) < self.spec.randomness:
                legal = self.legal(states, i)
                mixed[i] = legal[below(word, RANDOM_DRAW + 1, len(legal))]
        return mixed


TIE_DRAW = 1 << 19
RANDOM_DRAW = 1 << 20
"""First draw of `Player._with_randomness`; draws below it are numbered by legal move."""


def signed(seeds: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Return the seeds bit for bit as the int64 that compiled code works with."""
    return np.ascontiguousarray(seeds, dtype=np.uint64).view(np.int64)


def best_of(results: npt.NDArray[np.float64], word: int) -> int:
    """Return the index of the largest result, ties settled by the random word."""
    ties = np.flatnonzero(results == results.max())
    return int(ties[below(word, TIE_DRAW, len(ties))])


def build_player(spec: PlayerSpec, config: GameConfig, net: Any = None) -> Player:
    """Return the player of a specification.

    `net` is the loaded `RingRiftNet` of `spec.model` and must be given exactly when the specification names
    a model, which a policy player must; `BadInput` otherwise.
    """
    if spec.kind == "policy" and net is None:
        raise BadInput("a policy player needs a model")
    if (spec.model is None) != (net is None):
        raise BadInput("a specification names a model exactly when its net is given")
    if spec.kind == "random":
        from ringrift.players.random_player import RandomPlayer

        return RandomPlayer(spec, config)
    if spec.kind == "heuristic":
        from ringrift.players.heuristic_player import HeuristicPlayer

        return HeuristicPlayer(spec, config)
    if spec.kind == "minimax":
        from ringrift.players.minimax import MinimaxPlayer

        return MinimaxPlayer(spec, config)
    from ringrift.players.search.player import TreePlayer

    return TreePlayer(spec, config, net)
