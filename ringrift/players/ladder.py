"""The ladder of difficulties 1 to 10 as game servers know it, in one table.

`think_ms` bounds a search by the clock; the budget usually ends it earlier. The client waits 30 s at most and
has no retry, so that even level 10 stays far below.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ringrift.errors import BadInput
from ringrift.game.config import GameConfig
from ringrift.players.base import PlayerSpec

LOWEST, HIGHEST = 1, 10

AI_TYPES = {
    "random": "random",
    "heuristic": "heuristic",
    "minimax": "minimax",
    "mcts": "mcts",
    "gumbel": "gumbel_mcts",
    "policy": "policy_only",
}
"""Name on the wire of each kind of player."""

MODEL_KINDS = ("gumbel", "policy")
"""Kinds that need a config's model on the ladder."""


@dataclass(frozen=True, slots=True)
class Level:
    """Who plays at a difficulty. Where `needs_model`, `spec` still lacks the model: see `with_model`."""

    difficulty: int
    spec: PlayerSpec
    ai_type: str
    think_ms: int
    needs_model: bool

    def with_model(self, sha256: str) -> PlayerSpec:
        """Return the specification with the config's model filled in; unchanged if none is needed."""
        return replace(self.spec, model=sha256) if self.needs_model else self.spec


@dataclass(frozen=True, slots=True)
class _Row:
    kind: str
    think_ms: int
    positions: int
    """Simulations with a net; players without one look at more positions in the same time."""
    considered: int
    noise: float
    randomness: float


_TABLE = {
    1: _Row("random", 50, 8, 8, 1.0, 0.0),
    2: _Row("heuristic", 100, 8, 8, 1.0, 0.1),
    3: _Row("minimax", 400, 16, 8, 1.0, 0.0),
    4: _Row("mcts", 600, 16, 8, 1.0, 0.0),
    5: _Row("gumbel", 800, 48, 16, 0.5, 0.0),
    6: _Row("gumbel", 1000, 80, 16, 0.25, 0.0),
    7: _Row("gumbel", 1500, 128, 16, 0.1, 0.0),
    8: _Row("gumbel", 2500, 256, 16, 0.1, 0.0),
    9: _Row("gumbel", 4000, 512, 32, 0.1, 0.0),
    10: _Row("gumbel", 6000, 768, 32, 0.1, 0.0),
}

LARGE = 100
"""Boards with more cells are large."""

_POSITIONS_FACTOR = {"minimax": 32, "mcts": 32}
"""The heuristic judges positions about thirty times as fast as a net, so its players look at more of them.
MCTS of level 4 then wins 77 % against minimax of level 3 on hex8 with two players, 72 % on square8. With
three times as many simulations it wins 83 % and 81 %: more than a young net does on levels 5 and 6."""


def clamp(difficulty: int) -> int:
    """Return the difficulty moved into 1..10."""
    return max(LOWEST, min(HIGHEST, difficulty))


def level(difficulty: int, config: GameConfig | None = None, ai_type: str | None = None) -> Level:
    """Return the level's player, or the player of `ai_type` with the level's budget if we have that player.

    The large boards get half the budget (a position costs about six times as much there) when `config` tells.

    Any other `ai_type` gives the level's own player; `Level.ai_type` tells what it really is.
    `BadInput` for a difficulty outside 1..10.
    """
    if difficulty not in _TABLE:
        raise BadInput(f"there is no difficulty {difficulty}", hint=f"use {LOWEST}..{HIGHEST}")
    row = _TABLE[difficulty]
    kinds = {name: kind for kind, name in AI_TYPES.items()}
    kind = row.kind if ai_type is None else kinds.get(ai_type, row.kind)
    searching = kind in ("minimax", "mcts", "gumbel")
    needs_model = kind in MODEL_KINDS
    positions = row.positions // (2 if config is not None and config.cells > LARGE else 1)
    spec = PlayerSpec(
        kind=kind,
        model=None,
        simulations=positions * _POSITIONS_FACTOR.get(kind, 1) if searching else 0,
        considered=row.considered,
        randomness=row.randomness if kind == row.kind else 0.0,
        noise=0.0 if kind == "policy" else row.noise,
    )
    return Level(difficulty, spec, AI_TYPES[kind], row.think_ms, needs_model)


LEVELS = {difficulty: level(difficulty) for difficulty in _TABLE}
"""Every difficulty with its own player, budgets as on the small boards."""
