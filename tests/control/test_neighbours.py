"""Controller and agents of neighbouring versions work together (P12)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy import text
from sqlmodel import select

from agents.spool import Spool
from ringrift.control.store import fleet, migrate
from ringrift.control.store.jobs import queue_job
from ringrift.control.store.tables import Assignment, Job, Result
from ringrift.protocol import agent as wire
from ringrift.protocol import sessions
from ringrift.protocol.jobs import PlayerSpec, RepeatSpec, SelfplaySpec
from ringrift.protocol.types import Reply
from tests.control.doubles import ScriptedAgent, sha
from tests.control.world import CONFIG, World

SPEC = SelfplaySpec(config=CONFIG, player=PlayerSpec(kind="random"), shards=2, games_per_shard=4, seed=7)
BEFORE = {
    wire.ENROL: {"token", "host", "public_key"},
    wire.BEAT: {"version", "release", "incarnation", "telemetry", "running", "spooled"},
    wire.LEASE: {"kinds"},
    wire.RESULTS: {"assignment", "epoch", "sequence", "payload", "artifacts"},
    wire.FINISH: {"assignment", "epoch", "outcome", "exit_code", "reason", "log_tail"},
}
"""What an agent of the version before the fleet tells, by path."""
WHOLE = ("payload", "spec")
"""Are read strictly: what they say about games must not be half understood."""


def of_tomorrow(document: Any) -> Any:
    """Give every object of a message a field that nobody knows yet."""
    if isinstance(document, list):
        return [of_tomorrow(item) for item in document]
    if not isinstance(document, dict):
        return document
    known = {name: item if name in WHOLE else of_tomorrow(item) for name, item in document.items()}
    return known | {"of_tomorrow": {"deep": [1]}}


def of_yesterday(path: str, document: dict[str, Any]) -> dict[str, Any]:
    """Leave out every field that the version before did not know."""
    return {name: item for name, item in document.items() if name in BEFORE[path]}


class Neighbour(ScriptedAgent):
    """An agent of the version `of`, whose requests are signed one by one."""

    def __init__(self, world: World, of: str) -> None:
        super().__init__(world.agents_app, "alpha")
        self.of = of

    def changed(self, path: str, document: dict[str, Any]) -> dict[str, Any]:
        return of_tomorrow(document) if self.of == "tomorrow" else of_yesterday(path, document)

    async def post(self, path: str, body: bytes) -> Any:
        return await super().post(path, json.dumps(self.changed(path, json.loads(body))).encode())

    def works_for(self, assignment: wire.Assignment | None) -> None:
        if self.of == "tomorrow":
            super().works_for(assignment)

    async def join(self, world: World) -> None:
        """Enrol on the host `alpha` and beat."""
        await world.agent("alpha")
        token = await world.write(lambda s: fleet.mint_token(s, "alpha", 900.0))
        wish = {"token": token, "host": "alpha", "public_key": self.public_key}
        answer = await self.http.post(wire.ENROL, json=self.changed(wire.ENROL, wish))
        assert answer.status_code == 200, answer.text
        self.id = answer.json()["agent"]
        assert not (await self.beat()).stop


async def finished(world: World, agent: ScriptedAgent) -> bool:
    """Tell whether one job went from the queue to its end through this agent, with all of its results."""
    job = (await world.write(lambda s: queue_job(s, SPEC, "selfplay:test"))).id
    reply = await agent.lease("selfplay", "ingest", "train", "evaluate")
    assert reply.assignment is not None, reply.reason
    running = wire.Progress(assignment=reply.assignment.assignment, epoch=reply.assignment.epoch, done=1.0)
    assert [item.alive for item in (await agent.beat(running)).standing] == [True]
    await agent.do_job(reply.assignment, world.work)
    count = len(await world.read(lambda s: s.exec(select(Result)).all()))
    return (await world.read(lambda s: s.get(Job, job).state), count) == ("succeeded", 2)


@pytest.mark.parametrize("of", ["yesterday", "tomorrow"])
async def test_an_agent_of_the_version_before_or_after_works(world: World, of: str) -> None:
    agent = Neighbour(world, of)
    await agent.join(world)
    assert await finished(world, agent)


async def test_an_agent_gets_no_kind_of_job_that_it_does_not_name(world: World) -> None:
    agent = Neighbour(world, "yesterday")
    await agent.join(world)
    repeat = RepeatSpec(config=CONFIG, origin=SPEC, sequence=0, shard=sha("shard"))
    await world.write(lambda s: queue_job(s, repeat, "repeat:test"))
    assert (await agent.lease("selfplay")).assignment is None
    assert (await agent.lease("selfplay", "of_tomorrow", "repeat")).assignment is not None


async def test_work_that_ran_while_the_database_was_migrated_is_delivered(world: World) -> None:
    agent = Neighbour(world, "yesterday")
    await agent.join(world)
    await world.write(lambda s: queue_job(s, SPEC, "selfplay:test"))
    assignment = (await agent.lease("selfplay")).assignment
    assert assignment is not None
    migrate.downgrade(world.store.engines.writer, "0001")
    with pytest.raises(Exception, match="credential"):
        await world.read(lambda s: s.execute(text("SELECT credential FROM assignment")))
    migrate.upgrade(world.store.engines.writer)
    await world.restart()
    agent.http = ScriptedAgent(world.agents_app, "alpha").http
    await agent.do_job(assignment, world.work)
    rows = await world.read(lambda s: s.exec(select(Assignment)).all())
    assert [(row.state, row.credential) for row in rows] == [("succeeded", "")]


def messages(base: type[BaseModel]) -> list[type[BaseModel]]:
    found = {**vars(wire), **vars(sessions)}.values()
    return [item for item in found if isinstance(item, type) and issubclass(item, base) and item is not base]


def test_every_message_between_agent_and_controller_may_grow() -> None:
    requests, replies = messages(wire.Report), messages(Reply)
    assert len(requests) >= 8 and len(replies) >= 8
    assert set(messages(BaseModel)) - {wire.Report, Reply} == {*requests, *replies}
    for message in (*requests, *replies):
        assert message.model_config["extra"] == "ignore", message.__name__


def test_an_agent_takes_up_what_its_predecessor_of_another_version_left(tmp_path: Path) -> None:
    known = {
        "assignment": "try_1",
        "job": "job_1",
        "epoch": 3,
        "spec": SPEC.model_dump(mode="json"),
        "done": [0],
        "lease_seconds": 120.0,
        "deadline_seconds": 3600.0,
    }
    for number, document in enumerate((known, of_tomorrow(known))):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "assignment.json").write_text(json.dumps(document))
        taken = Spool.load(folder).assignment
        assert (taken.epoch, taken.done, taken.credential) == (3, [0], "")
