"""Hosts from the shell: pinning keys, provisioning with live steps, draining, retiring."""

from __future__ import annotations

import json

from tests.cli import sample

ADD = ("hosts", "add", "new-1", "--ssh", "ring@192.0.2.7:2222")


def test_adding_shows_the_fingerprint_and_pins_it_after_a_yes(run, world) -> None:
    result = run(*ADD, answer="y\n")
    assert result.exit_code == 0
    assert sample.FINGERPRINT in result.stderr
    [sent] = world.sent("POST", "/v1/hosts")
    assert sent["host_key"] == sample.PUBLIC_KEY
    assert (sent["user"], sent["address"], sent["port"]) == ("ring", "192.0.2.7", 2222)
    assert sent["confirmed_by"] == "confirmation"


def test_enter_end_of_input_and_no_all_pin_nothing(run, world) -> None:
    for answer in ("\n", None, "n\n", "yess\n"):
        result = run(*ADD, answer=answer)
        assert result.exit_code == 4
        assert "nothing was changed" in result.stderr
    assert world.sent("POST", "/v1/hosts") == []


def test_the_right_fingerprint_pins_without_asking(run, world) -> None:
    result = run(*ADD, "--fingerprint", sample.FINGERPRINT)
    assert result.exit_code == 0
    assert world.sent("POST", "/v1/hosts")[0]["confirmed_by"] == "fingerprint"


def test_another_fingerprint_pins_nothing(run, world) -> None:
    result = run(*ADD, "--fingerprint", sample.OTHER_FINGERPRINT)
    assert result.exit_code == 7
    assert sample.FINGERPRINT in result.stderr
    assert world.sent("POST", "/v1/hosts") == []


def test_of_several_keys_the_one_with_the_given_fingerprint_is_pinned(run, world) -> None:
    rsa = sample.op.HostKey(type="ssh-rsa", fingerprint=sample.OTHER_FINGERPRINT, public_key="ssh-rsa AAAA")
    world.keys = [rsa, *world.keys]
    assert run(*ADD, "--fingerprint", sample.OTHER_FINGERPRINT).exit_code == 0
    assert world.sent("POST", "/v1/hosts")[0]["host_key"] == "ssh-rsa AAAA"


def test_without_a_fingerprint_the_ed25519_key_is_offered_first(run, world) -> None:
    rsa = sample.op.HostKey(type="ssh-rsa", fingerprint=sample.OTHER_FINGERPRINT, public_key="ssh-rsa AAAA")
    world.keys = [rsa, *world.keys]
    run(*ADD, answer="y\n")
    assert world.sent("POST", "/v1/hosts")[0]["host_key"] == sample.PUBLIC_KEY


def test_ipv6_logins_are_understood(run, world) -> None:
    run("hosts", "add", "six", "--ssh", "ring@[2001:db8::1]:2200", "--fingerprint", sample.FINGERPRINT)
    assert world.sent("POST", "/v1/hosts/scan") == [{"address": "2001:db8::1", "port": 2200}]


def test_a_machine_that_shows_no_key_is_unreachable(run, world) -> None:
    world.keys = []
    assert run(*ADD, answer="y\n").exit_code == 6


def test_probe_tells_a_changed_key_and_how_to_mend_it(run, world) -> None:
    world.keys = [world.keys[0].model_copy(update={"fingerprint": sample.OTHER_FINGERPRINT})]
    result = run("hosts", "probe", "gh200-01")
    assert result.exit_code == 7
    assert "ringrift-ctl hosts trust gh200-01" in result.stderr


def test_trust_shows_both_keys_and_sends_the_new_one(run, world) -> None:
    changed = sample.op.HostKey(
        type="ssh-ed25519", fingerprint=sample.OTHER_FINGERPRINT, public_key="ssh-ed25519 NEW"
    )
    world.keys = [changed]
    result = run("hosts", "trust", "gh200-01", answer="y\n")
    assert result.exit_code == 0
    assert sample.FINGERPRINT in result.stderr
    assert sample.OTHER_FINGERPRINT in result.stderr
    [sent] = world.sent("POST", "/v1/hosts/gh200-01/trust")
    assert sent == {"host_key": "ssh-ed25519 NEW", "how": "first-contact"}


def test_provisioning_shows_each_step_once_and_ends_well(run, world) -> None:
    result = run("hosts", "provision", "cpu-02")
    assert result.exit_code == 0
    steps = [line.split()[1] for line in result.stderr.splitlines() if line.startswith("cpu-02: ")]
    assert steps[:4] == ["connect", "facts", "release", "environment"]
    assert len(steps) == len(set(steps)) == 9
    assert "succeeded" in result.stdout


def test_no_wait_returns_at_once_with_the_running_operation(run, world) -> None:
    result = run("hosts", "provision", "cpu-02", "--no-wait", "--json")
    assert json.loads(result.stdout)["state"] == "running"


def test_one_failed_host_ends_with_its_own_error(run, world) -> None:
    world.fail_operation["cpu-02"] = "no space left on device"
    result = run("hosts", "provision", "cpu-02")
    assert result.exit_code == 9
    assert "cpu-02: no space left on device - free disk on the host" in result.stderr


def test_one_failed_host_of_two_is_a_partial_failure(run, world) -> None:
    world.fail_operation["cpu-02"] = "no space left on device"
    result = run("hosts", "provision", "cpu-01", "cpu-02")
    assert result.exit_code == 3
    assert "1 of 2 failed: cpu-02: no space left on device" in result.stderr


def test_an_unknown_host_among_several_starts_nothing(run, world) -> None:
    assert run("hosts", "provision", "cpu-01", "ghost").exit_code == 5
    assert world.sent("POST", "/v1/hosts/cpu-01/provision") == []


def test_drain_and_resume_show_the_new_state(run, world) -> None:
    assert "draining" in run("hosts", "drain", "cpu-01").stdout
    assert "ready" in run("hosts", "resume", "cpu-01").stdout


def test_remove_asks_and_changes_nothing_without_a_yes(run, world) -> None:
    assert run("hosts", "remove", "cpu-01", answer="\n").exit_code == 4
    assert world.sent("POST", "/v1/hosts/cpu-01/remove") == []
    assert run("hosts", "remove", "cpu-01", "--yes").exit_code == 0
    assert world.host("cpu-01").state == "retired"
