"""`POST /move` as game servers call it, against one running service with a model of every config."""

from __future__ import annotations

import copy
import json

import httpx
import pytest

from inference.models import midgame
from ringrift.game.config import ALL_CONFIGS, GameConfig
from ringrift.game.play import Game
from ringrift.notation.gamestate import dump_game, load_game
from ringrift.notation.movejson import move_from_json
from tests.inference.conftest import said

pytestmark = pytest.mark.timeout(1200)

SENTINEL = {"x": 0, "y": 0}
AGAINST_THE_RULES = {"square8-2p-decision-line": "no_line_action"}
"""A state that the server never sends: it lists a run of three markers as a line of square8 with two players,
where the rules (R120) want four. The legal move is served."""


def opening(key="square8_2p", **fields):
    return {"game_state": dump_game(Game.new(GameConfig.parse(key))), "player_number": 1, **fields}


def cell(position):
    return ",".join(str(position[axis]) for axis in ("x", "y", "z") if axis in position)


def described(move):
    """Write a move as the samples do, in which the server's comparison is spelled out."""
    words = [move["type"], f"p{move['player']}"]
    if "disconnectedRegions" in move:
        words.append("region=" + ";".join(cell(space) for space in move["disconnectedRegions"][0]["spaces"]))
    elif "formedLines" in move:
        words.append("line=" + ";".join(cell(marker) for marker in move["formedLines"][0]["positions"]))
    else:
        words += [f"from={cell(move['from'])}"] if "from" in move else []
        words += [f"over={cell(move['captureTarget'])}"] if "captureTarget" in move else []
        words += [f"to={cell(move['to'])}"] if move["to"] != SENTINEL or len(words) > 2 else []
        words += [f"n={move['placementCount']}"] if "placementCount" in move else []
    return "|".join(words)


def same(move):
    """Compare moves in which the origin of the board may look like the sentinel."""
    return described(move).replace("|to=0,0", "")


def positions_in(value):
    if isinstance(value, dict):
        if "x" in value:
            yield value
        for inner in value.values():
            yield from positions_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from positions_in(inner)


@pytest.mark.parametrize("config", ALL_CONFIGS, ids=lambda config: config.key)
def test_every_config_is_served_legal_moves_by_its_own_net(service, config):
    for game in (Game.new(config), midgame(config)):
        body = {"game_state": dump_game(game), "player_number": game.player, "difficulty": 6, "seed": 3}
        answer = service.move(body)
        assert answer.status_code == 200, answer.text
        reply = answer.json()
        assert game.is_legal(move_from_json(game, reply["move"]))
        assert reply["model"] == service.deployment.sha256(config.key, 0)
        assert reply["difficulty"] == 6
        assert -1.0 <= reply["evaluation"] <= 1.0
        assert type(reply["thinking_time_ms"]) is int
        assert reply["thinking_time_ms"] >= 0


@pytest.mark.parametrize("level", range(1, 11))
def test_every_level_answers_and_says_what_moved(service, level):
    reply = service.move(opening(difficulty=level, seed=1)).json()
    assert reply["move"] is not None
    assert reply["difficulty"] == level
    names = {1: "random", 2: "heuristic", 3: "minimax", 4: "mcts"}
    assert reply["ai_type"] == names.get(level, "gumbel_mcts")
    assert (reply["model"] is not None) == (level in range(5, 11))


def test_every_sample_gets_a_move_that_the_game_server_uses(service, positions):
    wrong = []
    for name, sample in positions.items():
        if name in AGAINST_THE_RULES:
            continue
        answer = service.move(sample["move_request"])
        assert answer.status_code == 200, f"{name}: {answer.text}"
        move = answer.json()["move"]
        wanted = {entry.replace("|to=0,0", "").replace("|to=0,0,0", "") for entry in sample["recommended"]}
        if same(move) not in wanted:
            wrong.append((name, move))
    assert len(positions) == 57
    assert wrong == []


def test_where_a_sample_contradicts_the_rules_the_legal_move_is_served(service, positions):
    for name, kind in AGAINST_THE_RULES.items():
        assert service.move(positions[name]["move_request"]).json()["move"]["type"] == kind


def test_no_seed_makes_the_service_skip_a_capture(service, positions):
    captures = [
        sample
        for sample in positions.values()
        if sample["move_request"]["game_state"]["currentPhase"] == "capture"
    ]
    assert len(captures) >= 8
    for sample in captures:
        for seed in range(8):
            body = {**sample["move_request"], "difficulty": 1, "seed": seed}
            move = service.move(body).json()["move"]
            assert described(move) in sample["recommended"]


def test_positions_carry_z_on_hex_boards_only_and_null_fields_are_left_out(service, positions):
    for name, sample in positions.items():
        move = service.move({**sample["move_request"], "difficulty": 1}).json()["move"]
        assert None not in move.values(), name
        for position in positions_in({field: move[field] for field in move}):
            if position == SENTINEL:
                continue
            assert ("z" in position) == name.startswith("hex"), name


def test_the_same_request_gets_the_same_move(service, positions):
    for name in ("square8-2p-movement-mid", "hex8-3p-late"):
        for difficulty in (1, 2):
            body = {**positions[name]["move_request"], "difficulty": difficulty, "seed": 77}
            assert service.move(body).json()["move"] == service.move(body).json()["move"]


def test_the_seed_comes_from_the_request_then_from_the_game_then_from_the_seat(service, positions):
    body = copy.deepcopy(positions["hexagonal-2p-movement-mid"]["move_request"]) | {"difficulty": 1}

    def moves(**fields):
        return described(service.move({**body, **fields}).json()["move"])

    del body["seed"]
    body["game_state"]["rngSeed"] = 5
    assert moves() == moves(seed=5)
    assert moves(seed=None) == moves(seed=5)
    del body["game_state"]["rngSeed"]
    derived = ((1 * 1_000_003) ^ (body["player_number"] * 97_911)) & 0x7FFFFFFF
    assert moves() == moves(seed=derived)
    assert len({moves(seed=seed) for seed in range(12)}) > 1


@pytest.mark.parametrize("seed", [-1, 1 << 31, 1 << 70, "12", 12.0])
def test_any_whole_number_is_a_seed(service, seed):
    assert service.move(opening(difficulty=1, seed=seed)).json()["move"] is not None


@pytest.mark.parametrize(
    ("asked", "used"), [(0, 1), (-5, 1), (11, 10), (10**30, 10), ("2", 2), (2.0, 2), ("7", 7)]
)
def test_difficulty_is_clamped_and_may_be_written_laxly(service, asked, used):
    assert service.move(opening(difficulty=asked, seed=1)).json()["difficulty"] == used


def test_the_default_level_is_three(service):
    assert service.move(opening(seed=1)).json()["difficulty"] == 3


@pytest.mark.parametrize("seat", [2, 0, -1, 9])
def test_a_seat_that_is_not_to_move_gets_no_move(service, seat):
    reply = service.move(opening(difficulty=6) | {"player_number": seat}).json()
    assert reply["move"] is None
    assert reply["evaluation"] == 0
    assert reply["model"] is None


@pytest.mark.parametrize("status", ["completed", "finished", "abandoned", "paused", "waiting"])
def test_a_game_that_does_not_run_gets_no_move(service, status):
    body = opening(difficulty=1)
    body["game_state"]["gameStatus"] = status
    assert service.move(body).json()["move"] is None


def test_field_names_may_be_snake_case_and_unknown_fields_are_ignored(service):
    state = opening()["game_state"]
    game = load_game(state)
    snake = {
        "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in key): state[key]
        for key in state
    }
    body = {
        "game_state": snake,
        "player_number": 1,
        "difficulty": 1,
        "seed": 4,
        "ai_type": "stockfish",
        "x": [1],
    }
    reply = service.move(body).json()
    assert game.is_legal(move_from_json(game, reply["move"]))


def test_no_malformed_request_makes_the_service_fail(service, malformed):
    assert len(malformed) == 48
    for name, sample in malformed.items():
        request = sample["request"]
        path = "/move" if request["path"].startswith("(") else request["path"]
        content = request["body"].encode()
        if name == "huge-body-12MB":
            state = opening()["game_state"] | {"history": ["x" * 1000] * 12_000}
            content = json.dumps({"game_state": state, "player_number": 1, "difficulty": 1}).encode()
        answer = httpx.request(
            request["method"], service.url + path, content=content, headers=request["headers"], timeout=60
        )
        assert answer.status_code < 500, f"{name}: {answer.text}"
        if answer.status_code != 200:
            detail = said(answer)
            assert detail, name
            assert "\n" not in detail, name


@pytest.mark.parametrize(
    ("name", "status", "says"),
    [
        ("get-instead-of-post", 405, "Method Not Allowed"),
        ("unknown-path", 404, "Not Found"),
        ("not-json", 422, "the body is no JSON"),
        ("empty-body", 422, "the body is no JSON"),
        ("difficulty-null", 422, "difficulty: "),
        ("seed-fraction", 422, "seed: "),
        ("player_number-text", 422, "player_number: "),
        ("missing-player_number", 422, "player_number: "),
        ("game_state-string", 422, "game_state: "),
        ("currentPlayer-missing", 422, "currentPlayer"),
        ("phase-unknown", 422, "currentPhase"),
        ("stack-height-lie", 422, "stackHeight"),
        ("boardType-mismatch", 422, "board.type"),
        ("players-empty", 422, "players"),
    ],
)
def test_what_is_wrong_with_a_request_is_named(service, malformed, name, status, says):
    request = malformed[name]["request"]
    path = "/move" if request["path"].startswith("(") else request["path"]
    answer = httpx.request(request["method"], service.url + path, content=request["body"].encode())
    assert answer.status_code == status
    assert says in said(answer)


@pytest.mark.parametrize(
    "name", ["minimal-state", "position-z-null", "extra-top-level-field", "no-content-type"]
)
def test_odd_but_playable_requests_get_a_move(service, malformed, name):
    answer = httpx.post(f"{service.url}/move", content=malformed[name]["request"]["body"].encode())
    assert answer.status_code == 200, answer.text
    assert answer.json()["move"]["type"] == "move_stack"


@pytest.mark.parametrize(
    "body",
    [
        b'{"game_state": {}, "player_number": NaN}',
        b'{"game_state": {"id": Infinity}, "player_number": 1}',
        b'{"game_state": {"x": 1e999}, "player_number": 1}',
        b"\xff\xfe\x00",
        b"[" * 200_000,
        b'{"game_state": ' + b"[" * 200_000,
        b'{"game_state": {"players": ' + b"9" * 10_000 + b'}, "player_number": 1}',
        b'{"game_state": {"board": {"type": "\\ud800"}}, "player_number": 1}',
        b'{"game_state": {"board": {"type": "square8", "size": 8, "stacks": {"\\ud800": {}}},'
        b' "players": [1, 2], "victoryThreshold": 18, "territoryVictoryThreshold": 33}, "player_number": 1}',
        b"null",
        b'"x"',
    ],
    ids=range(11),
)
def test_hostile_bodies_get_one_clear_line(service, body):
    answer = httpx.post(f"{service.url}/move", content=body)
    assert answer.status_code == 422
    detail = said(answer)
    assert 0 < len(detail) <= 600
    assert "\n" not in detail


def test_a_body_of_more_than_32_mib_is_refused_and_one_below_it_is_not(service):
    body = opening(difficulty=1, seed=1)
    body["game_state"]["history"] = "x" * (31 << 20)
    assert service.move(body).status_code == 200
    body["game_state"]["history"] = "x" * (33 << 20)
    try:
        answer = service.move(body)
    except httpx.TransportError:
        return
    assert answer.status_code == 413
    assert "32 MiB" in said(answer)


def test_health_names_what_is_served(service):
    answer = httpx.get(f"{service.url}/health")
    assert answer.status_code == 200
    report = answer.json()
    keys = sorted(config.key for config in ALL_CONFIGS)
    assert report["status"] == "healthy"
    assert report["issues"] == []
    assert report["models_loaded"] == 12
    assert report["model_keys"] == keys
    shown = {"sha256": service.deployment.sha256("hex8_3p", 0), "generation": 0, "evaluation": None}
    assert report["models"]["hex8_3p"] == shown
    assert report["generation"] == 1
    assert report["version"]


def test_probes_and_the_root_answer(service):
    assert httpx.get(f"{service.url}/ready").status_code == 200
    assert httpx.get(f"{service.url}/live").status_code == 200
    root = httpx.get(f"{service.url}/").json()
    assert root["docs"] == "/docs"
    assert {"/health", "/move"} <= set(root["endpoints"])
    assert "/move" in httpx.get(f"{service.url}/openapi.json").json()["paths"]
