"""A real HTTP double of the operators' API: fixed views, a log of requests, failures on demand."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import uvicorn
from fastapi import FastAPI, Request, Response
from pydantic import TypeAdapter

from ringrift.client.access import Access
from ringrift.client.http import rebuilt_error
from ringrift.client.routes import Call
from ringrift.errors import NotFound, Unreachable
from ringrift.protocol import hosts as hw
from ringrift.protocol import operator as op
from tests.cli import sample

TOKEN = "operator-token-of-the-double-0123456789"
_ANY: TypeAdapter[Any] = TypeAdapter(Any)
T = TypeVar("T")


class World:
    """What the double knows; tests change it and read `requests`."""

    def __init__(self) -> None:
        self.status = sample.status()
        self.targets = sample.targets()
        self.followed = False
        """Whether targets follow a rollback."""
        self.keys = [
            op.HostKey(type="ssh-ed25519", fingerprint=sample.FINGERPRINT, public_key=sample.PUBLIC_KEY),
        ]
        self.inventory = hw.ImportView(done=True, rows=[])
        self.scanned: list[hw.ScannedHost] | None = None
        self.away = False
        self.hold: asyncio.Event | None = None
        self.promotion_allowed = True
        self.promotions: list[dict[str, Any]] = []
        self.operation_steps: dict[str, int] = {}
        self.step_per_poll = 3
        self.fail_operation: dict[str, str] = {}
        self.failures: dict[tuple[str, str], tuple[int, bytes]] = {}
        self.requests: list[tuple[str, str, Any]] = []
        self.games: dict[str, op.GameView] = {}
        self.files: dict[str, bytes] = {}
        self.answered = threading.Event()
        self.answers: dict[tuple[str, str], list[Any]] = {}
        """What a route answers, one after the other; the last one stays."""

    def fail(self, method: str, path: str, status: int, code: str, message: str, hint: str = "") -> None:
        """Let one route answer with an error body."""
        body = {"error": {"code": code, "message": message, "hint": hint}}
        self.failures[method, path] = (status, json.dumps(body).encode())

    def host(self, name: str) -> op.HostView | None:
        return next((each for each in self.status.hosts if each.name == name), None)

    def sent(self, method: str, path: str) -> list[Any]:
        """Return the bodies of the requests of a route."""
        return [body for m, p, body in self.requests if (m, p) == (method, path)]

    def advance(self, identity: str, kind: str, subject: str) -> op.OperationView:
        """Return an operation, some steps further at every look."""
        at = self.operation_steps.get(identity, 0)
        self.operation_steps[identity] = at + self.step_per_poll
        fail = self.fail_operation.get(subject, "")
        return sample.operation(
            identity, kind, subject, 3 if fail and at >= 3 else min(at, 9), fail=fail if at >= 3 else ""
        )


def build(world: World) -> FastAPI:
    """Return the app. Routes are matched by hand, so that the double shares nothing with the controller."""
    app = FastAPI(openapi_url=None)

    @app.api_route("/{path:path}", methods=["GET", "POST"])
    async def every(request: Request, path: str) -> Response:
        raw = await request.body()
        body = json.loads(raw) if raw else None
        full = "/" + path
        world.requests.append((request.method, full, body))
        world.answered.set()
        if full != "/v1/health" and request.headers.get("authorization") != f"Bearer {TOKEN}":
            return _error(401, "access_refused", "the token was not accepted")
        planned = world.failures.get((request.method, full))
        if planned:
            return Response(planned[1], planned[0], media_type="application/json")
        if full.startswith("/v1/artifacts/") and full.rpartition("/")[2] in world.files:
            return Response(world.files[full.rpartition("/")[2]], media_type="application/octet-stream")
        answer = _answer(world, request.method, full.split("/")[2:], dict(request.query_params), body)
        if answer is None:
            return _error(404, "not_found", f"nothing at {full}")
        return Response(_ANY.dump_json(answer), media_type="application/json")

    return app


def _error(status: int, code: str, message: str) -> Response:
    body = {"error": {"code": code, "message": message, "hint": ""}}
    return Response(json.dumps(body), status, media_type="application/json")


def _answer(world: World, method: str, path: list[str], query: dict[str, str], body: Any) -> Any:
    given = world.answers.get((method, "/".join(path)))
    if given:
        return given.pop(0) if len(given) > 1 else given[0]
    read: dict[str, Callable[[], Any]] = {
        "health": lambda: {"pid": 4242, "home": "/srv/ringrift", "version": "0.1.0"},
        "status": lambda: world.status,
        "hosts": lambda: world.status.hosts,
        "alerts": sample.alerts,
        "batches": sample.batches,
        "debts": sample.debts,
        "configs": lambda: world.status.configs,
        "models": lambda: [sample.model(), sample.model(sample.CHAMPION, "champion")],
        "evaluations": lambda: _evaluations(query),
        "targets": lambda: world.targets,
        "jobs": sample.jobs,
        "games": lambda: list(world.games.values()),
        "events": sample.events,
        "host-keys/revoked": lambda: [sample.revoked(sample.OTHER_FINGERPRINT, "stolen disk")],
        "host-authorities": lambda: [sample.authority()],
        "inventory": lambda: hw.ExportView(text="schema_version: 1\n"),
        "audit/verify": lambda: {"rows": 42, "sound": True, "first_bad": None},
    }
    joined = "/".join(path)
    if method == "GET" and joined in read:
        return read[joined]()
    if method == "GET" and path[0] == "hosts" and len(path) == 3:
        return sample.host_records()[path[2]] if world.host(path[1]) else None
    if method == "GET" and len(path) == 2:
        return _one(world, path[0], path[1])
    return _write(world, path, query, body or {}) if method == "POST" else None


def _evaluations(query: dict[str, str]) -> list[op.EvaluationView]:
    known = [sample.evaluation(), sample.running_evaluation()]
    return [
        each
        for each in known
        if query.get("config", each.config) == each.config and query.get("state", each.state) == each.state
    ]


def _one(world: World, what: str, name: str) -> Any:
    if what == "hosts":
        return world.host(name)
    if what == "configs":
        return next((each for each in world.status.configs if each.key == name), None)
    if what == "targets":
        return next((each for each in world.targets if each.name == name), None)
    if what == "why":
        return sample.why(name)
    if what == "models":
        return sample.model() if sample.CANDIDATE.startswith(name) else None
    if what == "games":
        return next((game for game in world.games.values() if game.game_id.startswith(name)), None)
    if what == "evaluations":
        return next((each for each in _evaluations({}) if each.id.startswith(name)), None)
    if what == "promotions":
        return sample.promotion(name, allowed=world.promotion_allowed)
    if what == "operations":
        return world.advance(name, "provision", name.removeprefix("op-"))
    if what == "deployments":
        return _deployment(world)
    return None


def _deployment(world: World) -> op.DeploymentView:
    at = world.operation_steps.get("deployment", 0)
    world.operation_steps["deployment"] = at + world.step_per_poll
    return sample.deployment(min(at, 7), fail=world.fail_operation.get("eu-2", ""))


def _write(world: World, path: list[str], query: dict[str, str], body: dict[str, Any]) -> Any:
    if path == ["hosts", "scan"]:
        return world.keys
    if path == ["host-keys", "scan"]:
        return world.scanned if world.scanned is not None else [_scanned(world, body["names"][0])]
    if path == ["host-keys", "revoke"]:
        return sample.revoked(body["fingerprint"], body["reason"])
    if path[0] == "host-authorities":
        return [sample.authority()]
    if path == ["inventory"]:
        return world.inventory
    if path == ["hosts"]:
        return sample.host(body["name"], "new", login=f"{body['user']}@{body['address']}:{body['port']}")
    if path[0] == "hosts" and len(path) == 3:
        return _change_host(world, path[1], path[2])
    if path[0] == "configs":
        return sample.config(path[1]).model_copy(update={"enabled": body["enabled"]})
    if path == ["promotions"]:
        world.promotions.append(body)
        return sample.promotion(body["config"], done=True)
    if path[0] == "rollback":
        made = query["dry_run"] == "false"
        follows = {"targets": ["eu-1", "eu-2"], "deployment": "dep-32" if made else None}
        return sample.promotion(path[1], done=made).model_copy(update=follows if world.followed else {})
    if path[0] == "deployments" and path[-1] == "cancel":
        return sample.deployment(0).model_copy(update={"id": path[1], "state": "cancelling"})
    if path == ["targets"]:
        return sample.targets()[0].model_copy(update={"name": body["name"], "host": body["host"]})
    if path == ["deployments"]:
        view = sample.deployment(None if body.get("dry_run") else 0)
        return sample.software(view) if body.get("software") else view
    return None


def _change_host(world: World, name: str, verb: str) -> Any:
    view = world.host(name)
    if view is None:
        return None
    if verb == "provision":
        return world.advance(f"op-{name}", "provision", name)
    states = {"drain": "draining", "remove": "retired", "quarantine": "quarantined"}
    state = states.get(verb, "ready")
    changed = view.model_copy(update={"state": state})
    others = [changed if each.name == name else each for each in world.status.hosts]
    world.status = world.status.model_copy(update={"hosts": others})
    return changed


def _scanned(world: World, name: str) -> hw.ScannedHost:
    view = world.host(name)
    return hw.ScannedHost(name=name, login=view.login if view else "", keys=world.keys)


@contextmanager
def served(world: World) -> Iterator[str]:
    """Serve the double on a free loopback port; yield its address."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    config = uvicorn.Config(build(world), log_level="error", lifespan="off", access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listening.close()


class Direct:
    """The double without HTTP: what the terminal's feed sends to, answered in this process."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.access = Access("http://127.0.0.1:8470", TOKEN, local=True)

    async def send(self, call: Call[T]) -> T:
        """Answer as the served double would; `world.away` makes it unreachable."""
        world = self.world
        content = call.content()
        body = json.loads(content) if content else None
        world.requests.append((call.method, call.path, body))
        if world.hold is not None and call.path != "/v1/status":
            await world.hold.wait()
        if world.away:
            raise Unreachable("no controller answers at http://127.0.0.1:8470", hint=self.access.hint)
        planned = world.failures.get((call.method, call.path))
        if planned:
            raise rebuilt_error(self.access, call, *planned)
        answer = _answer(world, call.method, call.path.split("/")[2:], dict(call.params), body)
        if answer is None:
            raise NotFound(f"nothing at {call.path}")
        return call.parse(_ANY.dump_json(answer))

    async def close(self) -> None:
        """Nothing is open."""
