"""The service's HTTP face: moves, what else the game server asks, and what probes and operators look for."""

from __future__ import annotations

import asyncio
import functools
import json
import time
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

import ringrift
from inference import logs
from inference.answer import Call, Players, answer_ai_move, answer_move
from inference.choices import CHOICES, ChoiceRequest, answer_choice
from inference.contract import (
    AiMoveReply,
    ChoiceReply,
    Evaluation,
    MoveReply,
    PositionReply,
    RuleReply,
    takes,
)
from inference.evaluate import (
    EvaluateRequest,
    PositionRequest,
    RuleRequest,
    answer_evaluate,
    answer_position,
    answer_rules,
)
from inference.games import Games
from inference.metrics import Metrics
from inference.pool import SearchPool
from inference.probes import add_probes
from inference.refusals import BodyTooLarge, BodyTooSlow, add_refusals
from inference.request import BODY_SECONDS, MAX_BODY, AiMoveRequest, Malformed, MoveRequest
from inference.watch import Watcher

SERVICE = "ringrift-inference"


class Answer(JSONResponse):
    """JSON in ASCII: an answer may hold what the request said, half a surrogate pair included."""

    def render(self, content: Any) -> bytes:
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()


def build_app(watcher: Watcher, pool: SearchPool) -> FastAPI:
    """Return the application; `watcher` tells what is served, `pool` runs the searches."""
    app = FastAPI(title=SERVICE, version=ringrift.__version__, redirect_slashes=False)
    metrics = Metrics()
    _add_moves(app, watcher, pool, metrics)
    _add_judgements(app, watcher, pool)
    add_probes(app, watcher, pool, metrics)
    add_refusals(app, metrics)
    app.add_middleware(logs.RequestLog)
    return app


def _add_moves(app: FastAPI, watcher: Watcher, pool: SearchPool, metrics: Metrics) -> None:
    players, games = Players(), Games()

    async def answered(request: Request, answer: Callable[..., dict[str, Any]]) -> JSONResponse:
        arrived = time.monotonic()
        body = await read_body(request)
        call = Call(body, games.follow(watcher.serving.models), games, arrived)
        searching = asyncio.ensure_future(pool.run(functools.partial(answer, call, players)))
        leaving = asyncio.ensure_future(_left(request))
        await asyncio.wait((searching, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not searching.done():
            call.patience.cancel()
            logs.tell(request.scope, left=True)
        leaving.cancel()
        reply = await searching
        if call.fallback is not None:
            metrics.fell_back(*call.fallback)
        metrics.answered(reply["ai_type"], reply["difficulty"], time.monotonic() - arrived)
        logs.tell(request.scope, **call.about, ai_type=reply["ai_type"], difficulty=reply["difficulty"])
        return Answer(reply)

    @app.post("/move", **takes(MoveRequest, MoveReply))
    async def move(request: Request) -> JSONResponse:
        return await answered(request, answer_move)

    @app.post("/ai/move", **takes(AiMoveRequest, AiMoveReply))
    async def ai_move(request: Request) -> JSONResponse:
        return await answered(request, answer_ai_move)


async def _left(request: Request) -> None:
    """Wait until the client has gone; what else it might send of this request is nothing."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _add_judgements(app: FastAPI, watcher: Watcher, pool: SearchPool) -> None:
    players = Players()

    async def judged(request: Request, answer: Callable[..., dict[str, Any]], *more: object) -> JSONResponse:
        body = await read_body(request)
        return await pool.run(functools.partial(_told, answer, body, *more))

    def add_choice(choice: str) -> None:
        @app.post(f"/ai/choice/{choice}", name=choice, **takes(ChoiceRequest, ChoiceReply))
        async def choose(request: Request) -> JSONResponse:
            return await judged(request, functools.partial(answer_choice, choice))

    for choice in CHOICES:
        add_choice(choice)

    @app.post("/ai/evaluate", **takes(EvaluateRequest, Evaluation))
    async def evaluate(request: Request) -> JSONResponse:
        return await judged(request, answer_evaluate)

    @app.post("/ai/evaluate_position", **takes(PositionRequest, PositionReply))
    async def evaluate_position(request: Request) -> JSONResponse:
        return await judged(request, answer_position, watcher.serving.models, players)

    @app.post("/rules/evaluate_move", **takes(RuleRequest, RuleReply))
    async def evaluate_move(request: Request) -> JSONResponse:
        return await judged(request, answer_rules)


def _told(answer: Callable[..., dict[str, Any]], *more: object) -> Answer:
    """Answer and write it down; what could be read may still be too deep to be written again."""
    try:
        return Answer(answer(*more))
    except RecursionError:
        raise Malformed("nested too deeply") from None


async def read_body(request: Request) -> bytes:
    """Read the body; raise `BodyTooLarge` or `BodyTooSlow` beyond the limits, whatever the header says."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BODY:
                    raise BodyTooLarge(f"the body is larger than {MAX_BODY >> 20} MiB")
    except TimeoutError:
        raise BodyTooSlow(f"the body took more than {BODY_SECONDS:g} s") from None
    return bytes(body)
