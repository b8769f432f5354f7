"""Thousands of damaged positions and moves: each is refused with the field named, or means what it says."""

from __future__ import annotations

import copy
import json
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ringrift.cli.engine import EngineSession
from ringrift.errors import BadInput, IllegalMove
from ringrift.game.config import ALL_CONFIGS, GameConfig
from ringrift.game.play import Game
from ringrift.notation.canonical import canonical_state
from ringrift.notation.gamestate import dump_game, load_game
from ringrift.notation.keys import key_of, legal_keys
from ringrift.notation.movejson import move_from_json, move_to_json
from tests.notation.damage import RARE, content, damage, damaged, mid_games

ROUNDS = 850
"""Positions per config: 10,200 in all."""
ROOT = Path(__file__).resolve().parents[2]
FIELD = re.compile(r"(state|board|players|[a-z]+([A-Z][a-z]+)+|winner)(\W\S*)?: ")
every_config = pytest.mark.parametrize("config", ALL_CONFIGS, ids=lambda config: config.key)


def load(state: Any) -> Game | str:
    """Return the game, or the one line of the refusal; any other exception is a failure."""
    try:
        return load_game(state)
    except BadInput as error:
        return error.line()


@every_config
def test_a_damaged_state_is_refused_with_a_field_named_or_is_what_it_says(config: GameConfig):
    generator = random.Random(config.key)
    bases = mid_games(config, 6)
    session = EngineSession()
    refused = 0
    for _ in range(ROUNDS):
        state = damaged(generator.choice(bases), generator)
        found = load(state)
        answer = session.answer(json.dumps({"op": "load", "state": state}).encode())
        if isinstance(found, str):
            refused += 1
            assert FIELD.match(found), found
            assert len(found) < 600
            assert answer["error"]["code"] == "bad_input"
        else:
            assert_unrepaired(state, found)
            assert answer == {"ok": True} or answer["error"]["message"].startswith("not JSON")
            play_on(found, generator)
    assert ROUNDS // 3 < refused < ROUNDS * 9 // 10


def assert_unrepaired(state: dict[str, Any], game: Game) -> None:
    """What was read is what was written, and writing it again changes nothing."""
    written = json.loads(json.dumps(dump_game(game)))
    said, kept = content(state), content(written)
    assert {name: kept.get(name) for name in said if said[name] or kept.get(name)} == {
        name: value for name, value in said.items() if value or kept.get(name)
    }
    again = load_game(written)
    assert json.dumps(dump_game(again)) == json.dumps(written)
    assert again.states.tobytes() == game.states.tobytes()
    assert legal_keys(again) == legal_keys(game)


def play_on(game: Game, generator: random.Random) -> None:
    """Play a few moves; an active game always has one, and can be written at any time."""
    for _ in range(12):
        legal = game.legal().tolist()
        if not legal:
            assert game.over or canonical_state(game)["ss"] in ("waiting", "paused")
            break
        game.apply(generator.choice(legal))
    load_game(json.loads(json.dumps(dump_game(game))))


@every_config
def test_a_damaged_move_is_refused_or_is_the_move_it_describes(config: GameConfig):
    generator = random.Random(config.key)
    refused = 0
    for base in mid_games(config, 8):
        game = load_game(json.loads(base))
        legal = game.legal().tolist()
        rare = [move for move in legal if not key_of(game, move).startswith(RARE)]
        for _ in range(60):
            described = move_to_json(game, generator.choice(rare or legal))
            changed = copy.deepcopy(described)
            damage(changed, generator)
            before = game.states.tobytes()
            try:
                found = move_from_json(game, changed)
            except (BadInput, IllegalMove) as error:
                refused += 1
                assert error.line()
                continue
            assert game.is_legal(found)
            assert_described(move_to_json(game, found), changed)
            assert game.states.tobytes() == before
    assert refused > 150


def assert_described(move: dict[str, Any], given: dict[str, Any]) -> None:
    """The move found is of the stated kind, seat, source and target, wherever they tell moves apart."""
    assert move["player"] == given["player"]
    assert given["type"] in (move["type"], "choose_line_option")
    placed = "from" in move or move["type"] == "place_ring"
    for name in ("from", "captureTarget", *(["to"] if placed else [])):
        if given.get(name) is not None:
            assert [move[name][axis] for axis in "xy"] == [given[name][axis] for axis in "xy"]
    if given.get("recoveryMode") is not None:
        assert move.get("recoveryMode") == given["recoveryMode"]


@every_config
def test_a_damaged_key_is_refused_and_changes_nothing(config: GameConfig):
    generator = random.Random(config.key)
    session = EngineSession()
    for base in mid_games(config, 4):
        state = json.loads(base)
        session.answer(json.dumps({"op": "load", "state": state}).encode())
        before = session.answer(b'{"op":"state"}')
        keys = session.answer(b'{"op":"legal"}')["keys"]
        for _ in range(40):
            text = damaged_text(generator.choice(keys), generator)
            if re.split("[@=]", text)[0] in keys:
                continue
            answer = session.answer(json.dumps({"op": "apply", "key": text}).encode())
            assert answer["error"]["code"] in ("bad_input", "illegal_move"), text
            assert session.answer(b'{"op":"state"}') == before


def damaged_text(text: str, generator: random.Random) -> str:
    at = generator.randrange(len(text) + 1)
    letter = generator.choice("0123456789,:>^*@=/|-PMCLRTE\ud800é")
    return text[:at] + letter + text[at + generator.randrange(3) :]


def test_an_engine_process_survives_every_damaged_request():
    generator = random.Random(1)
    lines = []
    for config in ALL_CONFIGS:
        bases = mid_games(config, 2)
        for _ in range(30):
            state = json.dumps(damaged(generator.choice(bases), generator))
            cut = len(state) if generator.random() < 0.7 else generator.randrange(len(state))
            lines += [f'{{"op":"load","state":{state[:cut]}}}', '{"op":"legal"}', '{"op":"json"}']
    serve = "import sys; from ringrift.cli.engine import serve; serve(sys.stdin, sys.stdout)"
    done = subprocess.run(
        [sys.executable, "-c", serve],
        input="".join(f"{line}\n" for line in lines).encode(),
        capture_output=True,
        cwd=ROOT,
        timeout=240,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(lines)
    codes = {answer["error"]["code"] for answer in answers if "error" in answer}
    assert codes == {"bad_input"}
    assert {"ok": True} in answers
