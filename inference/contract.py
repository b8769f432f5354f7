"""What the OpenAPI page says of each route: the body that it takes and every answer that it gives."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from ringrift.players.ladder import AI_TYPES, HIGHEST, LOWEST

_Moved = Literal[*AI_TYPES.values()]  # type: ignore[valid-type]
_SHA256 = "^[0-9a-f]{64}$"


class Refusal(BaseModel):
    """Why there is no answer, in one line."""

    detail: str


class Fault(BaseModel):
    """What is wrong with a body, and where: `loc` begins with `body`."""

    type: str
    loc: list[str | int] = Field(min_length=1)
    msg: str


class Faults(BaseModel):
    """A body that is not what its route takes: the first fault."""

    detail: list[Fault] = Field(min_length=1, max_length=1)


class _Moves(BaseModel):
    move: dict[str, Any] | None
    evaluation: float = Field(ge=-1, le=1)
    thinking_time_ms: int = Field(ge=0)
    difficulty: int = Field(ge=LOWEST, le=HIGHEST)
    ai_type: _Moved


class MoveReply(_Moves):
    """The move of a seat, null where it has none to make; `model` is the SHA-256 of the net that moved."""

    model: str | None = Field(pattern=_SHA256)


class AiMoveReply(_Moves):
    """As `MoveReply`, in the richer contract's words."""

    heuristic_profile_id: None
    use_neural_net: bool
    nn_model_id: str | None = Field(pattern=_SHA256)
    nn_checkpoint: str | None
    nnue_checkpoint: None


class ChoiceReply(BaseModel):
    """The option that is taken, as it was sent."""

    selectedOption: Any  # noqa: N815 - a name of the contract
    aiType: _Moved  # noqa: N815
    difficulty: int = Field(ge=LOWEST, le=HIGHEST)


class Evaluation(BaseModel):
    """A seat's lead in hundredths, and what it is made of."""

    score: float
    breakdown: dict[str, float]


class SeatValue(BaseModel):
    """What a position is worth to a seat."""

    totalEval: float  # noqa: N815
    territoryEval: float  # noqa: N815
    ringEval: float  # noqa: N815
    winProbability: float = Field(ge=0, le=1)  # noqa: N815


class PositionReply(BaseModel):
    """What a position is worth to each seat; `per_player` is named by seat."""

    engine_profile: str
    board_type: str
    game_id: str
    move_number: int = Field(ge=0)
    per_player: dict[str, SeatValue]
    evaluation_scale: Literal["win_probability"]
    generated_at: str


class RuleReply(BaseModel):
    """Whether a move is legal, and the position after it."""

    valid: bool
    validation_error: str | None
    next_state: dict[str, Any] | None
    state_hash: str | None
    s_invariant: int | None
    game_status: str | None


class Health(BaseModel):
    """What is served and what is wrong: `healthy` exactly when `issues` is empty."""

    status: Literal["healthy", "unhealthy"]
    models_loaded: int = Field(ge=0)
    model_keys: list[str]
    models: dict[str, dict[str, Any]]
    generation: int | None
    deployment: str
    issues: list[str]
    version: str
    release: str | None
    engine: Literal["torch", "onnx"]
    pid: int


class Ready(BaseModel):
    """Whether game servers should ask."""

    ready: bool


class Live(BaseModel):
    """The process answers."""

    live: Literal[True]


class LadderReply(BaseModel):
    """One tier for each level of each config that the filters leave."""

    generated_at: str
    filters: dict[str, Any]
    summary: dict[str, int]
    tiers: list[dict[str, Any]]


def takes(body: type[BaseModel], reply: type[BaseModel]) -> dict[str, Any]:
    """Return the arguments of a route that takes a body; everything it may answer is named."""
    schema = body.model_json_schema()
    refusals = {408: Refusal, 413: Refusal, 422: Faults, 503: Refusal}
    if reply is ChoiceReply:
        refusals[400] = Refusal
    return {
        **gives(reply, **{str(status): refusal for status, refusal in refusals.items()}),
        "openapi_extra": {
            "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}
        },
    }


def gives(reply: type[BaseModel], **others: type[BaseModel]) -> dict[str, Any]:
    """Return the arguments of a route: what 200 holds, and what other statuses do, named by their digits."""
    return {
        "response_model": None,
        "responses": {200: {"model": reply}, **{status: {"model": kind} for status, kind in others.items()}},
    }
