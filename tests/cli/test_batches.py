"""Many hosts from the shell: plans, batches with their exit status, debts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ringrift.protocol.batches import BatchHostView, BatchView, DebtView, PlanView


def batch(state: str = "running", *hosts: tuple[str, str, str]) -> BatchView:
    """Return a batch with hosts as (name, state, reason)."""
    counts: dict[str, int] = {}
    for _, each, _ in hosts:
        counts[each] = counts.get(each, 0) + 1
    rows = [
        BatchHostView(host=name, state=each, wave=1, reason=reason, operation=None)
        for name, each, reason in hosts
    ]
    return BatchView(
        id="batch_1", kind="provision", state=state, reason="", actor="me", canary=1, width=16, budget=4,
        counts=counts, hosts=rows, age=3.0, seconds=None,
    )  # fmt: skip


BEGUN = batch("running", ("a", "running", ""), ("b", "waiting", ""))
GOOD = batch("succeeded", ("a", "succeeded", ""), ("b", "succeeded", "unchanged"))
MIXED = batch("failed", ("a", "failed", "disk full"), ("b", "owed", "no answer"))
HALTED = batch("halted", ("a", "failed", "disk full"), ("b", "waiting", ""))


def test_converging_sends_the_order_and_shows_hosts_as_they_end(run, world) -> None:
    world.answers = {("POST", "batches"): [BEGUN], ("GET", "batches/batch_1"): [BEGUN, GOOD]}
    result = run("hosts", "converge", "--all", "--kind", "mac", "--canary", "2", "--budget", "0")
    assert result.exit_code == 0, result.stderr
    [sent] = world.sent("POST", "/v1/batches")
    assert (sent["kind"], sent["everything"], sent["kinds"], sent["hosts"]) == (
        "provision",
        True,
        ["mac"],
        [],
    )
    assert (sent["canary"], sent["width"], sent["budget"]) == (2, None, 0)
    assert "a: running\na: succeeded\nb: succeeded unchanged\n" in result.stderr
    assert "unchanged" in result.stdout


@pytest.mark.parametrize(
    ("end", "told"), [(MIXED, "1 failed, 1 owed of 2 hosts"), (HALTED, "batches resume batch_1")]
)
def test_hosts_that_failed_or_owe_end_with_three(run, world, end: BatchView, told: str) -> None:
    world.answers = {("POST", "batches"): [BEGUN], ("GET", "batches/batch_1"): [end]}
    result = run("hosts", "update", "a", "b", "--json")
    assert result.exit_code == 3 and told in result.stderr
    assert json.loads(result.stdout)["state"] == end.state
    assert run("hosts", "update", "a", "b", "--no-wait").exit_code == 0


def test_a_plan_shows_lines_and_hash_and_ends_with_three_when_a_host_is_silent(run, world) -> None:
    silent: list[Any] = [PlanView(host="b", error="b does not answer")]
    world.answers = {
        ("POST", "plans"): [[PlanView(host="a", hash="c" * 64, lines=["release: put new", "service: start"])]]
    }
    for verb in (("plan",), ("converge", "--dry-run")):
        result = run("hosts", *verb, "a")
        assert result.exit_code == 0
        assert "cccccccccccc" in result.stdout and "service: start" in result.stdout
    assert world.sent("POST", "/v1/batches") == []
    world.answers[("POST", "plans")] = [silent]
    assert run("hosts", "plan", "b").exit_code == 3


def test_batches_are_listed_shown_and_changed(run, world) -> None:
    world.answers = {
        ("GET", "batches"): [[GOOD]],
        ("GET", "batches/batch_1"): [MIXED],
        ("POST", "batches/batch_1/cancel"): [batch("cancelled")],
        ("POST", "batches/batch_1/retry"): [BEGUN],
    }
    assert "2 succeeded" in run("batches", "list").stdout
    assert "disk full" in run("batches", "show", "batch_1").stdout
    assert run("batches", "cancel", "batch_1").exit_code == 0
    assert run("batches", "retry", "batch_1").exit_code == 2
    assert world.sent("POST", "/v1/batches/batch_1/retry") == []
    assert run("batches", "retry", "batch_1", "--failed", "--no-wait").exit_code == 0


def test_debts_are_shown(run, world) -> None:
    debt = DebtView(id="d", host="a", kind="provision", batch="batch_1", reason="no answer", age=60.0)
    world.answers = {("GET", "debts"): [[debt]]}
    assert "no answer" in run("hosts", "debts").stdout
