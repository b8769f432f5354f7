"""The bodies that a game server sends: strict in what they hold, lax in how a whole number is written."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from ringrift.errors import BadInput
from ringrift.notation.strictjson import read_json
from ringrift.players.ladder import HIGHEST, LOWEST

MAX_BODY = 32 << 20
"""Bytes; a hexagonal game of four seats sends 8 MiB."""
BODY_SECONDS = 25.0
"""How long a body may take to arrive; nobody waits for an answer to a slower one."""
_SEED_MASK = 0x7FFFFFFF
_Body = TypeVar("_Body", bound=BaseModel)

AiType = Literal[
    *("random", "heuristic", "minimax", "mcts", "gumbel_mcts", "policy_only", "descent", "ig_gmo"),
    *("gpu_minimax", "maxn", "brs", "neural_demo", "ebmo", "gmo", "gmo_v2", "gmo_mcts", "gmo_gumbel", "cage"),
    *("improved_mcts", "hybrid_nn", "gnn", "hybrid", "nnue_gumbel", "nnue_mcts", "nnue_brs", "nnue_maxn"),
]
"""Every name that a client may send (API contract, section 4.3); `ladder.level` tells who then moves."""


class Malformed(BadInput):
    """A body that is not what its route takes. `loc` leads to the first wrong field, from `body` on."""

    def __init__(self, message: str, loc: tuple[str | int, ...] = (), kind: str = "value_error") -> None:
        super().__init__(message)
        self.loc = loc
        self.kind = kind


def _no_flag(value: object) -> object:
    """Refuse true and false, which would pass for 1 and 0."""
    if isinstance(value, bool):
        raise ValueError("a number is needed, not true or false")
    return value


WholeNumber = Annotated[int, BeforeValidator(_no_flag)]
Difficulty = Annotated[WholeNumber, Field(ge=LOWEST, le=HIGHEST)]
Seat = Annotated[WholeNumber, Field(ge=1)]


class Request(BaseModel):
    """Unknown fields are ignored; names may come in either case; whole numbers as `2.0` or `"2"`."""

    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)


def either(name: str, camel: str, **rule: Any) -> Any:
    """Return a field that may be named in either case; an error names it `name`."""
    return Field(validation_alias=AliasChoices(name, camel), **rule)


class MoveRequest(Request):
    """`POST /move`: difficulty is moved into the ladder, any seed and any seat are taken."""

    game_state: dict[str, Any] = either("game_state", "gameState")
    player_number: WholeNumber = either("player_number", "playerNumber")
    difficulty: WholeNumber = 3
    seed: WholeNumber | None = None


class AiMoveRequest(Request):
    """`POST /ai/move`, as the Node client sends it; numbers out of range are refused."""

    game_state: dict[str, Any] = either("game_state", "gameState")
    player_number: Seat = either("player_number", "playerNumber")
    difficulty: Difficulty = 5
    ai_type: AiType | None = either("ai_type", "aiType", default=None)
    seed: Annotated[WholeNumber, Field(ge=0, le=_SEED_MASK)] | None = None


def read_request(kind: type[_Body], body: bytes) -> _Body:
    """Parse a body; raise `Malformed` with one line that names the field."""
    try:
        content = read_json(body)
    except ValueError as error:
        raise Malformed(f"the body is no JSON: {error}", kind="json_invalid") from None
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "body"
        raise Malformed(f"{field}: {first['msg']}", first["loc"], first["type"]) from None


def effective_seed(seed: int | None, state: dict[str, Any], difficulty: int, seat: int) -> int:
    """Return the seed as 64 bits: the request's, else the game's `rngSeed`, else one of level and seat."""
    if seed is None:
        seed = _game_seed(state)
    if seed is None:
        seed = ((difficulty * 1_000_003) ^ (seat * 97_911)) & _SEED_MASK
    return seed & 0xFFFFFFFFFFFFFFFF


def _game_seed(state: dict[str, Any]) -> int | None:
    for name in ("rngSeed", "rng_seed"):
        value = state.get(name)
        if type(value) is int:
            return value
    return None
