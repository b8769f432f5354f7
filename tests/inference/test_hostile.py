"""A small part of `make hostile`: what means harm does none, and the service goes on serving."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from inference import app as app_module
from inference.app import build_app
from inference.pool import SearchPool
from ringrift.game.config import GameConfig
from ringrift.game.play import Game
from ringrift.notation.movejson import move_from_json
from tests.inference.hostile import FAMILIES, request
from tests.inference.siege import Siege, besiege
from tests.inference.test_move import opening

pytestmark = pytest.mark.timeout(1200)


def test_hostile_requests_are_borne_and_a_good_one_is_answered_afterwards(service):
    pid = service.health()["pid"]
    report = besiege(service, requests=1500, seed=7)
    assert report["faults"] == []
    assert set(report["kinds"]) == set(FAMILIES)
    assert {"200", "400", "404", "405", "422"} <= set(report["statuses"])
    game = Game.new(GameConfig.parse("square8_2p"))
    reply = service.move(opening(difficulty=6, seed=1)).json()
    assert game.is_legal(move_from_json(game, reply["move"]))
    assert service.health()["pid"] == pid
    assert "Traceback" not in service.log.read_text()


def test_the_same_seed_sends_the_same_bytes():
    assert [request(1, number) for number in range(50)] == [request(1, number) for number in range(50)]
    assert [request(1, number) for number in range(50)] != [request(2, number) for number in range(50)]


@pytest.mark.parametrize(
    ("head", "fault"),
    [
        (b"HTTP/1.1 500 Internal Server Error\r\n", True),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", True),
        (b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n", False),
        (b"HTTP/1.1 422 Unprocessable Entity\r\n", False),
        (b"", True),
    ],
)
def test_a_5xx_that_is_no_overload_and_silence_are_faults(head, fault):
    siege = Siege("http://127.0.0.1:1", 1)
    whole = next(found for number in range(100) if (found := request(1, number)).whole)
    siege._judge(0, whole, head)
    assert bool(siege.faults) == fault


def test_a_body_that_never_ends_is_given_up(monkeypatch):
    monkeypatch.setattr(app_module, "BODY_SECONDS", 0.01)
    app = build_app(None, pool := SearchPool(1, 1))

    async def endless():
        yield b"{"
        await asyncio.Event().wait()

    async def scene():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as client:
            return await client.post("/ai/evaluate", content=endless())

    answer = asyncio.run(scene())
    pool.close()
    assert answer.status_code == 408
    assert answer.headers["connection"] == "close"
    assert answer.json()["detail"] == "the body took more than 0.01 s"


def test_a_path_with_a_slash_too_many_is_not_redirected_to_where_the_request_says(service):
    answer = httpx.post(f"{service.url}/move/", headers={"host": "example.org"})
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})
