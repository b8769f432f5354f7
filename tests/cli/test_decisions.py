"""Promotion, rollback and deployment from the shell: the plan first, No by default, then the change."""

from __future__ import annotations

import json

from tests.cli import sample


def test_a_promotion_shows_conditions_and_evidence_and_asks(run, world) -> None:
    result = run("promote", "hex8_2p", answer="\n")
    assert result.exit_code == 4
    for shown in ("worst seat", "53.8 %", ">= 45 %", "+3.02", "+50 [+18, +81]", "reversible", "[y/N]"):
        assert shown in result.stderr
    assert result.stdout == ""
    assert world.promotions == []


def test_a_confirmed_promotion_sends_what_was_seen(run, world) -> None:
    result = run("promote", "hex8_2p", "--reason", "beats it in every seat", answer="yes\n")
    assert result.exit_code == 0
    [sent] = world.promotions
    assert sent["model"] == sample.CANDIDATE
    assert sent["expected_champion"] == sample.CHAMPION
    assert sent["reason"] == "beats it in every seat"
    assert "(shell)" in sent["actor"]


def test_a_dry_run_prints_the_plan_and_changes_nothing(run, world) -> None:
    result = run("promote", "hex8_2p", "--dry-run", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["allowed"] is True
    assert world.promotions == []


def test_a_closed_gate_names_the_condition_with_value_and_limit(run, world) -> None:
    world.promotion_allowed = False
    for extra in ("--yes", "--dry-run"):
        result = run("promote", "hex8_2p", extra)
        assert result.exit_code == 4
        assert "worst seat is 38.1 %, needed is >= 45 %" in result.stderr
    assert world.promotions == []


def test_an_override_needs_a_model_and_a_reason(run, world) -> None:
    for words in (("--override",), ("--override", "--reason", "down"), (sample.CANDIDATE, "--override")):
        assert run("promote", "hex8_2p", *words, "--yes").exit_code == 2
    assert world.promotions == []


def test_an_override_shows_what_fails_and_asks(run, world) -> None:
    world.promotion_allowed = False
    result = run(
        "promote", "hex8_2p", sample.CANDIDATE, "--override", "--reason", "site is down", answer="y\n"
    )
    assert result.exit_code == 0 and "AGAINST THE GATE" in result.stderr
    assert [(each["override"], each["reason"]) for each in world.promotions] == [(True, "site is down")]


def test_who_was_faster_is_told(run, world) -> None:
    world.fail("POST", "/v1/promotions", 409, "conflict", "5d41 is champion since 3 s, promoted by kim")
    result = run("promote", "hex8_2p", "--yes")
    assert result.exit_code == 4
    assert "promoted by kim" in result.stderr


def test_a_rollback_shows_its_plan_and_asks(run, world) -> None:
    assert run("rollback", "hex8_2p", answer="n\n").exit_code == 4
    assert run("rollback", "hex8_2p", "--yes").exit_code == 0
    assert run("rollback", "hex8_2p", "--dry-run").exit_code == 0


def test_a_deployment_shows_what_changes_and_waits_for_all_targets(run, world) -> None:
    result = run("deploy-inference", answer="y\n")
    assert result.exit_code == 0
    assert "Change 2 served model(s) on 1 target(s)?" in result.stderr
    assert "eu-2: legal move done" in result.stderr
    assert "succeeded" in result.stdout
    planned, made = world.sent("POST", "/v1/deployments")
    assert (planned["dry_run"], made["dry_run"]) == (True, False)


def test_a_deployment_not_confirmed_begins_nothing(run, world) -> None:
    assert run("deploy-inference").exit_code == 4
    assert [body["dry_run"] for body in world.sent("POST", "/v1/deployments")] == [True]


def test_targets_and_configs_are_passed_on(run, world) -> None:
    run("deploy-inference", "eu-2", "--config", "hex8_2p", "--config", "hex8_3p", "--dry-run")
    [sent] = world.sent("POST", "/v1/deployments")
    assert (sent["targets"], sent["configs"]) == (["eu-2"], ["hex8_2p", "hex8_3p"])


def test_a_target_that_failed_makes_status_three_and_is_named(run, world) -> None:
    world.fail_operation["eu-2"] = "the hash of hex8_2p differs after copying"
    result = run("deploy-inference", "--yes")
    assert result.exit_code == 3
    assert "eu-2: rolled_back the hash of hex8_2p differs after copying" in result.stderr
    assert "dep-32 failed: eu-2: the hash of hex8_2p differs after copying (2 rolled_back)" in result.stderr
    assert "rolled_back" in result.stdout


def test_the_plan_of_a_deployment_tells_the_waves(run, world) -> None:
    result = run("deploy-inference", "--dry-run", "--json")
    assert [(row["target"], row["wave"]) for row in json.loads(result.stdout)["targets"]] == [
        ("eu-1", 1),
        ("eu-2", 2),
    ]


def test_an_update_of_the_software_shows_which_targets_change_and_asks(run, world) -> None:
    result = run("deploy-inference", "--software", answer="y\n")
    assert "Install release a90d44e1c6b8 on 1 target(s) of 2?" in result.stderr
    assert [row.split()[-1] for row in result.stderr.splitlines() if " 3f1c9a77be02 " in row] == ["change"]
    planned, made = world.sent("POST", "/v1/deployments")
    assert (planned["software"], planned["release"]) == (True, None)
    assert (made["software"], made["release"]) == (True, "a90d44e1c6b8"), "what was shown is what is done"


def test_an_earlier_release_is_named_and_the_plan_is_data(run, world) -> None:
    result = run("deploy-inference", "--software", "--release", "3f1c9a77be02", "--dry-run", "--json")
    assert [row["release"] for row in json.loads(result.stdout)["targets"]] == [
        "3f1c9a77be02",
        "a90d44e1c6b8",
    ]
    [sent] = world.sent("POST", "/v1/deployments")
    assert (sent["release"], sent["dry_run"]) == ("3f1c9a77be02", True)


def test_targets_show_their_release(run, world) -> None:
    assert "a90d44e1c6b8" in run("targets", "list").stdout


def test_a_deployment_is_cancelled_by_its_id_and_its_end_is_waited_for(run, world) -> None:
    result = run("deploy-inference", "--cancel", "dep-32")
    assert result.exit_code == 0 and "dep-32" in result.stdout
    assert len(world.sent("POST", "/v1/deployments/dep-32/cancel")) == 1
    assert world.sent("POST", "/v1/deployments") == []


def test_a_deployment_cannot_be_ordered_and_cancelled_at_once(run, world) -> None:
    result = run("deploy-inference", "eu-1", "--cancel", "dep-32")
    assert result.exit_code == 2 and "nothing else" in result.stderr


def test_a_rollback_waits_until_the_targets_serve_the_former_champion(run, world) -> None:
    world.followed = True
    result = run("rollback", "hex8_2p", answer="y\n")
    assert result.exit_code == 0
    assert "again and on 2 target(s)?" in result.stderr and "eu-2: succeeded" in result.stderr
    assert "dep-32, generation 32: succeeded" in result.stdout


def test_a_rollback_that_a_target_does_not_follow_is_status_three(run, world) -> None:
    world.followed, world.fail_operation["eu-2"] = True, "the disk is full"
    assert run("rollback", "hex8_2p", "--yes").exit_code == 3


def test_a_target_shows_what_the_last_deployment_left_and_that_it_started_anew(run, world) -> None:
    shown = run("targets", "show", "eu-2").stdout
    assert "rolled_back" in shown and "3 errors beside 120 moves" in shown
    assert "its service started anew 42s ago" in shown


def test_a_target_is_added_with_its_configs(run, world) -> None:
    result = run("targets", "add", "edge", "--host", "cpu-01", "--port", "8600", "--config", "hex8_2p")
    assert result.exit_code == 0
    assert world.sent("POST", "/v1/targets") == [
        {"name": "edge", "host": "cpu-01", "port": 8600, "configs": ["hex8_2p"], "engine": "torch"}
    ]


def test_enabling_says_who_asked(run, world) -> None:
    assert run("configs", "enable", "hex8_2p").exit_code == 0
    [sent] = world.sent("POST", "/v1/configs/hex8_2p/enabled")
    assert sent["enabled"] is True
    assert sent["actor"].endswith("(shell)")
