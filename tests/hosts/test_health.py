"""What a target says of itself is believed only when it is a health report."""

from __future__ import annotations

import json

import pytest

from hosts.health import parse
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
