"""What agents ask and tell about work: one function for each path, of the agent and the request's body."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from pydantic import BaseModel

from ringrift.control.api.beating import BeatWindow
from ringrift.control.api.signatures import parse
from ringrift.control.domain.leases import idle_pause
from ringrift.control.reconcile.context import Context
from ringrift.control.store import leasing
from ringrift.control.store.receipts import accept_result, accept_results
from ringrift.errors import RingRiftError
from ringrift.protocol import sessions as wire
from ringrift.protocol.agent import (
    BEAT,
    FINISH,
    LEASE,
    RESULTS,
    BeatReply,
    BeatRequest,
    FinishReply,
    FinishRequest,
    LeaseReply,
    LeaseRequest,
    ResultReply,
    ResultRequest,
)

Answer = Callable[[str, bytes], Awaitable[BaseModel]]


def answers(context: Context, window: BeatWindow) -> dict[str, Answer]:
    """Return the function that answers a signed POST, by path."""

    async def beat(agent: str, body: bytes) -> BeatReply:
        return await window.take(agent, parse(BeatRequest, body))

    async def lease(agent: str, body: bytes) -> LeaseReply:
        wish = parse(LeaseRequest, body)
        reply = await context.store.write(
            "agent.lease", lambda s: leasing.lease(s, agent, wish, context.settings)
        )
        if reply.assignment is None:
            pause = idle_pause(reply.retry_seconds, len(context.sessions))
            return reply.model_copy(update={"retry_seconds": pause})
        context.wake()
        return reply

    async def result(agent: str, body: bytes) -> ResultReply:
        wish = parse(ResultRequest, body)
        reply = await context.store.write(
            "agent.result", lambda s: accept_result(s, agent, wish, context.settings.agents)
        )
        context.wake()
        return reply

    async def results(agent: str, body: bytes) -> wire.ResultAnswers:
        wish = parse(wire.ResultBatch, body)
        replies = await context.store.write(
            "agent.results", lambda s: accept_results(s, agent, wish.results, context.settings.agents)
        )
        context.wake()
        return wire.ResultAnswers(answers=[_answer(reply) for reply in replies])

    async def finish(agent: str, body: bytes) -> FinishReply:
        wish = parse(FinishRequest, body)
        reply = await context.store.write(
            "agent.finish", lambda s: leasing.finish(s, agent, wish, context.settings.agents)
        )
        context.wake()
        return reply

    return {BEAT: beat, LEASE: lease, RESULTS: result, wire.RESULTS_BATCH: results, FINISH: finish}


def _answer(reply: ResultReply | RingRiftError) -> wire.ResultAnswer:
    if isinstance(reply, RingRiftError):
        return wire.ResultAnswer(code=reply.code, message=reply.message)
    return wire.ResultAnswer(reply=reply)
