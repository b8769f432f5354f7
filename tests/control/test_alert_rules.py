"""The rules of alerts, from facts to findings, and what a round remembers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ringrift.control.domain.alert_facts import (
    ConfigFacts,
    ErrorFacts,
    Facts,
    HostFacts,
    QueueFacts,
    TargetFacts,
)
from ringrift.control.domain.alert_memory import Memory, Told, error_facts, error_signature, remember
from ringrift.control.domain.alert_message import MOST, Line, document, slack_document
from ringrift.control.domain.alerts import RULES, findings
from ringrift.control.settings import AlertSettings

MINUTE, HOUR = 60.0, 3600.0
LIMITS = AlertSettings(hourly_budget=10.0)
CALM = Facts(
    watching=100 * HOUR,
    open=frozenset(),
    hosts=tuple(HostFacts(f"h{n}", silent=3.0, live=True, cost=1.0, disk=0.5, memory=0.5) for n in range(5)),
    configs=(ConfigFacts("hex8_2p", untrained=HOUR, data_age=HOUR, elo=50.0, best_elo=40.0),),
    evaluations=(("hex8_2p abc", MINUTE),),
    queues=(QueueFacts("train", 3, 10 * HOUR, MINUTE),),
    targets=(TargetFacts("live", "serving", ""),),
    errors=(ErrorFacts("job.failed x", 19, 0.0), ErrorFacts("job.failed y", 100, 60.0)),
    controller_disk=0.79,
    unsaved=HOUR,
)


def host(**changes: object) -> Facts:
    """Return the calm facts with one host changed."""
    return replace(CALM, hosts=(CALM.hosts[0]._replace(**changes), *CALM.hosts[1:]))


def config(**changes: object) -> Facts:
    return replace(CALM, configs=(replace(CALM.configs[0], **changes),))


TROUBLE = {
    "host-down:h0": (host(silent=5 * MINUTE), "warning"),
    "fleet-unhealthy:fleet": (
        replace(CALM, hosts=tuple(each._replace(live=each.name > "h1") for each in CALM.hosts)),
        "critical",
    ),
    "no-output:h0": (host(fruitless=30 * MINUTE), "warning"),
    "no-training:hex8_2p": (config(untrained=24 * HOUR), "warning"),
    "old-data:hex8_2p": (config(data_age=24 * HOUR), "warning"),
    "champion-regression:hex8_2p": (config(elo=10.0, best_elo=36.0), "critical"),
    "evaluation-stalled:hex8_2p abc": (replace(CALM, evaluations=(("hex8_2p abc", HOUR),)), "warning"),
    "gate-refusals:hex8_2p evaluation": (config(refusals=(("evaluation", 5), ("shape", 4))), "warning"),
    "disk:h0": (host(disk=0.8), "warning"),
    "disk:controller": (replace(CALM, controller_disk=0.9), "critical"),
    "memory:h0": (host(memory=0.85), "warning"),
    "gpu-idle:h0": (host(gpu_idle=30 * MINUTE), "warning"),
    "queue-stuck:train": (replace(CALM, queues=(QueueFacts("train", 3, HOUR, 2 * HOUR),)), "critical"),
    "target:live": (replace(CALM, targets=(TargetFacts("live", "unhealthy", "no model"),)), "critical"),
    "backup:controller": (replace(CALM, unsaved=24 * HOUR), "critical"),
    "cost:fleet": (host(cost=7.0), "warning"),
    "errors:job.failed x": (replace(CALM, errors=(ErrorFacts("job.failed x", 20, 9.0),)), "warning"),
}


def test_a_calm_fleet_has_no_findings() -> None:
    assert findings(CALM, LIMITS) == []


@pytest.mark.parametrize("signature", TROUBLE)
def test_each_trouble_is_one_finding_with_value_limit_and_reason(signature: str) -> None:
    facts, severity = TROUBLE[signature]
    [found] = findings(facts, LIMITS)
    assert (found.signature, found.severity) == (signature, severity)
    assert found.value and found.limit and found.reason
    assert found.value in found.message and found.limit in found.message


def test_every_rule_has_a_case() -> None:
    met = {rule.__name__ for rule in RULES for facts, _ in TROUBLE.values() if list(rule(facts, LIMITS))}
    assert met == {rule.__name__ for rule in RULES}


@pytest.mark.parametrize(
    "signature", ["host-down:h0", "fleet-unhealthy:fleet", "no-output:h0", "gpu-idle:h0"]
)
def test_a_controller_that_was_away_accuses_no_host_but_keeps_what_is_open(signature: str) -> None:
    facts = replace(TROUBLE[signature][0], watching=MINUTE)
    assert findings(facts, LIMITS) == []
    [kept] = findings(replace(facts, open=frozenset({signature})), LIMITS)
    assert kept.signature == signature


def test_a_full_disk_is_worse_than_a_filling_one_under_the_same_signature() -> None:
    [filling] = findings(host(disk=0.85), LIMITS)
    [full] = findings(host(disk=0.95), LIMITS)
    assert filling.signature == full.signature
    assert (filling.severity, full.severity) == ("warning", "critical")


def test_what_is_unknown_and_what_is_said_by_a_silent_host_is_no_finding() -> None:
    assert findings(host(silent=None, disk=None, memory=None), LIMITS) == []
    assert findings(host(live=False, disk=0.99, memory=0.99, fruitless=HOUR, gpu_idle=HOUR), LIMITS) == []


def test_without_a_budget_no_cost_is_too_high() -> None:
    assert findings(host(cost=10_000.0), AlertSettings()) == []


def test_a_champion_that_lost_a_test_is_a_regression_whatever_its_elo() -> None:
    [found] = findings(config(rejected=True, elo=None), LIMITS)
    assert found.kind == "champion-regression" and "lost a test" in found.value


def test_a_target_behind_the_champion_is_a_warning_that_names_the_configs() -> None:
    [found] = findings(replace(CALM, targets=(TargetFacts("live", "serving", "", ("hex8_2p",)),)), LIMITS)
    assert found.severity == "warning" and "hex8_2p" in found.value


def failed(at: float, reason: str) -> Told:
    return Told(at, "job.failed", "job_1", {"reason": reason})


def test_the_same_error_with_other_numbers_and_hashes_has_one_signature() -> None:
    first = error_signature("job.failed", "shard 0123456789abcdef: frame 12 is cut after 3.5 s")
    assert first == error_signature("job.failed", "shard fedcba98765432: frame 7 is cut after 0.1 s")
    assert first != error_signature("job.failed", "shard 0123456789abcdef: frame 12 is empty")
    assert error_signature("job.failed", "a\x1b[2Jb\n" * 100).isprintable()


def test_4192_identical_errors_are_growth_and_a_steady_trickle_is_not() -> None:
    memory = Memory(at=0.0)
    for minute in range(0, 60, 10):
        at = minute * MINUTE
        told = [failed(at, "steady")] * 30 + (
            [failed(at, f"burst {n}") for n in range(4192)] if minute == 50 else []
        )
        memory = remember(memory, at, 15.0, (), told, 1)
    found = findings(replace(CALM, errors=error_facts(memory)), LIMITS)
    assert [each.signature for each in found] == ["errors:job.failed burst #"]


def test_errors_that_ended_are_forgotten_and_never_more_than_some_are_kept() -> None:
    told = [failed(0.0, f"{'x' * (n % 50)} {chr(65 + n % 26)}{chr(65 + n // 26 % 26)}") for n in range(3000)]
    memory = remember(Memory(), 0.0, 15.0, (), told, 1)
    assert len(memory.errors) == 200
    assert remember(memory, 7 * 600.0, 15.0, (), (), 2).errors == {}


def test_gates_are_counted_until_a_promotion() -> None:
    rejected = Told(0.0, "evaluation.rejected", "ev_1", {"config": "hex8_2p"})
    conditions = [{"name": "shape", "passed": True}, {"name": "data set", "passed": False}]
    refused = Told(0.0, "promotion.refused", "hex8_2p", {"conditions": conditions})
    memory = remember(Memory(), 0.0, 15.0, (), [rejected] * 4 + [refused], 1)
    assert memory.refusals == {"hex8_2p": {"evaluation": 4, "data set": 1}}
    promoted = Told(0.0, "champion.promote", "hex8_2p", {})
    assert remember(memory, 1.0, 15.0, (), [promoted, rejected], 2).refusals == {"hex8_2p": {"evaluation": 1}}


def test_idle_gpus_are_known_since_their_first_look_and_forgotten_once_busy() -> None:
    memory = remember(Memory(at=90.0), 100.0, 15.0, ["a", "b"], (), 1)
    memory = remember(memory, 115.0, 15.0, ["b"], (), 1)
    assert memory.idle == {"b": 100.0}


def test_watching_begins_anew_after_a_gap() -> None:
    memory = remember(Memory(), 1000.0, 15.0, (), (), 1)
    assert memory.since == 1000.0
    assert remember(memory, 1015.0, 15.0, (), (), 1).since == 1000.0
    assert remember(memory, 5000.0, 15.0, (), (), 1).since == 5000.0


def test_a_memory_survives_its_json() -> None:
    memory = remember(Memory(), 5.0, 15.0, ["a"], [failed(1.0, "x")], 3)
    assert Memory(**memory.document()) == memory


LINE = Line("disk:a", "disk", "a", "critical", "a: 95% full", 2, 90.0, False)


def test_both_forms_of_a_message_are_harmless_and_count_what_they_leave_out() -> None:
    hostile = replace(LINE, message="<!channel> a & \x1b[31mb\nc", cleared=True)
    lines = [hostile, *[LINE] * MOST]
    generic = document(lines)
    assert (generic["opened"], generic["cleared"], generic["more"]) == (MOST, 1, 1)
    assert len(generic["alerts"]) == MOST
    assert generic["alerts"][0]["message"].isprintable()
    text = slack_document(lines)["text"]
    assert "&lt;!channel&gt; a &amp;" in text and "\x1b" not in text
    assert len(text.splitlines()) == MOST + 1 and "1 more" in text
