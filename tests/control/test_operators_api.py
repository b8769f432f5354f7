"""The operators' API: the token, every route, and how errors look."""

from __future__ import annotations

import pytest
from fastapi import APIRouter

from ringrift.control.api import statuses
from ringrift.control.api.operators import operators_app
from ringrift.errors import (
    AccessRefused,
    BadInput,
    CorruptData,
    EnvironmentProblem,
    HostKeyChanged,
    PartialFailure,
    Refused,
    Unreachable,
    error_classes,
)
from tests.control.doubles import HOST_KEY, OTHER_KEY, client, sha
from tests.control.world import CONFIG, TOKEN, World

HOST = {
    "name": "alpha",
    "user": "trainer",
    "address": "127.0.0.2",
    "port": 2222,
    "host_key": HOST_KEY,
    "confirmed_by": "fingerprint",
}

GETS = [
    "/status",
    "/hosts",
    "/hosts/alpha",
    "/configs",
    f"/configs/{CONFIG}",
    f"/why/{CONFIG}",
    "/why/alpha",
    "/why/front",
    "/models",
    f"/models?config={CONFIG}",
    "/evaluations",
    f"/evaluations?config={CONFIG}&state=running",
    f"/promotions/{CONFIG}",
    "/targets",
    "/targets/front",
    "/jobs",
    "/jobs?state=queued&kind=selfplay&limit=5",
    "/events",
    "/events?after=0&limit=5",
    "/audit/verify",
]
UNKNOWN = [
    "/hosts/none",
    "/models/abcdef00",
    "/evaluations/abcdef00",
    "/targets/none",
    "/deployments/dep_none",
    "/operations/op_none",
    "/why/none",
]


async def furnish(world: World) -> None:
    await world.post("/hosts", HOST)
    await world.post("/targets", {"name": "front", "host": "alpha", "port": 9000})


async def test_health_answers_without_a_token_and_nothing_else_does(world: World) -> None:
    stranger = client(world.operators_app)
    health = (await stranger.get("/v1/health")).json()
    assert set(health) == {"pid", "home", "version"} and health["home"] == str(world.home)
    for path in GETS:
        for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": TOKEN}):
            answer = await stranger.get(f"/v1{path}", headers=headers)
            assert answer.status_code == 401, path
            assert answer.json()["error"]["code"] == "access_refused"


async def test_every_reading_route_answers(world: World) -> None:
    await furnish(world)
    for path in GETS:
        await world.get(path)


async def test_every_route_says_not_found_for_what_is_not_there(world: World) -> None:
    for path in UNKNOWN:
        answer = await world.http.get(f"/v1{path}")
        assert answer.status_code == 404, path
        assert answer.json()["error"]["code"] == "not_found"
    for path in ("/hosts/none/provision", "/hosts/none/drain", "/hosts/none/resume", "/hosts/none/remove"):
        await world.post(path, status=404)
    await world.post("/hosts/none/trust", {"host_key": HOST_KEY}, status=404)
    await world.post("/targets", {"name": "front", "host": "none", "port": 9000}, status=404)
    await world.post("/promotions", {"config": CONFIG, "model": "abcdef00"}, status=404)


async def test_an_unknown_config_is_one_clear_line_everywhere(world: World) -> None:
    for path in ("/configs/hex9_2p", "/promotions/hex9_2p"):
        answer = await world.http.get(f"/v1{path}")
        assert answer.status_code == 400 and answer.json()["error"]["code"] == "unknown_config"
    for path in ("/models?config=hex9_2p", "/evaluations?config=hex9_2p"):
        answer = await world.http.get(f"/v1{path}")
        assert answer.status_code in (400, 422) and "hex9_2p" in answer.json()["error"]["message"]
    for path, body in (
        ("/configs/hex9_2p/enabled", {"enabled": True}),
        ("/rollback/hex9_2p", None),
        ("/promotions", {"config": "hex9_2p"}),
        ("/deployments", {"configs": ["hex9_2p"]}),
    ):
        answer = await world.http.post(f"/v1{path}", json=body)
        assert answer.status_code in (400, 422), path
        assert "unknown config 'hex9_2p'" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/hosts", {**HOST, "name": "Not A Name"}, "name"),
        ("/hosts", {**HOST, "address": "a b"}, "address"),
        ("/hosts", {**HOST, "port": 0}, "port"),
        ("/hosts", {**HOST, "root": "a\nb"}, "root"),
        ("/hosts", {**HOST, "extra": 1}, "extra"),
        ("/hosts", {**HOST, "host_key": "ssh-ed25519 AAAA"}, "host_key"),
        ("/hosts", {**HOST, "host_key": HOST_KEY.replace("ssh-ed25519", "ssh-rsa")}, "host_key"),
        ("/hosts", {**HOST, "host_key": "nonsense"}, "host_key"),
        ("/hosts/alpha/trust", {"host_key": ""}, "host_key"),
        (f"/configs/{CONFIG}/enabled", {"enabled": "perhaps"}, "enabled"),
        ("/promotions", {"config": CONFIG, "model": "../x"}, "model"),
        ("/targets", {"name": "front", "host": "alpha", "port": 70000}, "port"),
    ],
)
async def test_a_wrong_field_is_named(world: World, path: str, body: dict, field: str) -> None:
    answer = await world.post(path, body, status=422)
    assert answer["error"]["code"] == "bad_input"
    assert answer["error"]["message"].startswith(f"{field}:")


async def test_malformed_json_is_bad_input(world: World) -> None:
    answer = await world.http.post("/v1/hosts", content=b"{", headers={"content-type": "application/json"})
    assert answer.status_code == 422 and answer.json()["error"]["code"] == "bad_input"


async def test_hosts_are_scanned_added_once_and_shown(world: World) -> None:
    shown = await world.post("/hosts/scan", {"address": "127.0.0.2", "port": 2222})
    assert shown == [{"type": "ssh-ed25519", "fingerprint": "SHA256:shown", "public_key": HOST_KEY}]
    added = await world.post("/hosts", {**HOST, "host_key": f"{HOST_KEY} a comment"})
    assert added["login"] == "trainer@127.0.0.2:2222" and added["state"] == "new"
    assert added["fingerprint"].startswith("SHA256:") and added["health"] == "unknown"
    assert added["telemetry"] is None and added["heartbeat_age"] is None
    assert (await world.post("/hosts", HOST))["name"] == "alpha"
    clash = await world.post("/hosts", {**HOST, "address": "127.0.0.3"}, status=409)
    assert clash["error"]["code"] == "conflict" and "trainer@127.0.0.2:2222" in clash["error"]["message"]
    actions = [event["action"] for event in await world.get("/events")]
    assert actions.count("host.added") == 1


async def test_hosts_are_drained_resumed_removed_and_added_again(world: World) -> None:
    await world.agent("alpha")
    assert (await world.post("/hosts/alpha/drain"))["state"] == "draining"
    assert "draining" in (await world.get("/why/alpha"))["sentence"]
    assert (await world.post("/hosts/alpha/resume"))["state"] == "ready"
    assert (await world.post("/hosts/alpha/remove"))["state"] == "retired"
    assert await world.get("/hosts") == []
    await world.post("/hosts/alpha/resume", status=409)
    await world.post("/hosts/alpha/provision", status=409)
    assert (await world.post("/hosts", HOST))["state"] == "new"
    assert len(await world.get("/hosts")) == 1


async def test_trust_replaces_the_pin_and_is_recorded(world: World) -> None:
    before = (await world.post("/hosts", HOST))["fingerprint"]
    after = (await world.post("/hosts/alpha/trust", {"host_key": OTHER_KEY}))["fingerprint"]
    assert before != after
    event = (await world.get("/events?limit=1"))[0]
    assert event["action"] == "host.trusted"
    assert event["detail"] == {"before": before, "fingerprint": after, "how": "first-contact"}


async def test_an_unreachable_host_is_told_with_its_hint(world: World) -> None:
    world.fleet.fail("scan", Unreachable("127.0.0.2:22 does not answer", hint="is it on?"))
    answer = await world.post("/hosts/scan", {"address": "127.0.0.2"}, status=502)
    assert answer["error"] == {
        "code": "unreachable",
        "message": "127.0.0.2:22 does not answer",
        "hint": "is it on?",
    }


async def test_a_config_is_enabled_once_with_an_audit_row(world: World) -> None:
    assert (await world.get(f"/configs/{CONFIG}"))["blocker"] == "not enabled"
    for _ in range(2):
        answer = await world.post(f"/configs/{CONFIG}/enabled", {"enabled": True, "actor": "ann"})
        assert answer["enabled"] and answer["next_action"]
    rows = [event for event in await world.get("/events") if event["action"] == "config.enabled"]
    assert [(row["actor"], row["subject"]) for row in rows] == [("operator: ann", CONFIG)]
    assert not (await world.post(f"/configs/{CONFIG}/enabled", {"enabled": False}))["enabled"]


async def test_targets_are_added_once(world: World) -> None:
    await furnish(world)
    same = {"name": "front", "host": "alpha", "port": 9000}
    assert (await world.post("/targets", same))["state"] == "new"
    await world.post("/targets", {**same, "port": 9001}, status=409)
    assert len(await world.get("/targets")) == 1


async def test_a_deployment_without_a_champion_is_refused(world: World) -> None:
    assert (await world.post("/deployments", {}, status=404))["error"]["code"] == "not_found"
    await furnish(world)
    for body in ({}, {"configs": [CONFIG]}, {"targets": ["front"], "dry_run": True}):
        refused = await world.post("/deployments", body, status=409)
        assert refused["error"]["code"] == "missing_evidence"
    named = await world.post("/deployments", {"configs": [CONFIG]}, status=409)
    assert named["error"]["message"] == f"{CONFIG} has no champion"


async def test_a_rollback_without_a_champion_is_refused(world: World) -> None:
    refused = await world.post(f"/rollback/{CONFIG}", status=409)
    assert "no champion to roll back" in refused["error"]["message"]


async def test_events_are_read_in_pages(world: World) -> None:
    for port in range(5):
        await world.post("/hosts", {**HOST, "name": f"host-{port}"})
    newest = await world.get("/events?limit=2")
    assert [event["id"] for event in newest] == [4, 5]
    page = await world.get("/events?after=1&limit=3")
    assert [event["id"] for event in page] == [2, 3, 4]
    assert all(len(event["digest"]) == 64 and event["age"] >= 0 for event in page)


async def test_status_tells_the_controller_and_all_configs(world: World) -> None:
    await furnish(world)
    status = await world.get("/status")
    assert status["controller"]["database"] == world.store.dialect
    assert [host["name"] for host in status["hosts"]] == ["alpha"]
    assert len(status["configs"]) == 12
    assert status["receipts"]["games_stored"] == 0


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Refused("r"), 409),
        (AccessRefused("a"), 401),
        (HostKeyChanged("h"), 401),
        (CorruptData("c"), 422),
        (EnvironmentProblem("e"), 503),
        (PartialFailure("p"), 502),
        (Unreachable("u"), 502),
        (ValueError("secret detail"), 500),
    ],
)
async def test_every_error_has_its_status_and_never_a_traceback(world: World, error, status: int) -> None:
    app = operators_app(world.context, TOKEN)
    router = APIRouter()

    @router.get("/v1/broken")
    async def broken() -> None:
        raise error

    app.include_router(router)
    answer = await client(app).get("/v1/broken")
    assert answer.status_code == status
    body = answer.json()["error"]
    assert set(body) == {"code", "message", "hint"}
    assert "secret detail" not in answer.text and "Traceback" not in answer.text


def test_every_error_of_the_tree_has_a_client_or_server_status() -> None:
    for cls in error_classes().values():
        assert 400 <= statuses.status_of(cls("x")) < 600


def test_a_subclass_that_shares_a_code_is_not_built_from_a_reply() -> None:
    class Narrower(BadInput):
        def __init__(self, message: str, field: str) -> None:
            super().__init__(f"{field}: {message}")

    assert Narrower.code == BadInput.code
    assert error_classes()[BadInput.code] is BadInput


async def test_an_unknown_path_is_answered_in_the_same_form(world: World) -> None:
    answer = await world.http.get("/v1/nothing/here")
    assert answer.status_code == 404 and answer.json()["error"]["code"] == "not_found"
    answer = await world.http.delete("/v1/hosts")
    assert answer.status_code == 405 and answer.json()["error"]["code"] == "usage"


async def test_the_beginning_of_an_unknown_hash_is_not_found(world: World) -> None:
    answer = await world.http.get(f"/v1/models/{sha('x')[:4]}")
    assert answer.status_code == 404
