"""Alerts from the shell: the list, one of them whole, taking one over, the line of `status`."""

from __future__ import annotations

import json

from tests.cli import sample

HOSTILE = sample.alert("errors", "job", "\x1b[2Jcleared\n# done")


def test_the_list_shows_the_critical_first_and_who_looks_after_what(run, world) -> None:
    shown = run("alerts", "list").stdout
    assert shown.index("92% full") < shown.index("silent for 21 min")
    assert "✖ critical" in shown and "◐ acknowledged" in shown and "ann" in shown
    rows = json.loads(run("alerts", "list", "--json").stdout)
    assert [row["signature"] for row in rows] == [each.signature for each in sample.alerts()]


def test_nothing_wrong_is_said_in_words(run, world) -> None:
    world.answers = {("GET", "alerts"): [[]]}
    assert run("alerts", "list").stdout.strip() == "nothing is wrong"


def test_those_that_are_over_are_asked_for(run, world) -> None:
    over = sample.alert("disk", "a", "full", state="cleared", cleared_age=60.0)
    world.answers = {("GET", "alerts"): [[over]]}
    assert "✔ cleared" in run("alerts", "list", "--cleared", "5").stdout


def test_hostile_text_of_an_alert_does_nothing(run, world) -> None:
    world.answers = {("GET", "alerts"): [[HOSTILE]]}
    shown = run("alerts", "list").stdout
    assert "\x1b" not in shown and "# done" in shown


def test_one_alert_is_shown_whole(run, world) -> None:
    world.answers = {
        ("GET", "alerts/disk%3Aa"): [sample.alerts()[0]],
        ("GET", "alerts/disk:a"): [sample.alerts()[0]],
    }
    shown = run("alerts", "show", "disk:a").stdout
    assert (
        "uploads and games stop" in shown and "14m ago" in shown and "sent, 14m ago" in shown
    )


def test_taking_an_alert_over_says_by_whom(run, world) -> None:
    taken = sample.alerts()[3]
    world.answers = {("POST", "alerts/no-training:square19_4p/ack"): [taken]}
    result = run("alerts", "ack", "no-training:square19_4p", "--json")
    assert result.exit_code == 0 and json.loads(result.stdout)["acknowledged_by"] == "ann"
    [(_, _, body)] = [each for each in world.requests if each[0] == "POST"]
    assert body["actor"]


def test_an_unknown_alert_is_one_line_with_its_status(run, world) -> None:
    world.fail("GET", "/v1/alerts/nope", 404, "not_found", "no single alert 'nope'")
    result = run("alerts", "show", "nope")
    assert result.exit_code == 5 and result.stderr.strip().count("\n") == 0


def test_status_tells_the_open_alerts(run, world) -> None:
    shown = run("status").stdout
    assert "alerts: 4 open, 1 critical, 1 taken care of; disk spot-4090-01: 92% full" in shown
