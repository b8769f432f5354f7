"""All routes x all callers: who gets in is written down here; a route that is not written down fails."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from sqlalchemy import select
from sqlmodel import Session, SQLModel

from ringrift.control.domain.roles import ROLES
from ringrift.control.store import tokens
from ringrift.control.store.tables import AccessToken
from tests.control.doubles import client
from tests.control.world import TOKEN, World

LEAST = {
    "viewer": (
        "GET /status /why/{subject} /audit/verify /operations/{identity} /jobs /jobs/{identity} /events",
        "GET /hosts /hosts/{name} /hosts/{name}/history /hosts/{name}/keys /host-keys/revoked",
        "GET /host-authorities /inventory /batches /batches/{identity} /debts /configs /configs/{key}",
        "GET /models /models/{sha} /evaluations /evaluations/{identity} /promotions/{config} /targets",
        "GET /targets/{name} /deployments/{identity} /games /games/{identity} /artifacts/{sha256} /shares",
        "GET /backups /backups/{identity} /retention /alerts /alerts/{signature:path}",
    ),
    "operator": (
        "POST /hosts /hosts/{name}/provision /hosts/{name}/drain /hosts/{name}/resume /hosts/{name}/remove",
        "POST /hosts/{name}/quarantine /hosts/{name}/trust /hosts/scan /host-keys/scan /host-keys/revoke",
        "POST /host-authorities /host-authorities/remove /inventory /plans /batches",
        "POST /batches/{identity}/{verb} /configs/{key}/enabled /targets /deployments /jobs/{identity}/retry",
        "POST /jobs/{identity}/cancel /shares /retention /deployments/{identity}/cancel",
        "POST /alerts/{signature:path}/ack",
    ),
    "promoter": ("POST /promotions /rollback/{config} /models /models/{sha}/export",),
    "owner": ("POST /backups /tokens /tokens/{name}/revoke", "GET /tokens"),
}
OPEN = {("GET", "/v1/health")}
"""Without a token on purpose: it tells a shell that its controller answers."""

EXPECTED = {
    (line.split()[0], f"/v1{path}"): role
    for role, lines in LEAST.items()
    for line in lines
    for path in line.split()[1:]
} | {("GET", "/metrics"): "viewer"}
FILLED = {"name": "none", "identity": "none_0", "verb": "cancel", "key": "hex8_2p", "config": "hex8_2p",
          "signature": "none:none"}  # fmt: skip
MALFORMED = ("Bearer", "Bearer ", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}x",
             "Bearer \xff", f"Bearer {'A' * 5000}", "Bearer ' OR 1=1 --")  # fmt: skip


def every(app: Any) -> Iterator[Any]:
    """Yield the routes of an app and of the routers that were included in it."""
    for route in app.routes:
        included = getattr(route, "original_router", None)
        yield from [route] if included is None else every(included)


def routes(app: FastAPI) -> set[tuple[str, str]]:
    """Return every route that an app answers, whatever kind it is of."""
    return {
        (method, getattr(route, "path", repr(route)))
        for route in every(app)
        for method in getattr(route, "methods", None) or {"ANY"}
    }


def filled(path: str) -> str:
    """Return a path with something in the place of its parameters."""
    for name in ("sha256", "sha"):
        path = path.replace("{" + name + "}", "f" * 64)
    return path.replace("{subject}", "hex8_2p").replace(":path}", "}").format(**FILLED)


def rows(session: Session) -> dict[str, list[tuple[Any, ...]]]:
    """Return all that the store holds."""
    connection = session.connection()
    return {
        table.name: [tuple(row) for row in connection.execute(select(table))]
        for table in SQLModel.metadata.sorted_tables
    }


def is_refusal(answer: httpx.Response, *status: int) -> bool:
    """Tell whether an answer is the one-line error body and nothing more."""
    error = answer.json()["error"]
    one_line = all(isinstance(error[key], str) and "\n" not in error[key] for key in error)
    shape = set(answer.json()) == {"error"} and set(error) == {"code", "message", "hint"}
    return answer.status_code in status and shape and one_line and "Traceback" not in answer.text


async def given(world: World, role: Any, seconds: float = 600.0) -> str:
    name, secret = await world.write(lambda s: tokens.make_token(s, None, role, seconds, "test"))
    assert role in name
    return secret


def test_every_route_of_the_operators_api_has_its_role_written_down(world: World) -> None:
    found = routes(world.operators_app)
    assert found - OPEN == EXPECTED.keys(), "write the route's role into LEAST, or mend roles.py"
    guarded = {route.path for route in every(world.operators_app) if type(route) is not APIRoute}
    assert guarded == {path for _, path in EXPECTED}, "every route but health is of the guarded class"


def test_a_route_that_is_not_written_down_is_found(world: World) -> None:
    app = FastAPI(docs_url=None, redoc_url=None)
    app.mount("/files", world.operators_app)
    app.add_api_route("/more", lambda: None, methods=["PUT"])
    assert routes(app) == {("ANY", "/files"), ("PUT", "/more"), ("GET", "/openapi.json"),
                           ("HEAD", "/openapi.json")}  # fmt: skip


async def strangers(world: World) -> list[str | bytes | None]:
    """Return what callers show who have no business here."""
    ended, revoked = await given(world, "promoter", -1.0), await given(world, "promoter")

    def revoke(session: Session) -> None:
        row = tokens.valid_token(session, tokens._hash(revoked))
        assert isinstance(row, AccessToken)
        tokens.revoke_token(session, row.name, "test")

    await world.write(revoke)
    shown: list[str | bytes | None] = [None, *(text.encode("latin-1") for text in MALFORMED)]
    return [*shown, f"Bearer {ended}", f"Bearer {revoked}", f"Bearer {tokens._hash(ended)}"]


async def test_no_stranger_gets_in_anywhere_and_nothing_changes(world: World) -> None:
    shown = await strangers(world)
    before = await world.read(rows)
    answers = set()
    async with client(world.operators_app) as http:
        for method, path in sorted(EXPECTED):
            for text in shown:
                headers = {} if text is None else {"authorization": text}
                answer = await http.request(method, filled(path), content=b"{", headers=headers)
                assert is_refusal(answer, 401), (method, path, text, answer.text)
                answers.add(answer.text)
        assert (await http.get("/v1/health")).status_code == 200
        for path in [
            "/",
            "/docs",
            "/openapi.json",
            "/redoc",
            "/v1",
            "/v1/nothing",
            "/v1/../v1/tokens",
            "/metrics",
        ]:
            assert (await http.get(path)).status_code in (401, 404), path
    assert len(answers) == 1, "what was wrong with a token is not told"
    assert await world.read(rows) == before


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_gets_what_is_written_down_and_no_more(world: World, role: Any) -> None:
    secret = TOKEN if role == "owner" else await given(world, role)
    before = await world.read(rows)
    async with client(world.operators_app, authorization=f"bearer  {secret} ") as http:
        for method, path in sorted(EXPECTED):
            least = EXPECTED[method, path]
            if ROLES.index(role) < ROLES.index(least):  # type: ignore[arg-type]
                answer = await http.request(method, filled(path), content=b"{")
                assert is_refusal(answer, 403), (method, path, answer.text)
                assert answer.json()["error"]["code"] == "forbidden"
        assert await world.read(rows) == before
        for method, path in sorted(EXPECTED):
            if ROLES.index(role) >= ROLES.index(EXPECTED[method, path]):  # type: ignore[arg-type]
                answer = await http.request(method, filled(path), content=b"{")
                assert answer.status_code not in (401, 403, 500), (method, path, answer.text)


async def test_audit_rows_name_the_token_whatever_its_bearer_claims(world: World) -> None:
    name, secret = await world.write(lambda s: tokens.make_token(s, "night-shift", "operator", 60.0, "test"))
    for bearer, wanted in ((secret, {name}), (TOKEN, {"operator: controller", "operator: operator: ann"})):
        async with client(world.operators_app, authorization=f"Bearer {bearer}") as http:
            for enabled, claimed in ((True, "controller"), (False, "operator: ann")):
                body = {"enabled": enabled, "actor": claimed}
                assert (await http.post("/v1/configs/hex8_2p/enabled", json=body)).status_code == 200
            told = await http.get("/v1/events?limit=2")
        assert {row["actor"] for row in told.json()} == wanted


async def test_a_token_is_shown_once_listed_without_its_text_and_revoked(world: World) -> None:
    made = await world.post("/tokens", {"role": "viewer", "seconds": 60, "name": "guest"})
    http = client(world.operators_app, authorization=f"Bearer {made['token']}")
    assert (await http.get("/v1/status")).status_code == 200
    listed = await world.get("/tokens")
    assert [(row["name"], row["role"], row["state"]) for row in listed] == [("guest", "viewer", "valid")]
    assert made["token"] not in str(await world.read(rows)) + str(listed)
    assert (await world.post("/tokens/guest/revoke"))["state"] == "revoked"
    assert (await http.get("/v1/status")).status_code == 401
    wrong = (
        {"name": "guest"},
        {"name": "operator"},
        {"name": "controller"},
        {"role": "owner"},
        {"seconds": 1},
    )
    for body in wrong:
        answer = await world.http.post("/v1/tokens", json={"role": "viewer", "seconds": 60, **body})
        assert answer.status_code in (409, 422), body
