"""Uploads in chunks: taken up again, checked at the end, set aside when wrong."""

from __future__ import annotations

import hashlib

import httpx
import pytest

from ringrift.control.objects import open_objects
from ringrift.control.store.artifacts import mark_deleted
from ringrift.control.store.tables import Artifact
from ringrift.protocol import agent as wire
from tests.control.doubles import ScriptedAgent, checkpoint, shard
from tests.control.world import World


def name_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


async def holder(world: World, host: str, content: bytes = b"") -> ScriptedAgent:
    """Return an agent whose assignment needs this file."""
    agent = await world.agent(host)
    await world.holds(agent, name_of(content))
    return agent


async def put(
    agent: ScriptedAgent,
    name: str,
    offset: int,
    chunk: bytes,
    last: bool = False,
    signed: bytes | None = None,
) -> httpx.Response:
    digest = name_of(chunk if signed is None else signed)
    path = f"{wire.ARTIFACTS}/{name}?offset={offset}{'&last=1' if last else ''}"
    headers = agent.signed(wire.streaming_signing_text("PUT", path, digest)) | {wire.CHUNK_HEADER: digest}
    return await agent.http.put(path, content=chunk, headers=headers | agent.shown)


async def received(agent: ScriptedAgent, name: str) -> int:
    path = f"{wire.ARTIFACTS}/{name}/partial"
    answer = await agent.http.get(path, headers=agent.signed(wire.signing_text("GET", path, b"")))
    return answer.json()["received"]


@pytest.mark.parametrize("content", [shard("x" * 5000), checkpoint("y" * 5000)])
async def test_an_upload_goes_on_where_it_was_cut_also_after_a_restart(world: World, content: bytes) -> None:
    alpha, name = await holder(world, "alpha", content), name_of(content)
    assert await received(alpha, name) == 0
    assert (await put(alpha, name, 0, content[:2000])).json() == {"received": 2000}
    await world.restart()
    assert await received(alpha, name) == 2000
    again = await put(alpha, name, 1500, content[1500:3000])
    assert again.json() == {"received": 3000}, "what is here already changes nothing"
    gap = await put(alpha, name, 4000, content[4000:])
    assert gap.status_code == 409 and "go on at 3000" in gap.json()["error"]["hint"]
    done = await put(alpha, name, 3000, content[3000:], last=True)
    assert done.json() == {"sha256": name, "size": len(content)}
    assert (await alpha.download(name)).content == content
    assert await received(alpha, name) == len(content)
    assert (await put(alpha, name, len(content), b"", last=True)).json() == done.json()


async def test_agents_do_not_meet_in_one_unfinished_upload(world: World) -> None:
    alpha, beta = await holder(world, "alpha"), await holder(world, "beta")
    content = shard("one")
    await put(alpha, name_of(content), 0, b"rubbish")
    assert await received(beta, name_of(content)) == 0
    assert (await put(beta, name_of(content), 0, content, last=True)).status_code == 200


async def test_a_chunk_that_was_not_signed_is_refused(world: World) -> None:
    content = shard("one")
    alpha = await holder(world, "alpha", content)
    other = await put(alpha, name_of(content), 0, content, signed=b"other bytes")
    assert other.status_code == 422 and "other bytes than were signed" in other.json()["error"]["message"]
    path = f"{wire.ARTIFACTS}/{name_of(content)}?offset=0"
    headers = {wire.CHUNK_HEADER: name_of(content), wire.AGENT_HEADER: alpha.id}
    assert (await alpha.http.put(path, content=content, headers=headers)).status_code == 401
    assert await received(alpha, name_of(content)) == 0


async def test_a_chunk_may_hold_8_mib(world: World) -> None:
    alpha = await holder(world, "alpha")
    answer = await put(alpha, name_of(b""), 0, bytes(wire.CHUNK_BYTES + 1))
    assert answer.status_code == 422 and "larger than 8388608 bytes" in answer.json()["error"]["message"]


BROKEN = {
    "cut off": shard("words")[:-1],
    "goes on": shard("words") + b"more",
    "damaged": shard("words").replace(b"words", b"wards"),
    "no games": shard("words")[:8] + shard("words")[-14:],
    "neither": b"some other file",
    "empty": b"",
    "the checkpoint is cut off": checkpoint("weights")[:-10],
    "has no content": checkpoint("weights").replace(b"data.pkl", b"date.pkl"),
}


@pytest.mark.parametrize("why", BROKEN)
async def test_a_file_of_broken_structure_is_set_aside_with_its_reason(world: World, why: str) -> None:
    content = BROKEN[why]
    alpha = await holder(world, "alpha", content)
    refused = await put(alpha, name_of(content), 0, content, last=True)
    assert refused.status_code == 422 and refused.json()["error"]["code"] == "corrupt_data"
    reason = refused.json()["error"]["message"]
    assert why in reason or why == "empty"
    files = list((world.home / "artifacts" / "quarantine").iterdir())
    assert [file.read_bytes() for file in files] == [content]
    events = [event for event in await world.get("/events") if event["action"] == "artifact.quarantined"]
    assert [event["detail"]["reason"] for event in events] == [reason] and events[0]["actor"] == alpha.id
    assert await received(alpha, name_of(content)) == 0, "the next try begins anew"
    assert (await alpha.download(name_of(content))).status_code == 404


async def test_other_bytes_than_named_are_set_aside(world: World) -> None:
    content = shard("one")
    alpha = await holder(world, "alpha", content)
    refused = await put(alpha, name_of(b"another"), 0, content, last=True)
    assert f"it arrived as {name_of(content)[:12]}" in refused.json()["error"]["message"]


async def test_a_removed_artifact_says_so_and_comes_back_when_it_is_sent_again(world: World) -> None:
    content = shard("one")
    alpha = await holder(world, "alpha", content)
    name = name_of(content)
    await put(alpha, name, 0, content, last=True)
    await world.write(lambda s: mark_deleted(s, name, "nothing references it"))
    gone = await alpha.download(name)
    assert gone.status_code == 404 and "was removed by retention" in gone.json()["error"]["message"]
    assert await received(alpha, name) == 0
    assert (await put(alpha, name, 0, content, last=True)).status_code == 200
    assert (await alpha.download(name)).content == content
    actions = [event["action"] for event in await world.get("/events") if event["subject"] == name]
    assert actions == ["artifact.stored", "artifact.deleted", "artifact.revived"]
    assert (await world.read(lambda s: s.get(Artifact, name))).deleted_at is None


class TestBucket:
    """With a bucket, large files go there directly; the controller keeps the receipts."""

    @staticmethod
    async def ask(agent: ScriptedAgent, verb: str, where: str) -> httpx.Response:
        path = f"{wire.ARTIFACTS}/{where}"
        headers = agent.signed(wire.signing_text(verb, path, b"")) | agent.shown
        return await agent.http.request(verb, path, headers=headers)

    async def worker(self, world: World) -> ScriptedAgent:
        alpha = await world.agent("alpha")
        await world.enable()
        await world.reconcile_pipeline()
        assert (await alpha.lease()).assignment is not None
        return alpha

    async def test_a_file_counts_when_the_controller_has_checked_it(self, world: World, s3: str) -> None:
        world.context.artifacts.objects = open_objects(s3)
        alpha, content = await self.worker(world), shard("from afar")
        name = name_of(content)
        address = (await self.ask(alpha, "GET", f"{name}/url?method=put")).json()
        assert address["seconds"] == 900
        async with httpx.AsyncClient(trust_env=False) as http:
            assert (await http.put(address["url"], content=content)).is_success
        assert (await world.http.get(f"/v1/artifacts/{name}")).status_code == 404, (
            "nobody has looked at it yet"
        )
        assert (await self.ask(alpha, "POST", f"{name}/claim")).json() == {
            "sha256": name,
            "size": len(content),
        }
        assert (await world.http.get(f"/v1/artifacts/{name}")).content == content
        assert (await self.ask(alpha, "POST", f"{name}/claim")).status_code == 404, "it was taken away"

    async def test_a_file_that_is_not_what_it_claims_is_refused(self, world: World, s3: str) -> None:
        world.context.artifacts.objects = open_objects(s3)
        alpha, name = await self.worker(world), name_of(shard("promised"))
        address = (await self.ask(alpha, "GET", f"{name}/url?method=put")).json()
        async with httpx.AsyncClient(trust_env=False) as http:
            assert (await http.put(address["url"], content=shard("another"))).is_success
        refused = await self.ask(alpha, "POST", f"{name}/claim")
        assert refused.status_code == 422 and "it arrived as" in refused.json()["error"]["message"]
        assert (await world.http.get(f"/v1/artifacts/{name}")).status_code == 404

    async def test_an_address_needs_an_assignment_that_needs_the_file(self, world: World) -> None:
        idle = await world.agent("beta")
        assert (await self.ask(idle, "GET", f"{name_of(b'')}/url?method=put")).status_code == 401
        alpha = await self.worker(world)
        folder = await self.ask(alpha, "GET", f"{name_of(b'')}/url?method=put")
        assert folder.json()["url"] is None, "a folder has no addresses"
        assert (await self.ask(alpha, "GET", f"{name_of(b'')}/url?method=get")).status_code == 401
        claim = await self.ask(alpha, "POST", f"{name_of(b'')}/claim")
        assert claim.status_code == 409 and "in a folder" in claim.json()["error"]["message"]
