"""What the Node game server calls beside `/move`, field for field, against one running service."""

from __future__ import annotations

import json

import httpx
import pytest

from inference.metrics import Metrics
from inference.models import ModelSet
from ringrift.game.config import ALL_CONFIGS, GameConfig
from ringrift.game.play import Game
from ringrift.notation.fingerprint import fingerprint, fingerprint_text
from ringrift.notation.gamestate import dump_game, load_game
from ringrift.notation.movejson import move_to_json
from tests.inference.conftest import said
from tests.inference.test_move import AGAINST_THE_RULES, opening, same

pytestmark = pytest.mark.timeout(1200)

REPLY = {
    *("move", "evaluation", "thinking_time_ms", "ai_type", "difficulty", "heuristic_profile_id"),
    *("use_neural_net", "nn_model_id", "nn_checkpoint", "nnue_checkpoint"),
}
NOT_OURS = {
    "/ai/cache": "nothing is cached that a game server could see",
    "/ai/cache/stats": "as above",
    "/ai/model_freshness": "training is the controller's",
    "/ai/reload_models": "models change by deployment only",
    "/ai/moves_batch": "nobody calls it",
    "/api/online-learning/learn_from_game": "models learn on the fleet only",
}
"""Routes of the former service that are gone on purpose (contract, sections 7 and 13): 404."""


def ask(service, path, **body):
    return httpx.post(f"{service.url}{path}", json=body, timeout=60)


def test_every_sample_gets_a_move_that_the_game_server_uses(service, positions):
    wrong = []
    for name, sample in positions.items():
        if name in AGAINST_THE_RULES:
            continue
        body = {"game_state": sample["move_request"]["game_state"], **sample["ai_move_request_extra"]}
        body["difficulty"] = min(body["difficulty"], 4)
        answer = ask(service, "/ai/move", **body)
        assert answer.status_code == 200, f"{name}: {answer.text}"
        assert set(answer.json()) == REPLY
        wanted = {entry.replace("|to=0,0", "").replace("|to=0,0,0", "") for entry in sample["recommended"]}
        if same(answer.json()["move"]) not in wanted:
            wrong.append((name, answer.json()["move"]))
    assert wrong == []


def test_the_reply_names_the_net_that_moved(service):
    reply = ask(service, "/ai/move", **opening(difficulty=5, seed=1)).json()
    assert reply["use_neural_net"] is True
    assert reply["nn_model_id"] == service.deployment.sha256("square8_2p", 0)
    assert reply["nn_checkpoint"] == "canonical_square8_2p.pth"
    reply = ask(service, "/ai/move", **opening(difficulty=2, seed=1)).json()
    assert (reply["use_neural_net"], reply["nn_model_id"]) == (False, None)


@pytest.mark.parametrize(
    ("asked", "moved"),
    [
        *((name, name) for name in ("random", "heuristic", "minimax", "mcts", "gumbel_mcts", "policy_only")),
        *((name, "heuristic") for name in ("descent", "ig_gmo", "nnue_maxn", None)),
    ],
)
def test_a_wished_kind_of_player_moves_where_we_have_it(service, asked, moved):
    reply = ask(service, "/ai/move", **opening(difficulty=2, ai_type=asked, seed=1)).json()
    assert reply["ai_type"] == moved
    assert reply["move"] is not None


@pytest.mark.parametrize(
    ("changes", "loc", "says"),
    [
        ({"difficulty": 0}, ["body", "difficulty"], "greater than or equal to 1"),
        ({"difficulty": 11}, ["body", "difficulty"], "less than or equal to 10"),
        ({"difficulty": None}, ["body", "difficulty"], "difficulty"),
        ({"difficulty": True}, ["body", "difficulty"], "not true or false"),
        ({"player_number": 0}, ["body", "player_number"], "greater than or equal to 1"),
        ({"player_number": 3}, ["body", "player_number"], "exceeds the number of players (2)"),
        ({"seed": -1}, ["body", "seed"], "greater than or equal to 0"),
        ({"seed": 1 << 31}, ["body", "seed"], "less than or equal to 2147483647"),
        ({"seed": 1.5}, ["body", "seed"], "seed"),
        ({"ai_type": "stockfish"}, ["body", "ai_type"], "ai_type"),
        ({"game_state": "x"}, ["body", "game_state"], "dictionary"),
        ({"game_state": {}}, ["body", "game_state"], "board: missing"),
    ],
)
def test_what_is_out_of_range_is_refused_and_named(service, changes, loc, says):
    answer = ask(service, "/ai/move", **{**opening(difficulty=1), **changes})
    assert answer.status_code == 422
    assert says in said(answer)
    assert answer.json()["detail"][0]["loc"] == loc


def test_the_default_level_is_five(service):
    assert ask(service, "/ai/move", **opening(seed=1)).json()["difficulty"] == 5


def test_the_malformed_samples_meant_for_ai_move_never_make_it_fail(service, malformed):
    for name, sample in malformed.items():
        request = sample["request"]
        if request["method"] != "POST" or request["path"] == "/nope" or name == "huge-body-12MB":
            continue
        headers = request["headers"]
        answer = httpx.post(
            f"{service.url}/ai/move", content=request["body"].encode(), headers=headers, timeout=60
        )
        assert answer.status_code in (200, 422), f"{name}: {answer.text}"
        assert answer.status_code == 200 or said(answer), name


def test_every_other_sample_gets_the_documented_answer(service, others):
    asked = set()
    for sample in others:
        request, path = sample["request"], sample["request"]["path"]
        answer = httpx.request(
            request["method"],
            service.url + path,
            json=request["body"],
            headers=request["headers"],
            timeout=60,
        )
        bare = path.split("?")[0]
        if bare in NOT_OURS:
            assert answer.status_code in (404, 405), path
            continue
        wanted = sample["status"]
        if bare == "/internal/ladder/health" and "hex8" in path:
            wanted = 200  # the former service knew three boards only
        if bare == "/move":
            wanted = 200  # the former service had this route elsewhere
        assert answer.status_code == wanted, f"{path}: {answer.text[:200]}"
        if wanted == sample["status"] == 200 and sample["fields"] and bare not in ("/health", "/", "/move"):
            missing = set(sample["fields"]) - set(answer.json())
            assert not missing, f"{path}: {missing}"
        asked.add(bare)
    assert {"/ai/evaluate", "/ai/evaluate_position", "/rules/evaluate_move", "/metrics"} <= asked


def test_choices_return_the_very_option_that_was_listed(service, others):
    seen = set()
    for sample in others:
        request = sample["request"]
        if not request["path"].startswith("/ai/choice/") or not (request["body"] or {}).get("options"):
            continue
        answer = ask(service, request["path"], **request["body"])
        if answer.status_code == 200:
            chosen = answer.json()["selectedOption"]
            assert chosen in request["body"]["options"]
            if isinstance(chosen, dict):
                told = {key: value for key, value in sample["selected"].items() if type(value) in (int, str)}
                assert told.items() <= chosen.items(), "the former service chose another one"
            seen.add(request["path"])
    assert len(seen) == 5


@pytest.mark.parametrize(
    ("choice", "options", "status", "says"),
    [
        ("ring_elimination", [3], 422, "options.0: an object is needed"),
        ("ring_elimination", [{"capHeight": "x", "totalHeight": 1}], 422, "options.0.capHeight"),
        ("line_order", [{"markerPositions": 3}], 422, "options.0.markerPositions"),
        ("line_reward_option", ["option_3"], 422, "options.0"),
        ("line_order", [], 400, "line_order choice has no options"),
        ("nothing", [], 404, "Not Found"),
    ],
)
def test_a_choice_that_cannot_be_made_says_why(service, choice, options, status, says):
    answer = ask(service, f"/ai/choice/{choice}", player_number=1, options=options)
    assert answer.status_code == status
    assert says in said(answer)


def test_what_an_option_holds_comes_back_whatever_it_is(service):
    for number, name in ((10**300, "\ud800"), (-5, "\x00"), (1.5, "x" * 100_000)):
        option = {"size": number, "regionId": name}
        body = json.dumps({"player_number": 1, "options": [option]})
        answer = httpx.post(f"{service.url}/ai/choice/region_order", content=body)
        assert answer.status_code == 200
        assert answer.json()["selectedOption"] == option


def test_no_depth_of_an_option_makes_the_service_fail(service):
    for depth in (100, 900, 950, 960, 970, 980, 990, 1000, 100_000):
        deep = "[" * depth + "]" * depth
        body = f'{{"player_number": 1, "options": [{{"size": 1, "x": {deep}}}]}}'
        answer = httpx.post(f"{service.url}/ai/choice/region_order", content=body)
        assert answer.status_code in (200, 422), depth
        assert answer.status_code == 200 or "nested too deeply" in said(answer)


def test_values_of_a_position_are_centred_and_chances_sum_to_one(service, positions):
    for name in ("square8-2p-movement-mid", "hex8-3p-late"):
        state = positions[name]["move_request"]["game_state"]
        reply = ask(service, "/ai/evaluate_position", game_state=state).json()
        seats = reply["per_player"].values()
        assert sum(seat["totalEval"] for seat in seats) == pytest.approx(0.0, abs=1e-6)
        assert sum(seat["winProbability"] for seat in seats) == pytest.approx(1.0, abs=1e-3)
        assert reply["move_number"] == len(state["moveHistory"])
        alone = ask(service, "/ai/evaluate", game_state=state, player_number=1).json()
        assert alone["score"] == pytest.approx(reply["per_player"]["1"]["totalEval"])
        terms = {name: value for name, value in alone["breakdown"].items() if name != "total"}
        assert sum(terms.values()) == pytest.approx(alone["score"])


def test_a_legal_move_is_valid_and_leads_to_the_position_that_the_rules_say(service):
    game = Game.new(GameConfig.parse("hex8_3p"))
    for _ in range(20):
        move = int(game.legal()[0])
        body = {"game_state": dump_game(game), "move": move_to_json(game, move)}
        reply = ask(service, "/rules/evaluate_move", **body).json()
        game.apply(move)
        assert reply["valid"] is True
        again = load_game(reply["next_state"])
        assert fingerprint_text(again) == fingerprint_text(game)
        assert sorted(again.legal()) == sorted(game.legal())
        assert reply["state_hash"] == fingerprint(game)
    reply = ask(
        service, "/rules/evaluate_move", game_state=dump_game(game), move={"type": "swap_sides", "player": 2}
    ).json()
    assert reply["valid"] is False
    assert reply["validation_error"]
    assert reply["next_state"] is None


def test_the_ladder_tells_every_level_of_every_config(service):
    report = httpx.get(f"{service.url}/internal/ladder/health").json()
    assert report["summary"]["tiers"] == len(report["tiers"]) == 10 * len(ALL_CONFIGS)
    assert report["summary"]["missing_neural_checkpoints"] == 0
    one = httpx.get(
        f"{service.url}/internal/ladder/health",
        params={"board_type": "hex8", "num_players": 3, "difficulty": 9},
    ).json()["tiers"]
    assert [tier["model_id"] for tier in one] == [service.deployment.sha256("hex8_3p", 0)]
    for wrong in ({"board_type": "go"}, {"num_players": "5"}, {"difficulty": "x"}, {"difficulty": "²"}):
        answer = httpx.get(f"{service.url}/internal/ladder/health", params=wrong)
        assert answer.status_code == 400, wrong


def test_a_large_count_is_told_to_the_last_digit():
    metrics = Metrics()
    metrics._requests[()] = 12_345_678
    assert "ai_move_requests_total 12345678\n" in metrics.text(ModelSet(), healthy=True, present=0)


def test_metrics_count_moves_errors_and_what_is_served(service):
    def values():
        lines = httpx.get(f"{service.url}/metrics").text.splitlines()
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines if line[0] != "#"}

    before = values()
    assert ask(service, "/ai/move", **opening(difficulty=1)).status_code == 200
    assert ask(service, "/ai/move", **opening(difficulty=12)).status_code == 422
    after = values()
    moves = 'ai_move_requests_total{ai_type="random",difficulty="1",outcome="success"}'
    assert after[moves] == before.get(moves, 0) + 1
    errors = 'ringrift_ai_errors_total{error_type="bad_input"}'
    assert after[errors] == before.get(errors, 0) + 1
    sha256 = service.deployment.sha256("hex8_2p", 0)
    assert f'ringrift_inference_model_generation{{config="hex8_2p",sha256="{sha256}"}}' in after
    assert after["ringrift_inference_healthy"] == 1
    assert after["process_resident_memory_bytes"] > 1 << 26
