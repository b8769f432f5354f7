"""`GET /internal/ladder/health`: who plays at each level of each config, and whether its net is there."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from inference.models import ModelSet
from ringrift.errors import UsageError
from ringrift.game.config import ALL_CONFIGS, GameConfig
from ringrift.players.ladder import HIGHEST, LOWEST, level


class BadFilter(UsageError):
    """A filter names nothing that there is."""

    code = "bad_filter"


def ladder_health(
    models: ModelSet, board: str | None, players: str | None, difficulty: str | None
) -> dict[str, Any]:
    """Return one row per level of every config that the filters leave; raise `BadFilter`."""
    boards = sorted({config.board for config in ALL_CONFIGS})
    if board is not None and board not in boards:
        raise BadFilter(f"Unsupported board_type={board!r}; expected one of {boards}")
    seats = _number("num_players", players, 2, 4)
    rung = _number("difficulty", difficulty, LOWEST, HIGHEST)
    tiers = [
        _tier(config, found, models)
        for config in ALL_CONFIGS
        if board in (None, config.board) and seats in (None, config.players)
        for found in range(LOWEST, HIGHEST + 1)
        if rung in (None, found)
    ]
    missing = sum(tier["use_neural_net"] and tier["model_id"] is None for tier in tiers)
    return {
        "generated_at": datetime.now(UTC).isoformat(),
        "filters": {"board_type": board, "num_players": seats, "difficulty": rung},
        "summary": {
            "tiers": len(tiers),
            "overridden_tiers": 0,
            "missing_heuristic_profiles": 0,
            "missing_nnue_checkpoints": 0,
            "missing_neural_checkpoints": missing,
        },
        "tiers": tiers,
    }


def _number(name: str, text: str | None, low: int, high: int) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 4 and low <= int(text) <= high):
        raise BadFilter(f"{name} must be between {low} and {high}")
    return int(text)


def _tier(config: GameConfig, difficulty: int, models: ModelSet) -> dict[str, Any]:
    found = level(difficulty, config)
    model = models.models.get(config.key) if found.needs_model else None
    checkpoint = {"file": f"canonical_{config.key}.pth", "available": model is not None}
    return {
        "difficulty": difficulty,
        "board_type": config.board,
        "num_players": config.players,
        "ai_type": found.ai_type,
        "use_neural_net": found.needs_model,
        "randomness": found.spec.randomness,
        "think_time_ms": found.think_ms,
        "model_id": model.sha256 if model else None,
        "heuristic_profile_id": None,
        "overridden": False,
        "artifacts": {"neural_checkpoint": checkpoint} if found.needs_model else {},
    }
