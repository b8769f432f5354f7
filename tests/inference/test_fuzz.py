"""The OpenAPI page is true: whatever it allows gets an answer that it describes, and never a 5xx."""

from __future__ import annotations

import httpx
import hypothesis
import pytest
import schemathesis
from hypothesis import strategies
from schemathesis import checks

from inference.app import build_app
from ringrift.game.config import ALL_CONFIGS
from ringrift.game.play import Game
from ringrift.notation.gamestate import dump_game

pytestmark = pytest.mark.timeout(1200)

CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.unsupported_method,
]
"""Left out: what is right by the page may still be no position, and numbers may be written as text."""

fuzzed = hypothesis.settings(
    max_examples=25,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)


@pytest.fixture(scope="module")
def page(service):
    return schemathesis.openapi.from_url(f"{service.url}/openapi.json")


def paths(method):
    app = build_app(None, None)
    return sorted(path for path, methods in app.openapi()["paths"].items() if method in methods)


def ask(page, path, method, change=lambda case, data: None):
    """Send generated requests; return the statuses that came back."""
    seen = []

    @fuzzed
    @hypothesis.given(case=page[path][method].as_strategy(), data=strategies.data())
    def send(case, data):
        change(case, data)
        seen.append(case.call_and_validate(checks=CHECKS, timeout=60).status_code)

    send()
    return set(seen)


@pytest.mark.parametrize("path", paths("get"))
def test_every_answer_to_a_get_is_one_that_the_page_describes(page, path):
    assert 200 in ask(page, path, "get")


@pytest.mark.parametrize("path", paths("post"))
def test_every_answer_to_a_generated_body_is_one_that_the_page_describes(page, path):
    assert ask(page, path, "post") <= {200, 400, 422}


@pytest.mark.parametrize("path", [path for path in paths("post") if "choice" not in path])
def test_every_answer_about_a_real_position_is_one_that_the_page_describes(page, path):
    def put_in(case, data):
        config = data.draw(strategies.sampled_from(ALL_CONFIGS))
        case.body = {**case.body, "game_state": dump_game(Game.new(config)), "seed": 1}
        case.body |= {"player_number": data.draw(strategies.integers(1, 4))}
        case.body |= {"difficulty": data.draw(strategies.integers(1, 4))}

    assert 200 in ask(page, path, "post", put_in)


def test_a_query_does_not_change_what_is_chosen(service):
    """The routes of the choices are made in a loop, whose variable must not become a parameter."""
    body = {"player_number": 1, "options": [{"size": 1, "regionId": "a"}]}
    answer = httpx.post(f"{service.url}/ai/choice/region_order?choice=nonsense", json=body)
    assert answer.json()["selectedOption"] == body["options"][0]
