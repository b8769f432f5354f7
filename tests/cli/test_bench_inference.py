"""`bench inference` in the shell: every figure is told, and wrong requests are refused."""

from __future__ import annotations

import json

import pytest

from inference.bench import measure as measuring
from inference.bench.load import Asked
from inference.bench.measure import Answers, Flow, InferenceFigures

FIGURES = InferenceFigures(
    machine="x86_64, 2 cores, load 0.1",
    workers=2,
    models=12,
    network="4x32",
    start_seconds=3.25,
    start_cpu=3.0,
    memory_started=400 << 20,
    memory_used=500 << 20,
    answers=[
        Answers(
            "hex8_2p", 6, "gumbel_mcts", 1000, [Asked(1, 9, 0, 71, 82, 14), Asked(8, 31, 3, 280, 301, 28)]
        )
    ],
    flows=[Flow("hex8_2p", 1, 812.0, 1.25)],
)


@pytest.fixture
def asked(monkeypatch):
    calls = []

    def measured(*arguments):
        calls.append(arguments)
        return FIGURES

    monkeypatch.setattr(measuring, "measure", measured)
    return calls


def test_the_table_names_every_figure(run, asked):
    result = run("bench", "inference")
    assert result.exit_code == 0, result.stderr
    for told in (
        "3.2 s (3.0 s CPU)",
        "400 MiB",
        "500 MiB",
        "812 a second",
        "1.2 ms CPU",
        "gumbel_mcts",
        "1000",
    ):
        assert told in result.stdout
    for told in ("71", "82", "280", "301", "31, 3 failed"):
        assert told in result.stdout
    ((configs, levels, seconds, _, _),) = asked
    assert (len(configs), levels, seconds) == (12, [1, 2, 3, 4, 5, 6], 0.5)


def test_json_holds_what_was_measured(run, asked):
    result = run("bench", "inference", "--config", "hex8_2p", "--level", "6", "--workers", "3", "--json")
    told = json.loads(result.stdout)
    assert told["start_seconds"] == 3.25
    assert told["answers"][0]["asked"][1] == {
        "clients": 8,
        "requests": 31,
        "failed": 3,
        "p50": 280,
        "p99": 301,
        "per_second": 28,
    }
    ((configs, levels, _, workers, _),) = asked
    assert ([config.key for config in configs], levels, workers) == (["hex8_2p"], [6], 3)


@pytest.mark.parametrize(
    ("option", "value"), [("--config", "hex9_2p"), ("--level", "11"), ("--seconds", "0")]
)
def test_a_wrong_request_is_refused_before_anything_runs(run, asked, option, value):
    result = run("bench", "inference", option, value)
    assert result.exit_code == 2
    assert (result.stdout, asked) == ("", [])
