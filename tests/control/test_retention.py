"""Retention: nothing that anything references is ever removed; what is removed can come back."""

from __future__ import annotations

import os
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlmodel import Session, select

from ringrift import failpoints
from ringrift.control.domain.retention import Graph, Stored, judge, reasons
from ringrift.control.reconcile import retention
from ringrift.control.settings import Settings
from ringrift.control.store.jobs import queue_job
from ringrift.control.store.retention import reference_graph
from ringrift.control.store.tables import Artifact, Backup, Model, Setting, Shard
from ringrift.errors import Unreachable
from ringrift.protocol.jobs import IngestSpec
from tests.control.doubles import shard
from tests.control.kept import keep
from tests.control.world import CONFIG, World, small_settings

steady = hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A busy machine is no failure."""
NAMES = "abcdefgh"
graphs = st.builds(
    Graph,
    roots=st.dictionaries(st.sampled_from(NAMES), st.just("kept"), max_size=3),
    needs=st.dictionaries(st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), max_size=4), max_size=8),
)
stored = st.lists(
    st.builds(Stored, st.sampled_from(NAMES), st.integers(0, 9), st.floats(0, 100)),
    unique_by=lambda item: item.sha256,
)


def reachable(graph: Graph, name: str) -> bool:
    """The definition, by paths: some root leads to the name."""
    front = set(graph.roots)
    for _ in NAMES:
        front |= {needed for each in front for needed in graph.needs.get(each, ())}
    return name in front


@steady
@given(graphs, stored, st.floats(0, 100))
def test_exactly_what_is_unreachable_and_old_goes(
    graph: Graph, artifacts: list[Stored], min_age: float
) -> None:
    for item in judge(artifacts, graph, min_age):
        goes = not reachable(graph, item.artifact.sha256) and item.artifact.age >= min_age
        assert item.keep is not goes and item.why
    assert set(reasons(graph)) == {name for name in NAMES if reachable(graph, name)}


@steady
@given(graphs, stored, st.sampled_from(NAMES), st.sampled_from(NAMES))
def test_one_more_reference_never_removes_more(
    graph: Graph, artifacts: list[Stored], name: str, needed: str
) -> None:
    more = Graph(graph.roots, {**graph.needs, name: [*graph.needs.get(name, ()), needed]})
    before = {item.artifact.sha256 for item in judge(artifacts, graph, 0) if item.keep}
    assert before <= {item.artifact.sha256 for item in judge(artifacts, more, 0) if item.keep}


@pytest.fixture
def settings() -> Settings:
    return small_settings(
        retention={"min_age_hours": 1.0, "predecessors": 1},
        training={"min_positions": 300, "window_positions": 400},
        selfplay={"games_per_shard": 4, "shards_per_job": 2},
    )


async def aged(world: World) -> None:
    await world.write(lambda s: s.execute(text("UPDATE artifact SET stored_at = stored_at - 7200")))


async def upload(world: World, *words: object) -> str:
    return await keep(world, shard(*words))


def file_of(world: World, name: str) -> Any:
    return world.home / "artifacts" / name[:2] / name


async def deleted(world: World) -> set[str]:
    rows = await world.read(lambda s: s.exec(select(Artifact)).all())
    return {row.sha256 for row in rows if row.deleted_at is not None}


async def test_an_orphan_goes_when_it_is_old_and_the_dry_run_says_so_before(world: World) -> None:
    name = await upload(world, "orphan")
    young = await world.get("/retention")
    assert young["deleted"] == 0 and young["reasons"] == {"younger than 1 h": 1}
    await aged(world)
    plan = await world.get("/retention")
    assert [item["sha256"] for item in plan["items"]] == [name]
    assert plan["items"][0]["why"] == "nothing references it"
    assert file_of(world, name).exists() and await deleted(world) == set()
    await retention.run(world.context)
    assert not file_of(world, name).exists() and await deleted(world) == {name}
    events = [event for event in await world.get("/events") if event["action"] == "artifact.deleted"]
    assert [event["subject"] for event in events] == [name]
    answer = await world.http.get(f"/v1/artifacts/{name}")
    assert answer.status_code == 404 and "removed by retention" in answer.json()["error"]["message"]
    assert await upload(world, "orphan") == name
    assert file_of(world, name).exists() and await deleted(world) == set()


async def test_a_job_a_backup_and_the_pipelines_own_references_keep_their_files(world: World) -> None:
    name = await upload(world, "wanted")
    await aged(world)
    spec = IngestSpec(config=CONFIG, shard=name)
    await world.write(lambda s: queue_job(s, spec, "ingest:wanted"))
    await retention.run(world.context)
    assert await deleted(world) == set()
    await world.write(lambda s: s.execute(text("UPDATE job SET state = 'succeeded'")))

    def copying(session: Session) -> None:
        session.add(Backup(id="backup_1", place="p", state="running", made_at=1.0))

    await world.write(copying)
    await retention.run(world.context)
    assert await deleted(world) == set()
    await world.write(lambda s: s.execute(text("UPDATE backup SET state = 'verified'")))
    await retention.run(world.context)
    assert await deleted(world) == {name}


async def test_after_two_generations_everything_that_is_needed_is_there(world: World) -> None:
    """The whole pipeline runs, with retention after every step that could hurt it."""
    agents = [await world.agent("alpha"), await world.agent("beta")]
    await world.enable()

    async def candidate() -> bool:
        await aged(world)
        await retention.run(world.context)
        return any(model["state"] == "candidate" for model in await world.get("/models"))

    await world.run_until(agents, candidate)
    graph = await world.read(lambda s: reference_graph(s, world.settings))
    kept = set(reasons(graph))

    def needed(session: Session) -> set[str]:
        models = session.exec(select(Model)).all()
        waiting = session.exec(select(Shard.sha256).where(Shard.state == "received")).all()
        return {model.sha256 for model in models} | {model.dataset for model in models} | set(waiting)

    assert await world.read(needed) <= kept
    stored = await world.read(lambda s: set(s.exec(select(Artifact.sha256)).all()))
    gone = await deleted(world)
    assert all(file_of(world, name).exists() for name in kept & stored)
    assert not gone & kept and all(not file_of(world, name).exists() for name in gone)


class Killed(BaseException):
    """The process is gone."""


@pytest.mark.parametrize(
    "place", ["artifact.delete:before", "artifact.delete:after", "object.delete:before", "removal.end:before"]
)
async def test_a_kill_in_between_loses_nothing_and_the_next_pass_ends_it(world: World, place: str) -> None:
    names = {await upload(world, "orphan", number) for number in range(2)}
    await aged(world)
    wanted, _, moment = place.partition(":")

    def watch(name: str, when: failpoints.Moment) -> None:
        if (name, when) == (wanted, moment):
            failpoints.watch(None)
            raise Killed

    failpoints.watch(watch)
    with pytest.raises(Killed):
        await retention.run(world.context)
    await world.restart()
    await retention.run(world.context)
    assert await deleted(world) == names
    assert not any(file_of(world, name).exists() for name in names)


async def test_an_upload_waits_while_the_same_file_is_being_removed(world: World) -> None:
    name = await upload(world, "orphan")
    await aged(world)

    def half(session: Session) -> None:
        row = session.get(Artifact, name)
        assert row is not None
        row.deleted_at = 1.0
        session.add(row)
        session.add(Setting(key="retention.removal", value={"until": 1e12, "artifacts": [name]}))

    await world.write(half)
    with pytest.raises(Unreachable, match="is being removed"):
        await upload(world, "orphan")
    await retention.run(world.context)
    assert await upload(world, "orphan") == name
    await retention.run(world.context)
    assert file_of(world, name).exists() and await deleted(world) == set()


async def test_leftovers_old_wheels_and_refused_files_go_in_their_time(world: World) -> None:
    folder = world.home / "artifacts"
    for part in ("incoming", "cache", "quarantine"):
        for age, name in ((0, "fresh"), (60 * 86_400, "old")):
            (folder / part / name).write_bytes(b"x")
            os.utime(folder / part / name, (time.time() - age,) * 2)
    for number in range(6):
        wheel = world.home / "releases" / f"{number:012x}"
        wheel.mkdir(parents=True)
        (wheel / "ringrift.whl").write_bytes(b"x")
        os.utime(wheel, (number, number))
    (world.home / "releases" / "stamps.json").write_text("{}")
    await world.agent("alpha")
    await world.write(lambda s: s.execute(text("UPDATE host SET release = '000000000001'")))
    await retention.run(world.context)
    for part in ("incoming", "cache", "quarantine"):
        assert [path.name for path in (folder / part).iterdir()] == ["fresh"]
    left = {path.name for path in (world.home / "releases").iterdir()}
    assert left == {f"{number:012x}" for number in (1, 3, 4, 5)} | {"stamps.json"}
