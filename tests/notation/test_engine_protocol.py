"""The engine over JSON Lines, as a real process: one answer a request, and nothing kills it."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ringrift.cli.engine import LONGEST_LINE, EngineSession, serve
from ringrift.game.config import ALL_CONFIGS, GameConfig
from ringrift.game.play import Game
from ringrift.notation.canonical import hash16
from ringrift.notation.gamestate import dump_game
from ringrift.notation.replay import read_records

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "tests" / "data" / "traces"
SERVE = "import sys; from ringrift.cli.engine import serve; serve(sys.stdin, sys.stdout)"


class Engine:
    """An engine process to talk to."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
        )

    def send(self, line: bytes) -> dict[str, Any]:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def ask(self, op: str, **fields: Any) -> dict[str, Any]:
        return self.send(json.dumps({"op": op, **fields}).encode())

    def close(self) -> tuple[int, bytes]:
        """End the input; return exit status and everything written to stderr."""
        assert self.process.stdin and self.process.stdout and self.process.stderr
        self.process.stdin.close()
        errors = self.process.stderr.read()
        status = self.process.wait(timeout=30)
        self.process.stdout.close()
        self.process.stderr.close()
        return status, errors


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    running = Engine()
    yield running
    assert running.close() == (0, b"")


def test_a_recorded_game_is_played_through_the_protocol(engine):
    record = min(read_records(SAMPLE / "square8-2p.jsonl.gz"), key=lambda record: record["n"])
    started = engine.ask("new", board=record["board"], players=record["players"], swap=record["swapRule"])
    assert started == {"ok": True}
    for ply, key in enumerate(record["mv"]):
        keys = engine.ask("legal")["keys"]
        assert (len(keys), hash16("\n".join(keys))) == (record["lc"][ply], record["lh"][ply])
        assert engine.ask("apply", key=key) == {"ok": True}
        if ply < record["n"] - 1:
            assert engine.ask("state")["hash"] == record["sh"][ply]


def test_a_game_is_written_and_loaded_through_the_protocol(engine):
    engine.ask("new", board="hex8", players=3)
    for key in ("P:0,0*2", "M:0,0>2,0", "NL"):
        engine.ask("apply", key=key)
    before, written = engine.ask("state"), engine.ask("json")["state"]
    engine.ask("new", board="square8", players=2)
    assert engine.ask("load", state=written) == {"ok": True}
    assert engine.ask("state") == before
    assert engine.ask("legal") == {"keys": ["NT"]}


def test_every_config_can_be_started(engine):
    for config in ALL_CONFIGS:
        assert engine.ask("new", board=config.board, players=config.players) == {"ok": True}
        assert engine.ask("state")["state"]["hd"] == [config.rings_per_player] * config.players


def test_swap_is_on_unless_switched_off(engine):
    for swap, offered in ((None, True), (True, True), (False, False)):
        engine.ask("new", board="square8", players=2, **({} if swap is None else {"swap": swap}))
        for key in ("P:0,0*1", "M:0,0>1,0", "NL", "NT"):
            engine.ask("apply", key=key)
        assert ("SW" in engine.ask("legal")["keys"]) is offered


MALFORMED: list[tuple[bytes, str]] = [
    (b"", "bad_input"),
    (b"{", "bad_input"),
    (b'{"op":', "bad_input"),
    (b"null", "bad_input"),
    (b"[]", "bad_input"),
    (b'"legal"', "bad_input"),
    (b"\xff\xfe{}", "bad_input"),
    (b"{}\x00", "bad_input"),
    (b"[" * 200_000, "bad_input"),
    (b'{"op":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "bad_input"),
    (b'{"op":' + b"9" * 10_000 + b"}", "bad_input"),
    (b'{"op":"new","board":"square8","players":' + b"9" * 4_000 + b"}", "bad_input"),
    (b'{"op":1e999}', "bad_input"),
    (b'{"op":NaN}', "bad_input"),
    (b'{"op":"load","state":{"winner":-Infinity}}', "bad_input"),
    (b'{"op":"load","state":{"winner":1e999}}', "bad_input"),
    (b'{"op":"legal","op":"new"}', "bad_input"),
    (b'{"op":"load","state":{"board":{"stacks":{"3,3":{},"3,3":{}}}}}', "bad_input"),
    (b'{"op":["legal"]}', "bad_input"),
    (b'{"op":"castle"}', "bad_input"),
    (b'{"op":"new"}', "bad_input"),
    (b'{"op":"new","board":"square8","players":true}', "bad_input"),
    (b'{"op":"new","board":"square8","players":2.0}', "bad_input"),
    (b'{"op":"new","board":"square8","players":5}', "bad_input"),
    (b'{"op":"new","board":"square9","players":2}', "unknown_config"),
    (b'{"op":"new","board":"square8","players":2,"swap":"yes"}', "bad_input"),
    (b'{"op":"load"}', "bad_input"),
    (b'{"op":"load","state":[]}', "bad_input"),
    (b'{"op":"load","state":{"board":{"type":"square8"}}}', "bad_input"),
    (b'{"op":"apply"}', "bad_input"),
    (b'{"op":"apply","key":7}', "bad_input"),
    (b'{"op":"apply","key":"\\ud800"}', "bad_input"),
    (b'{"op":"apply","key":"P:99,99*1"}', "illegal_move"),
    (b'{"op":"apply","key":"NP"}', "illegal_move"),
    (b'{"op":"move","level":0,"seed":1}', "bad_input"),
    (b'{"op":"move","level":1}', "bad_input"),
    (b'{"op":"move","level":1,"seed":-1}', "bad_input"),
]


@pytest.mark.parametrize(("line", "code"), MALFORMED, ids=[f"{line[:40]!r}" for line, _ in MALFORMED])
def test_a_malformed_request_gets_one_error_line_and_changes_nothing(engine, line, code):
    engine.ask("new", board="square8", players=2)
    engine.ask("apply", key="P:3,3*2")
    before = engine.ask("json")
    answer = engine.send(line)
    assert list(answer) == ["error"]
    assert answer["error"]["code"] == code
    assert answer["error"]["message"]
    assert "\n" not in answer["error"]["message"]
    assert "Traceback" not in answer["error"]["message"]
    assert engine.ask("json") == before


@pytest.mark.parametrize("op", ["legal", "apply", "state", "json", "move"])
def test_without_a_game_there_is_nothing_to_ask_about(op):
    answer = EngineSession().answer(json.dumps({"op": op, "key": "NP", "level": 1, "seed": 1}).encode())
    assert answer["error"]["code"] == "bad_input"
    assert "no game yet" in answer["error"]["message"]


def test_quit_ends_the_process_and_what_follows_is_not_answered():
    running = Engine()
    assert running.ask("quit") == {"ok": True}
    assert running.close() == (0, b"")


def test_input_without_a_final_line_break_is_answered_too():
    out = io.StringIO()
    serve(io.BytesIO(b'{"op":"new","board":"hex8","players":2}\n{"op":"legal"}'), out)
    answers = [json.loads(line) for line in out.getvalue().splitlines()]
    assert answers[0] == {"ok": True}
    assert len(answers[1]["keys"]) == 183


def test_an_overlong_line_is_one_request():
    out = io.StringIO()
    serve(io.BytesIO(b" " * (LONGEST_LINE + 9) + b'{"op":"quit"}\n{"op":"quit"}\n'), out)
    answers = [json.loads(line) for line in out.getvalue().splitlines()]
    assert "more than" in answers[0]["error"]["message"]
    assert answers[1:] == [{"ok": True}]


def test_whatever_could_be_loaded_can_be_written():
    state = json.dumps(dump_game(Game.new(GameConfig("square8", 2))))
    lines = []
    for depth in range(900, 1000, 3):
        past = '[{"type":"place_ring","player":1,"x":' + "[" * depth + "]" * depth + "}]"
        deep = state.replace('"moveHistory": []', f'"moveHistory": {past}')
        lines += [f'{{"op":"load","state":{deep}}}', '{"op":"json"}']
    out = io.StringIO()
    serve(io.BytesIO("\n".join(lines).encode()), out)
    answers = [json.loads(line) for line in out.getvalue().splitlines()]
    loads, dumps = answers[::2], answers[1::2]
    assert loads[0] == {"ok": True}
    assert loads[-1]["error"]["message"] == "not JSON: nested too deeply"
    assert all("state" in answer for answer in dumps)


def test_an_unforeseen_failure_is_answered_and_the_session_goes_on(monkeypatch):
    session = EngineSession()
    session.answer(b'{"op":"new","board":"square8","players":2}')
    monkeypatch.setattr("ringrift.cli.engine.canonical_state", lambda game: 1 // 0)
    assert session.answer(b'{"op":"state"}')["error"]["code"] == "internal"
    assert len(session.answer(b'{"op":"legal"}')["keys"]) == 192


def test_a_level_chooses_a_legal_key_fixed_by_its_seed(engine):
    pytest.importorskip("ringrift.players.ladder", reason="no players installed")
    engine.ask("new", board="square8", players=2)
    legal = engine.ask("legal")["keys"]
    first = engine.ask("move", level=1, seed=7)["key"]
    assert first in legal
    assert engine.ask("move", level=1, seed=7)["key"] == first
    assert engine.ask("state")["state"]["sk"] == {}
