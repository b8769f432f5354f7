"""The body of `POST /move`: strict in what it must hold, lax in how a whole number is written."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from ringrift.errors import BadInput
from ringrift.notation.strictjson import read_json

MAX_BODY = 32 << 20
"""Bytes; a hexagonal game of four seats sends 8 MiB."""
DEFAULT_DIFFICULTY = 3
_SEED_MASK = 0x7FFFFFFF


def _no_flag(value: object) -> object:
    """Refuse true and false, which would pass for 1 and 0."""
    if isinstance(value, bool):
        raise ValueError("a number is needed, not true or false")
    return value


WholeNumber = Annotated[int, BeforeValidator(_no_flag)]


class MoveRequest(BaseModel):
    """What a game server asks. Unknown fields are ignored; whole numbers may come as `2.0` or `"2"`."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    game_state: dict[str, Any]
    player_number: WholeNumber
    difficulty: WholeNumber = DEFAULT_DIFFICULTY
    seed: WholeNumber | None = None


def read_request(body: bytes) -> MoveRequest:
    """Parse a body; raise `BadInput` with one line that names the field."""
    try:
        content = read_json(body)
    except ValueError as error:
        raise BadInput(f"the body is no JSON: {error}") from None
    try:
        return MoveRequest.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "body"
        raise BadInput(f"{field}: {first['msg']}") from None


def effective_seed(request: MoveRequest, difficulty: int) -> int:
    """Return the seed as 64 bits: the request's, else the game's `rngSeed`, else one of level and seat."""
    seed = request.seed
    if seed is None:
        seed = _game_seed(request.game_state)
    if seed is None:
        seed = ((difficulty * 1_000_003) ^ (request.player_number * 97_911)) & _SEED_MASK
    return seed & 0xFFFFFFFFFFFFFFFF


def _game_seed(state: dict[str, Any]) -> int | None:
    for name in ("rngSeed", "rng_seed"):
        value = state.get(name)
        if type(value) is int:
            return value
    return None
