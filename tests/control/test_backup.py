"""Backups: scheduled, verified, incremental; and restored on a new machine, into either database."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import insert, select, text
from sqlalchemy.engine import URL
from sqlmodel import Session, SQLModel
from sqlmodel import select as query

from ringrift import failpoints
from ringrift.control.app import run_controller
from ringrift.control.backup.make import carry_out
from ringrift.control.backup.manifest import manifests
from ringrift.control.backup.restore import Restored, restore
from ringrift.control.domain.backups import Past, is_due, superfluous, unreferenced
from ringrift.control.objects import Folder
from ringrift.control.policy import packaged_text
from ringrift.control.settings import Settings
from ringrift.control.signing import signing_key
from ringrift.control.store.engine import database_url, open_engines
from ringrift.control.store.events import verify_chain
from ringrift.control.store.tables import Backup, Model, Setting
from ringrift.errors import CorruptData, EnvironmentProblem, NotFound, Refused
from tests.control.buckets import SECRET
from tests.control.conftest import empty
from tests.control.doubles import RecordingFleet, shard
from tests.control.kept import keep
from tests.control.rows import fill
from tests.control.world import World, small_settings

steady = hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A busy machine is no failure."""
OTHER = {"sqlite": "postgres", "postgres": "sqlite"}


@pytest.fixture
def settings() -> Settings:
    return small_settings(backup={"keep": 2})


async def stocked(world: World, artifacts: int = 3) -> list[str]:
    """Give the world artifacts, a row in every table, a setting and keys; return the artifacts' names."""
    await world.agent("alpha")
    names = [await keep(world, shard("games", number)) for number in range(artifacts)]
    (world.home / "config.toml").write_text("[limits]\npass_seconds = 0.5\n")
    (world.home / "gate.toml").write_bytes(packaged_text())
    (world.home / "ssh").mkdir()
    (world.home / "ssh" / "id_ed25519").write_text("private")
    return names


async def backed_up(world: World, place: Path, **body: object) -> dict:
    (world.home / "run").mkdir(exist_ok=True)
    begun = await world.post("/backups", {"place": str(place), **body})
    await world.reconcile("backups")
    flights = world.context.flights._tasks
    for task in list(flights.values()):
        await task
    return await world.get(f"/backups/{begun['id']}")


def rows_of(url: URL) -> dict[str, list]:
    engines = open_engines(url)
    with engines.reader.connect() as connection:
        found = {
            table.name: sorted(map(repr, connection.execute(select(table)).all()))
            for table in SQLModel.metadata.sorted_tables
            if table.name not in ("event", "setting", "backup")
        }
    engines.dispose()
    return found


def target(kind: str, request: pytest.FixtureRequest, home: Path) -> str | None:
    """Return where to restore to: the home's own SQLite, or the Postgres of the tests, emptied."""
    if kind == "sqlite":
        return None
    url: URL = request.getfixturevalue("migrated_postgres")
    empty(url)
    return url.render_as_string(hide_password=False)


@pytest.mark.parametrize("other", [False, True], ids=["same", "other"])
async def test_a_restore_brings_everything_back_into_either_database(
    world: World, tmp_path: Path, request: pytest.FixtureRequest, other: bool
) -> None:
    names = await stocked(world)

    def generic(session: Session) -> None:
        for table in reversed(SQLModel.metadata.sorted_tables):
            if table.name not in ("artifact", "event", "setting"):
                session.connection().execute(table.delete())
        fill_beside(session)

    await world.write(generic)
    done = await backed_up(world, tmp_path / "backups")
    assert done["state"] == "verified" and done["reason"] == "" and done["artifacts"] == len(names)
    before = rows_of(world.url)
    kind = world.store.dialect
    goal = OTHER[kind] if other else kind
    home = tmp_path / "new"
    database = target(goal, request, home)
    back = await restore(str(tmp_path / "backups"), home, database=database)
    assert back.id == done["id"] and back.artifacts == len(names) and not back.keys
    url = database_url(home, database)
    after = rows_of(url)
    assert {name for name in before if before[name] != after[name]} == set()
    engines = open_engines(url)
    with Session(engines.writer) as session:
        assert verify_chain(session).sound
        assert "running" not in {row.state for row in session.exec(query(Backup))}
        session.connection().execute(
            insert(SQLModel.metadata.tables["host_state"]).values(
                host=session.exec(text("SELECT name FROM host")).first()[0], state="new", reason="", at=1.0
            )
        )
    engines.dispose()
    for name in names:
        found = (home / "artifacts" / name[:2] / name).read_bytes()
        assert hashlib.sha256(found).hexdigest() == name
    assert (home / "config.toml").read_text() == "[limits]\npass_seconds = 0.5\n"
    assert (home / "gate.toml").read_bytes() == packaged_text()
    assert not (home / "ssh" / "id_ed25519").exists() and not (home / "restoring").exists()


def fill_beside(session: Session) -> None:
    """Put generic rows into every table, and let each model be the child of a later one."""
    fill(session, SQLModel.metadata)
    models = session.exec(query(Model).order_by(Model.sha256)).all()
    for child, parent in pairwise(models):
        child.parent = parent.sha256
        session.add(child)


async def test_a_second_backup_copies_only_what_is_new_and_old_ones_go(world: World, tmp_path: Path) -> None:
    place = tmp_path / "backups"
    await stocked(world, 2)
    first = await backed_up(world, place)
    stamps = {path: path.stat().st_mtime_ns for path in (place / "artifacts").rglob("*") if path.is_file()}
    await keep(world, shard("newer"))
    second = await backed_up(world, place)
    files = [path for path in (place / "artifacts").rglob("*") if path.is_file()]
    assert len(files) == 3 and all(
        path.stat().st_mtime_ns == stamps.get(path, path.stat().st_mtime_ns) for path in files
    )
    third = await backed_up(world, place)
    kept = [manifest.id for _, manifest in await manifests(Folder(place))]
    assert kept == [second["id"], third["id"]] and first["id"] not in kept
    assert len(list((place / "databases").iterdir())) == 2
    listed = await world.get("/backups")
    assert [item["id"] for item in listed] == [third["id"], second["id"], first["id"]]


async def test_a_backup_that_is_taken_once_more_leaves_the_first_try_whole_until_its_own_end(
    world: World, tmp_path: Path
) -> None:
    """The controller was killed between the manifest and the row's end, and again in the second try."""
    place = tmp_path / "backups"

    async def killed_at(count: int, name: str, moment: str) -> None:
        reached = []

        def watch(*seen: str) -> None:
            reached.append(seen)
            if reached.count((name, moment)) == count:
                raise Killed

        failpoints.watch(watch)
        with pytest.raises(Killed):
            await carry_out(world.context, begun["id"])
        failpoints.watch(None)

    await stocked(world)
    (world.home / "run").mkdir()
    begun = await world.post("/backups", {"place": str(place)})
    await killed_at(1, "backup.verified", "before")
    first = [manifest for _, manifest in await manifests(Folder(place))]
    await world.agent("beta")
    await killed_at(1, "object.publish", "after")
    assert len(list((place / "databases").iterdir())) == 2
    back = await restore(str(place), tmp_path / "new")
    assert (back.id, back.rows) == (begun["id"], first[0].rows)
    await carry_out(world.context, begun["id"])
    second = [manifest for _, manifest in await manifests(Folder(place))]
    assert [manifest.id for manifest in second] == [begun["id"]] and second[0].rows > first[0].rows
    databases = [f"databases/{path.name}" for path in (place / "databases").iterdir()]
    assert databases == [second[0].database.key]
    assert (await restore(str(place), tmp_path / "newer")).rows == second[0].rows


async def test_keys_go_only_when_asked_for_and_stay_private(world: World, tmp_path: Path) -> None:
    await stocked(world)
    signer = signing_key(world.home)
    done = await backed_up(world, tmp_path / "backups", keys=True)
    assert done["state"] == "verified" and done["keys"]
    files = list((tmp_path / "backups").rglob("*"))
    assert all(path.stat().st_mode & 0o077 == 0 for path in files)
    back = await restore(str(tmp_path / "backups"), tmp_path / "new")
    key = tmp_path / "new" / "ssh" / "id_ed25519"
    assert back.keys and key.read_text() == "private" and key.stat().st_mode & 0o777 == 0o600
    assert signing_key(tmp_path / "new").private_bytes_raw() == signer.private_bytes_raw()


async def test_a_bucket_takes_backups_without_keys_and_its_secret_is_nowhere(
    world: World, tmp_path: Path, s3: str
) -> None:
    place = s3.replace("some/prefix", f"backups/{tmp_path.name}")
    await stocked(world)
    refused = await backed_up(world, place, keys=True)  # type: ignore[arg-type]
    assert refused["state"] == "failed" and "keys go to a folder only" in refused["reason"]
    done = await backed_up(world, place)  # type: ignore[arg-type]
    assert done["state"] == "verified" and done["place"] == f"s3://ours/backups/{tmp_path.name}"
    assert (await restore(place, tmp_path / "new")).artifacts == 3
    for path in [*(tmp_path / "new").rglob("*"), *world.home.rglob("*")]:
        assert not path.is_file() or SECRET.encode() not in path.read_bytes()


async def test_an_artifact_that_is_lost_does_not_stop_the_backup_and_is_named(
    world: World, tmp_path: Path
) -> None:
    names = await stocked(world)
    (world.home / "artifacts" / names[0][:2] / names[0]).unlink()
    damaged = world.home / "artifacts" / names[1][:2] / names[1]
    damaged.write_bytes(b"x" * damaged.stat().st_size)
    done = await backed_up(world, tmp_path / "backups")
    assert done["state"] == "verified" and done["artifacts"] == 1
    assert done["reason"].startswith("2 artifacts are lost or damaged")
    assert (await restore(str(tmp_path / "backups"), tmp_path / "new")).artifacts == 1


async def test_a_place_that_cannot_be_written_fails_the_backup_in_one_line(
    world: World, tmp_path: Path
) -> None:
    await stocked(world)
    (tmp_path / "file").write_text("no folder")
    done = await backed_up(world, tmp_path / "file")
    assert done["state"] == "failed" and "cannot use" in done["reason"]
    again = await backed_up(world, tmp_path / "backups")
    assert again["state"] == "verified"


async def test_a_restore_goes_only_into_an_empty_home_and_an_empty_database(
    world: World, tmp_path: Path
) -> None:
    await stocked(world)
    await backed_up(world, tmp_path / "backups")
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "letter").write_text("mine")
    with pytest.raises(Refused, match="is not empty"):
        await restore(str(tmp_path / "backups"), tmp_path / "used")
    assert [path.name for path in (tmp_path / "used").iterdir()] == ["letter"]
    url = world.url.render_as_string(hide_password=False)
    with pytest.raises(Refused, match="the database is not empty"):
        await restore(str(tmp_path / "backups"), tmp_path / "new", database=url)
    with pytest.raises(NotFound, match="no backup"):
        await restore(str(tmp_path / "nowhere"), tmp_path / "other")
    assert not (tmp_path / "other").exists()


PLACES = [
    ("restore.rows", "before"),
    ("restore.rows", "after"),
    ("object.publish", "after"),
    ("restore.finish", "after"),
    ("restore.done", "before"),
]


class Killed(BaseException):
    """The process is gone."""


@pytest.mark.parametrize(("place", "moment"), PLACES)
async def test_a_restore_that_is_killed_anywhere_goes_on(
    tmp_path: Path, taken: Path, place: str, moment: str
) -> None:
    home, left = tmp_path / "new", [2 if place == "object.publish" else 1]

    def watch(name: str, when: failpoints.Moment) -> None:
        if (name, when) == (place, moment):
            left[0] -= 1
            if left[0] == 0:
                raise Killed

    failpoints.watch(watch)
    try:
        with pytest.raises(Killed):
            await restore(str(taken), home)
    finally:
        failpoints.watch(None)
    with pytest.raises(EnvironmentProblem, match="is not restored to the end"):
        await run_controller(home, 0, RecordingFleet())
    back: Restored = await restore(str(taken), home)
    assert back.artifacts == 3 and not (home / "restoring").exists()


@pytest.fixture
async def taken(tmp_path: Path, migrated_sqlite: Path) -> Path:
    """A small backup."""
    (tmp_path / "world").mkdir()
    shutil.copy(migrated_sqlite, tmp_path / "world" / "ringrift.db")
    world = World(database_url(tmp_path / "world", None), tmp_path / "world", small_settings())
    await stocked(world)
    await backed_up(world, tmp_path / "taken")
    await world.close()
    return tmp_path / "taken"


async def test_a_damaged_backup_is_refused_and_its_home_stays_unusable(tmp_path: Path, taken: Path) -> None:
    artifact = next(path for path in (taken / "artifacts").rglob("*") if path.is_file())
    artifact.write_bytes(b"x" * artifact.stat().st_size)
    with pytest.raises(CorruptData, match="is damaged"):
        await restore(str(taken), tmp_path / "one")
    assert (tmp_path / "one" / "restoring").exists()
    database = next((taken / "databases").iterdir())
    database.write_bytes(gzip.compress(b'{"table": "host", "columns": ["name"]}\n["alpha"]\n'))
    with pytest.raises(CorruptData, match="is damaged"):
        await restore(str(taken), tmp_path / "two")
    manifest = next((taken / "manifests").iterdir())
    document = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(document | {"rows": 0}))
    with pytest.raises(CorruptData, match="was changed"):
        await restore(str(taken), tmp_path / "three")


async def test_a_backup_of_a_newer_release_is_refused(tmp_path: Path, taken: Path) -> None:
    old = next((taken / "manifests").iterdir())
    data = json.dumps(json.loads(old.read_text()) | {"revision": "9999"}).encode()
    identity = old.name.partition(".")[0]
    old.with_name(f"{identity}.{hashlib.sha256(data).hexdigest()}.json").write_bytes(data)
    old.unlink()
    with pytest.raises(EnvironmentProblem, match="schema 9999, which is newer"):
        await restore(str(taken), tmp_path / "new")


async def test_the_schedule_begins_a_backup_when_the_last_good_one_is_old(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (world.home / "run").mkdir(exist_ok=True)
    monkeypatch.setenv("RINGRIFT_BACKUP_TO", str(tmp_path / "backups"))
    await world.reconcile("backups")
    await world.restart()
    await world.reconcile("backups")
    for task in list(world.context.flights._tasks.values()):
        await task
    (row,) = await world.get("/backups")
    assert row["state"] == "verified"
    await world.reconcile("backups")
    assert len(await world.get("/backups")) == 1
    await world.write(lambda s: s.execute(text("UPDATE backup SET made_at = made_at - 30000")))
    await world.reconcile("backups")
    assert len(await world.get("/backups")) == 2
    assert (await world.read(lambda s: s.get(Setting, "audit.head"))) is not None


def test_a_backup_is_due_when_the_good_one_is_old_and_the_last_try_is_over() -> None:
    assert is_due([], 100, 10)
    assert not is_due([], 0, 10)
    assert not is_due([Past(500, "running")], 100, 10)
    assert not is_due([Past(99, "verified")], 100, 10)
    assert is_due([Past(100, "verified")], 100, 10)
    assert not is_due([Past(5, "failed"), Past(500, "verified")], 100, 10)
    assert is_due([Past(10, "failed"), Past(500, "verified")], 100, 10)


@steady
@given(
    st.lists(st.sets(st.sampled_from("abcdef")), min_size=1, max_size=6),
    st.integers(1, 6),
    st.sets(st.sampled_from("abcdefgh")),
)
def test_what_a_kept_backup_names_is_never_removed(
    named: list[set[str]], keep: int, stored: set[str]
) -> None:
    names = [str(number) for number in range(len(named))]
    gone = set(superfluous(names, keep))
    assert len(gone) == max(0, len(names) - keep)
    kept = [dict.fromkeys(each, 1) for name, each in zip(names, named, strict=True) if name not in gone]
    removed = unreferenced(stored, kept)
    assert not set(removed) & {sha for each in kept for sha in each}
    assert set(removed) | {sha for each in kept for sha in each} >= stored
