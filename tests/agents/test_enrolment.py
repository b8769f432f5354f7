from __future__ import annotations

import json
import stat


def settings_of(host):
    return json.loads((host.root / "agent" / "agent.json").read_text())


def test_an_agent_enrols_erases_its_token_and_beats_under_its_own_key(connected, controller):
    connected.start()
    controller.wait(lambda: controller.beats, "a beat")
    assert "token" not in settings_of(connected)
    assert settings_of(connected)["host"] == "alpha"
    beat = controller.beats[0]
    assert beat.release == "0" * 12
    assert beat.telemetry.cpus >= 1
    assert 0 < beat.telemetry.disk_used <= beat.telemetry.disk_total


def test_key_identity_and_settings_can_be_read_by_the_owner_only(connected, controller):
    connected.start()
    controller.wait(lambda: controller.beats, "a beat")
    for name in ("key", "identity.json", "agent.json"):
        assert stat.S_IMODE((connected.root / "agent" / name).stat().st_mode) == 0o600, name


def test_a_wrong_token_ends_the_agent_with_status_7_and_one_clear_line(connected, controller):
    connected.write_settings(token="a-token-that-nobody-issued")
    out, err = (agent := connected.start()).communicate(timeout=60)
    assert agent.returncode == 7
    assert out == ""
    assert err.count("\n") == 1
    assert "does not accept the enrolment token of alpha" in err
    assert settings_of(connected)["token"] == "a-token-that-nobody-issued"


def test_an_enrolment_whose_answer_was_lost_is_repeated_with_the_same_key(connected, controller):
    controller.lose_enrol_replies = 1
    connected.start()
    controller.wait(lambda: controller.beats, "a beat")
    assert "token" not in settings_of(connected)


def test_an_agent_that_crashed_before_erasing_its_token_does_not_show_it_again(connected, controller):
    first = connected.start()
    controller.wait(lambda: controller.beats, "a beat")
    first.kill()
    first.wait()
    controller.tokens.clear()
    controller.beats.clear()
    settings = settings_of(connected)
    from_before = {key: settings[key] for key in settings if key != "host"}
    connected.write_settings(token="token-of-alpha-0123456789", **from_before)
    connected.start()
    controller.wait(lambda: controller.beats, "a beat after the restart")
    assert "token" not in settings_of(connected)


def test_settings_that_others_may_read_are_refused(connected):
    connected.write_settings(mode=0o644, token="token-of-alpha-0123456789")
    _, err = (agent := connected.start()).communicate(timeout=60)
    assert agent.returncode == 7
    assert "may be read by others" in err
    assert err.count("\n") == 1


def test_a_setting_of_the_wrong_kind_is_named(connected):
    connected.write_settings(kinds=["selfplay", "mining"])
    _, err = (agent := connected.start()).communicate(timeout=60)
    assert agent.returncode == 2
    assert "kinds" in err
    assert err.count("\n") == 1


def test_a_host_that_was_never_provisioned_is_told_so(connected):
    connected.write_settings()
    _, err = (agent := connected.start()).communicate(timeout=60)
    assert agent.returncode == 7
    assert "neither a token nor an identity" in err


def test_a_second_agent_on_the_same_root_is_refused(connected, controller):
    connected.start()
    controller.wait(lambda: controller.beats, "a beat")
    _, err = (second := connected.start()).communicate(timeout=60)
    assert second.returncode == 4
    assert "another agent works in" in err


def test_an_agent_waits_for_a_controller_that_is_not_there_yet(host, controller, eventually):
    log = host.root / "agent" / "logs" / "agent.log"
    host.start()
    eventually(lambda: log.exists() and "enrolment waits" in log.read_text(), "a first attempt")
    host.point_to(controller.open())
    controller.wait(lambda: controller.beats, "a beat")
