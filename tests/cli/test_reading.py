"""Verbs that only read: a table for people, JSON for programs, data alone on stdout."""

from __future__ import annotations

import json

import pytest

from tests.cli import sample

READING = (
    ("status", "receipts: 166458 games receipted, 166458 stored"),
    ("hosts list", "gh200-01"),
    ("hosts show gh200-01", "ring@"),
    ("hosts probe gh200-01", "as pinned"),
    ("configs list", "hexagonal_4p"),
    ("configs show hex8_2p", "hex8_2p"),
    ("models list --config hex8_2p", sample.CANDIDATE[:8]),
    (f"models show {sample.CANDIDATE[:12]}", sample.CANDIDATE),
    ("evaluate list --state accepted", "accepted"),
    (f"evaluate show {sample.evaluation().id}", "won by seat"),
    ("jobs list --kind selfplay --limit 5", "selfplay"),
    ("targets list", "eu-2"),
    ("targets show eu-2", "drifted"),
    ("why hex8_2p", "waits for a decision"),
    ("events --after 3", "evaluation.accepted"),
    ("audit verify", "sound"),
)


@pytest.mark.parametrize(("line", "shown"), READING)
def test_a_reading_verb_shows_a_table(line: str, shown: str, run, world) -> None:
    result = run(*line.split())
    assert result.exit_code == 0, result.stderr
    assert shown in result.stdout
    assert result.stderr == ""


@pytest.mark.parametrize(("line", "_"), READING)
def test_a_reading_verb_prints_json_and_nothing_else(line: str, _: str, run, world) -> None:
    result = run(*line.split(), "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout) is not None


def test_json_counts_before_the_verb_too(run, world) -> None:
    result = run("--json", "hosts", "list")
    assert [view["name"] for view in json.loads(result.stdout)][:1] == ["gh200-01"]


def test_status_shouts_when_receipts_and_games_differ(run, world) -> None:
    receipts = world.status.receipts.model_copy(update={"games_stored": 7})
    world.status = world.status.model_copy(update={"receipts": receipts})
    assert "THE COUNTS DIFFER" in run("status").stdout


def test_text_from_the_wire_cannot_steer_the_terminal(run, world) -> None:
    evil = "\x1b]0;owned\x07\x1b[31m[red]x[/red] [link=http://e.example]y[/link]\u202e"
    hosts = [world.status.hosts[0].model_copy(update={"running": [], "idle_reason": evil})]
    world.status = world.status.model_copy(update={"hosts": hosts})
    result = run("hosts", "list")
    assert "[red]x[/red] [link=http://e.example]y[/link]" in result.stdout
    assert not any(character in result.stdout for character in "\x1b\x07\u202e")


def test_a_broken_audit_chain_is_corrupt_data(run, world) -> None:
    world.failures["GET", "/v1/audit/verify"] = (200, b'{"rows": 9, "sound": false, "first_bad": 4}')
    result = run("audit", "verify")
    assert result.exit_code == 8
    assert "breaks at event 4" in result.stderr


def test_unknown_fields_of_a_newer_controller_are_ignored(run, world) -> None:
    newer = json.loads(sample.why("hex8_2p").model_dump_json()) | {"invented": {"later": 1}}
    world.failures["GET", "/v1/why/hex8_2p"] = (200, json.dumps(newer).encode())
    assert run("why", "hex8_2p").exit_code == 0
