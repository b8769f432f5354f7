"""Places for files: a folder, and a bucket over three kinds of store, one of them a real S3 service."""

from __future__ import annotations

import hashlib
from pathlib import Path

import httpx
import pytest
from obstore.store import LocalStore, MemoryStore

from ringrift.control.artifacts import ArtifactStore, open_artifacts
from ringrift.control.bucket import Bucket
from ringrift.control.objects import Folder, Objects, digest_of, open_objects
from ringrift.control.settings import LimitSettings
from ringrift.errors import BadInput, CorruptData, NotFound, Unreachable
from tests.control.buckets import SECRET
from tests.control.doubles import shard


@pytest.fixture(params=["folder", "memory", "local", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Objects:
    if request.param == "folder":
        return Folder(tmp_path / "folder")
    if request.param == "memory":
        return Bucket(MemoryStore(), "memory")
    if request.param == "local":
        return Bucket(LocalStore(tmp_path / "local", mkdir=True), "local")
    address: str = request.getfixturevalue("s3")
    return open_objects(address.replace("some/prefix", f"some/prefix/{tmp_path.name}"))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(bytes(range(256)) * 9000)
    return path


async def keys(place: Objects, prefix: str = "") -> set[str]:
    return {entry.key async for entry in place.list(prefix)}


async def test_what_is_put_is_read_listed_and_deleted(place: Objects, source: Path) -> None:
    data = source.read_bytes()
    before = await keys(place)
    await place.put("aa/one", source)
    await place.put("bb/two", source)
    assert await place.size("aa/one") == len(data) and await place.size("aa/none") is None
    assert await digest_of(place, "aa/one") == (hashlib.sha256(data).hexdigest(), len(data))
    assert await keys(place) - before == {"aa/one", "bb/two"} and await keys(place, "bb") == {"bb/two"}
    assert [(entry.size, 0 <= entry.age < 60) async for entry in place.list("aa")] == [(len(data), True)]
    source.write_bytes(b"newer")
    await place.put("aa/one", source, move=True)
    assert b"".join([chunk async for chunk in place.read("aa/one")]) == b"newer"
    for _ in range(2):
        await place.delete("aa/one")
        await place.delete("bb/two")
    assert await keys(place) == before
    with pytest.raises(NotFound):
        await digest_of(place, "aa/one")


@pytest.mark.parametrize("key", ["../up", "/etc/passwd", "a//b", "", "a/.hidden", "a b", "a\n"])
async def test_a_key_never_leads_out_of_the_place(place: Objects, source: Path, key: str) -> None:
    with pytest.raises(BadInput):
        await place.put(key, source)
    with pytest.raises(BadInput):
        await place.size(key)


async def test_the_artifact_store_is_the_same_over_every_place(place: Objects, tmp_path: Path) -> None:
    artifacts = ArtifactStore(tmp_path / "work", max_bytes=1 << 30, free_bytes=0, objects=place)
    if isinstance(place, Folder):
        artifacts = ArtifactStore(place.root, max_bytes=1 << 30, free_bytes=0)
    artifacts.prepare()
    content = shard("games " * 9000)
    name = hashlib.sha256(content).hexdigest()
    await artifacts.append(name, "agent_1", 0, content[:100])
    await artifacts.append(name, "agent_1", 100, content[100:])
    assert await artifacts.finish(name, "agent_1") == len(content)
    assert artifacts.received(name, "agent_1") == 0
    for _ in range(2):
        assert (await artifacts.existing(name)).read_bytes() == content
    assert {found[0] async for found in artifacts.stored()} == {name}
    await artifacts.delete(name)
    with pytest.raises(NotFound):
        await artifacts.existing(name)
    assert [found async for found in artifacts.stored()] == []


async def test_a_file_that_was_damaged_in_the_bucket_is_not_handed_out(tmp_path: Path) -> None:
    place = Bucket(MemoryStore(), "memory")
    artifacts = ArtifactStore(tmp_path, max_bytes=1 << 30, free_bytes=0, objects=place)
    artifacts.prepare()
    (tmp_path / "other").write_bytes(b"other")
    name = hashlib.sha256(b"what was meant").hexdigest()
    await place.put(f"{name[:2]}/{name}", tmp_path / "other")
    with pytest.raises(CorruptData, match="is damaged in memory"):
        await artifacts.existing(name)
    assert list((tmp_path / "cache").iterdir()) == []


async def test_a_presigned_address_takes_and_gives_one_file_without_showing_the_secret(s3: str) -> None:
    place = open_objects(s3)
    put, get = [await place.sign(method, "staged/one", 60) for method in ("PUT", "GET")]
    assert put and get and "some/prefix/staged/one" in put and SECRET not in put + get
    async with httpx.AsyncClient(trust_env=False) as http:
        assert (await http.put(put, content=b"bytes")).is_success
        assert (await http.get(get)).content == b"bytes"
    await place.delete("staged/one")
    assert await Folder(Path("/nowhere")).sign("GET", "one", 60) is None


async def test_a_bucket_that_does_not_answer_is_one_line_without_secrets(s3: str) -> None:
    unknown = open_objects(s3.replace("s3://ours", "s3://absent"))
    with pytest.raises((Unreachable, NotFound)) as failed:
        _ = [entry async for entry in unknown.list("")]
    assert "s3://absent/some/prefix" in failed.value.line()
    assert SECRET not in failed.value.line() and "planted-id" not in failed.value.line()


@pytest.mark.parametrize(
    "place",
    ["s3://", "s3://key:secret@bucket", "s3://bucket?secret=x", "ftp://host/folder", "file://relative"],
)
def test_a_place_that_cannot_be_is_refused(place: str) -> None:
    with pytest.raises(BadInput) as refused:
        open_objects(place)
    assert "secret@" not in refused.value.line()


def test_artifacts_are_in_the_home_or_where_the_environment_says(tmp_path: Path) -> None:
    limits = LimitSettings()
    assert open_artifacts(tmp_path, None, limits).folder == tmp_path / "artifacts"
    shared = open_artifacts(tmp_path, "file:///srv/shared", limits)
    assert shared.folder == Path("/srv/shared") and shared.objects.name == "/srv/shared"
    bucket = open_artifacts(tmp_path, "s3://bucket/prefix?region=eu-1", limits)
    assert bucket.folder == tmp_path / "artifacts" and bucket.objects.name == "s3://bucket/prefix"
