"""What comes together is answered and stored as if each had come alone."""

from __future__ import annotations

import random
from typing import Any

import pytest
from sqlmodel import Session, col, select

from ringrift.control.bench.seed import result_of, seed
from ringrift.control.settings import AgentSettings
from ringrift.control.store.beats import take_beats
from ringrift.control.store.receipts import accept_results
from ringrift.control.store.store import Store
from ringrift.control.store.tables import Agent, Assignment, Event, Game, Host, Job, Result, Shard
from ringrift.errors import RingRiftError
from ringrift.protocol.agent import BeatRequest, Progress, ResultRequest, Telemetry

SETTINGS = AgentSettings()
AGENTS, UNITS = 4, 12


class Undone(Exception):
    """Carries what was seen out of a unit of work that leaves nothing."""


def rows(session: Session, *columns: Any) -> list[Any]:
    session.expire_all()
    return sorted(map(repr, session.execute(select(*columns)).all()))


def stored(session: Session) -> list[Any]:
    """Everything that reports change, without times and numbers given in passing."""
    session.flush()
    events = session.execute(
        select(Event.actor, Event.action, Event.subject, Event.detail).order_by(col(Event.id))
    )
    return [
        rows(session, Result.job, Result.sequence, Result.agent, Result.games_named, Result.games_repeated),
        rows(session, Shard.sha256, Shard.job, Shard.sequence, Shard.games, Shard.positions, Shard.purpose),
        rows(session, Game.game_id, Game.shard, Game.winner, Game.plies),
        rows(
            session, Assignment.id, Assignment.state, Assignment.done, Assignment.unit, Assignment.incarnation
        ),
        rows(session, Agent.id, Agent.version, Agent.spooled, Agent.incarnation, Agent.telemetry),
        rows(session, Host.name, Host.restarts, Host.restarted_at),
        rows(session, Job.id, Job.state, Job.epoch, Job.attempts),
        [repr(tuple(row)) for row in events],
    ]


def said(outcome: Any) -> str:
    return outcome.line() if isinstance(outcome, RingRiftError) else repr(outcome)


async def tried(store: Store, work: Any) -> tuple[list[str], list[Any]]:
    """Return what `work` answers and leaves behind, and leave nothing."""

    def unit(session: Session) -> None:
        outcomes = [said(outcome) for outcome in work(session)]
        raise Undone(outcomes, stored(session))

    with pytest.raises(Undone) as caught:
        await store.write("test", unit)
    return caught.value.args  # type: ignore[return-value]


def some_results(rng: random.Random) -> list[ResultRequest]:
    """Results of all sorts: good, twice, of others, superseded, impossible, with files that are not there."""
    made: list[ResultRequest] = []
    for _ in range(30):
        number, sequence = rng.choice((0, 0, 0, 1)), rng.randrange(UNITS)
        request = ResultRequest.model_validate_json(result_of(number, sequence))
        change = rng.choice(
            ({}, {}, {}, {}, {"epoch": 2}, {"sequence": 10_000}, {"artifacts": []}, "game", "text")
        )
        if change == "game":
            other = ResultRequest.model_validate_json(result_of(0, rng.randrange(UNITS)))
            change = {"payload": {**request.payload, "games": other.payload["games"]}}
        elif change == "text":
            change = {"assignment": rng.choice(("try_2", "try_none"))}
        made.append(request.model_copy(update=change))
    return made


@pytest.mark.parametrize("number", range(3))
async def test_results_in_one_request_count_as_single_ones(store: Store, number: int) -> None:
    await seed(store, AGENTS, UNITS, 2)
    requests = some_results(random.Random(number))
    together = await tried(store, lambda s: accept_results(s, "agent_0", requests, SETTINGS))
    alone = await tried(
        store, lambda s: [accept_results(s, "agent_0", [request], SETTINGS)[0] for request in requests]
    )
    assert together == alone
    assert any("accepted=True" in line for line in together[0]) and len(set(together[0])) > 3


def some_beats(rng: random.Random) -> list[tuple[str, BeatRequest]]:
    made: list[tuple[str, BeatRequest]] = []
    for number in range(20):
        agent = rng.randrange(AGENTS + 1)
        named = [
            Progress(assignment=f"try_{rng.randrange(AGENTS)}", epoch=rng.choice((1, 1, 1, 2)), done=number)
        ]
        own = [Progress(assignment=f"try_{agent}", epoch=1, done=number, unit="games")]
        request = BeatRequest(
            version=str(number),
            release="r",
            incarnation=rng.choice(("start", "start", "start", "anew")),
            telemetry=Telemetry(cpus=number),
            running=rng.choice((own, own, named, own + named, [])),
            spooled=number,
        )
        made.append((f"agent_{agent}", request))
    return made


@pytest.mark.parametrize("number", range(3))
async def test_heartbeats_of_one_window_count_as_single_ones(store: Store, number: int) -> None:
    await seed(store, AGENTS, 1, 1)

    def troubled(session: Session) -> None:
        host = session.get(Host, "host-1")
        assert host is not None
        host.restarts, host.restarted_at, host.state = 2, 1.0, "draining"
        session.add(host)

    await store.write("test", troubled)
    beats = some_beats(random.Random(number))
    together = await tried(store, lambda s: take_beats(s, beats, SETTINGS))
    alone = await tried(store, lambda s: [take_beats(s, [one], SETTINGS)[0] for one in beats])
    assert together == alone
    assert any("alive=True" in line for line in together[0]) and any(
        "unknown agent" in line for line in together[0]
    )
