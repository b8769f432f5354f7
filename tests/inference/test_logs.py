"""What the service logs: one object a line, every request, harmless, and never in the way of an answer."""

from __future__ import annotations

import json
import logging
import os
import re

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from inference import logs
from ringrift.game.config import GameConfig
from ringrift.game.play import Game
from ringrift.notation.gamestate import dump_game

KEY = "square8_2p"
HOSTILE = "/\x1b[2J\n\u202e" + "x" * 9000
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def opening(**more):
    return {"game_state": dump_game(Game.new(GameConfig.parse(KEY))), "player_number": 1, **more}


def told(service):
    """Return what the service has logged so far."""
    return [json.loads(line) for line in service.log.read_text().splitlines()]


def requests(service):
    return [line for line in told(service) if line["event"] == "request"]


async def asked(app, path):
    """Ask an application without a server."""
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        return await client.get(path)


@pytest.fixture
def written():
    """A logger of its own that writes to a pipe; called, it returns the lines that are there by now."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    handler = logs.Lines(writer)
    handler.setFormatter(logs.Json())
    logger = logging.Logger("inference", logging.DEBUG)
    logger.addHandler(handler)

    def lines():
        found = bytearray()
        while True:
            try:
                found += os.read(reader, 65536)
            except BlockingIOError:
                return bytes(found).decode("ascii").splitlines()

    lines.logger, lines.handler, lines.reader = logger, handler, reader
    yield lines
    for descriptor in (reader, writer):
        os.close(descriptor)


def test_every_request_but_the_probes_is_told_with_what_came_of_it(start_service, deployment):
    deployment.deploy({KEY: 1})
    service = start_service(deployment.folder).wait_until_healthy()
    assert service.move(opening(difficulty=6)).status_code == 200
    assert service.move({"game_state": 1}).status_code == 422
    assert httpx.get(f"{service.url}/nowhere").status_code == 404
    service.wait_for(lambda: len(requests(service)) == 3, "three lines")
    move, refused, unknown = requests(service)
    sha256 = deployment.sha256(KEY, 1)
    assert move.items() >= {"method": "POST", "path": "/move", "status": 200, "level": "info"}.items()
    assert move.items() >= {"config": KEY, "model": sha256, "difficulty": 6}.items()
    assert (move["ai_type"], move["client"]) == ("gumbel_mcts", "127.0.0.1")
    assert 0 < move["ms"] < 60_000
    assert (refused["status"], refused["error"]) == (422, "bad_input") and "game_state" in refused["why"]
    assert unknown.items() >= {"method": "GET", "path": "/nowhere", "status": 404}.items()
    service.stop()
    lines = told(service)
    assert all(TIME.fullmatch(line["time"]) for line in lines)
    found = {line["event"]: line for line in lines}
    assert found["listening"]["pid"] == service.process.pid
    assert found["model verified"].items() >= {"config": KEY, "model": sha256}.items()
    assert found["serving"].items() >= {"generation": 1, "configs": [KEY]}.items()
    assert "draining" in found


def test_with_debug_the_probes_are_told_too_and_text_is_for_reading(start_service, tmp_path):
    environment = {"RINGRIFT_LOG_LEVEL": "debug", "RINGRIFT_LOG_FORMAT": "text"}
    service = start_service(tmp_path / "nothing", "--unsigned", environment=environment)
    service.wait_for(lambda: 'path="/health" status=503' in service.log.read_text(), "the probe's line")
    first = service.log.read_text().splitlines()[0]
    assert re.fullmatch(TIME.pattern + r' INFO listening address="127.0.0.1" port=\d+ pid=\d+', first)


def test_a_service_whose_log_nobody_reads_or_can_take_answers(start_service, tmp_path):
    """The reader of its stderr is gone; then it stays but reads nothing, for more than a pipe holds."""
    for gone in (True, False):
        reader, writer = os.pipe()
        service = start_service(tmp_path / "nothing", "--unsigned", stderr=writer)
        os.close(writer)
        if gone:
            os.close(reader)
        with httpx.Client() as client:
            for _ in range(600):
                assert client.get(f"{service.url}/nowhere-{'x' * 150}").status_code == 404
        assert service.stop() == 0
        if not gone:
            with os.fdopen(reader, "rb") as pipe:
                assert 100 < len(pipe.readlines()) < 600


def test_what_a_request_says_stays_on_one_line_of_ascii(written):
    written.logger.info("request", extra=logs.fields(path=HOSTILE[:200], why=HOSTILE[:200]))
    written.handler.setFormatter(logs.Words())
    written.logger.info(HOSTILE[:200], extra=logs.fields(path=HOSTILE[:200]))
    as_json, words = written()
    assert json.loads(as_json)["path"] == HOSTILE[:200]
    assert as_json.isprintable() and words.isprintable()


def test_lines_that_find_no_room_are_dropped_and_counted(written):
    for _ in range(3000):
        written.logger.info("filler", extra=logs.fields(text="x" * 100))
    kept = len(written())
    assert 0 < kept < 3000
    written.logger.info("again")
    assert json.loads(written()[0])["dropped"] == 3000 - kept
    written.logger.info("and again")
    assert "dropped" not in json.loads(written()[0])


def test_a_traceback_is_a_field_and_keeps_its_end(written):
    try:
        raise ValueError("y" * 9000 + "the end")
    except ValueError as error:
        written.logger.error("request failed", exc_info=error)
    (line,) = written()
    found = json.loads(line)
    assert (found["event"], found["level"]) == ("request failed", "error")
    assert found["traceback"].endswith("the end") and len(line) < 4096


@pytest.mark.parametrize(
    ("status", "level"), [(200, "INFO"), (422, "INFO"), (503, "WARNING"), (500, "ERROR")]
)
async def test_the_level_of_a_request_follows_its_status(caplog, status, level):
    app = Starlette(routes=[Route("/x", lambda _: PlainTextResponse("x", status))])
    app.add_middleware(logs.RequestLog)
    with caplog.at_level(logging.DEBUG, "inference"):
        await asked(app, "/x")
    (record,) = caplog.records
    assert (record.levelname, record.fields["status"]) == (level, status)


async def test_a_request_that_fails_or_is_left_is_told_too(caplog):
    async def failing(scope, receive, send):
        raise RuntimeError("unexpected")

    async def silent(scope, receive, send):
        logs.tell(scope, left=True)

    with caplog.at_level(logging.INFO, "inference"):
        with pytest.raises(RuntimeError, match="unexpected"):
            await asked(logs.RequestLog(failing), "/" + "x" * 9000)
        with pytest.raises(AssertionError):  # the client of this test insists on an answer
            await asked(logs.RequestLog(silent), "/y")
    failed, left = (record.fields for record in caplog.records)
    assert failed["status"] == 500 and len(failed["path"]) == 200
    assert (left["status"], left["left"]) == (logs.LEFT, True)
