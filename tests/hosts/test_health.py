"""What a target says of itself is believed only when it is a health report."""

from __future__ import annotations

import json

import pytest

from hosts.health import ASKED_WRONGLY, parse, read_traffic
from inference.metrics import Metrics
from inference.models import ModelSet
from inference.refusals import _STATUS
from ringrift.errors import CorruptData

GOOD = {
    "status": "healthy",
    "models": {"hex8_2p": {"sha256": "a" * 64, "generation": 3}},
    "generation": 7,
    "deployment": "d-7",
    "issues": [],
}


def test_a_report_tells_generation_and_hashes():
    serving = parse("web", json.dumps(GOOD).encode())
    assert (serving.healthy, serving.generation, serving.models) == (True, 7, {"hex8_2p": "a" * 64})


def test_a_report_with_issues_is_not_healthy_whatever_it_says():
    serving = parse("web", json.dumps({**GOOD, "issues": ["canonical_hex8_2p.pth: wrong hash"]}).encode())
    assert not serving.healthy
    assert serving.issues == ("canonical_hex8_2p.pth: wrong hash",)


def test_a_service_that_is_still_loading_has_no_generation():
    report = {**GOOD, "status": "unhealthy", "models": {}, "generation": None, "issues": ["being loaded"]}
    assert parse("web", json.dumps(report).encode()).generation is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b'"healthy"',
        b'{"status": "ok"}',
        json.dumps({**GOOD, "models": ["hex8_2p"]}).encode(),
        json.dumps({**GOOD, "models": {"hex8_2p": "a"}}).encode(),
        json.dumps({**GOOD, "models": {"hex8_2p": {"sha256": "short"}}}).encode(),
        json.dumps({**GOOD, "generation": "7"}).encode(),
        json.dumps({**GOOD, "generation": True}).encode(),
        json.dumps({**GOOD, "issues": 3}).encode(),
    ],
)
def test_anything_else_is_corrupt_data(body):
    with pytest.raises(CorruptData, match="web"):
        parse("web", body)


def page() -> str:
    metrics = Metrics()
    for level, seconds in ((1, 0.01), (1, 0.3), (2, 0.01), (2, 99.0)):
        metrics.answered("heuristic", level, seconds)
    for code in ("bad_input", "overloaded", "RuntimeError"):
        metrics.failed(code)
    return metrics.text(ModelSet(), healthy=True, present=0)


def test_the_counters_of_the_service_are_added_up_over_its_levels():
    traffic = read_traffic(page())
    assert traffic is not None
    assert (traffic.answered, dict(traffic.latency)[0.25], dict(traffic.latency)[10.0]) == (4, 2, 3)


def test_errors_of_clients_are_not_the_errors_of_the_service():
    assert read_traffic(page()).errors == 2


@pytest.mark.parametrize(
    "body", ["", "<html>", page().replace("} 1", "} many"), page().replace('le="', 'l="')]
)
def test_a_page_without_its_counters_tells_nothing(body):
    assert read_traffic(body) is None


def test_every_error_that_the_service_answers_with_a_clients_status_is_known():
    assert {kind.code for kind, status in _STATUS if status < 500} <= ASKED_WRONGLY
