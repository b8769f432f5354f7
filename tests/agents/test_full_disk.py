from __future__ import annotations

import subprocess

import pytest


@pytest.fixture
def tiny_disk(host):
    """Mount 12 MiB as the host's spool and cache; needs root on Linux."""
    folder = host.root / "agent"
    settings = (folder / "agent.json").read_bytes()
    command = ["mount", "-t", "tmpfs", "-o", "size=12m,mode=0700", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("no mount(8) here: run on Linux as root to test a truly full disk")
    if mounted.returncode:
        pytest.skip(f"cannot mount a tmpfs ({mounted.stderr.strip()}): run as root to test a truly full disk")
    (folder / "agent.json").write_bytes(settings)
    (folder / "agent.json").chmod(0o600)
    yield host
    host.end()
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def finish_of(controller, name):
    controller.wait(lambda: name in controller.finished, f"the end of {name}")
    return controller.finished[name]


def test_a_job_that_meets_a_full_disk_fails_with_the_hosts_name_and_the_agent_lives_on(connected, controller):
    controller.add("one")
    controller.add("two")
    connected.start("fill_disk")
    for name in ("one", "two"):
        finish = finish_of(controller, name)
        assert finish.outcome == "failed"
        assert finish.reason.startswith("disk full on alpha: ")
        assert finish.reason.count("\n") == 0


def test_on_a_truly_full_disk_the_job_fails_clearly_and_the_next_one_succeeds(tiny_disk, controller):
    tiny_disk.point_to(controller.open())
    controller.add("one")
    tiny_disk.start("write_until_full")
    finish = finish_of(controller, "one")
    assert finish.outcome == "failed"
    assert finish.reason.startswith("disk full on alpha: ")
    (tiny_disk.scratch / "fits").touch()
    controller.add("two")
    assert finish_of(controller, "two").outcome == "succeeded"
    assert controller.sequences("two") == [0, 1, 2]


def test_an_artifact_that_does_not_fit_fails_the_job_and_the_agent_lives_on(tiny_disk, controller):
    tiny_disk.point_to(controller.open())
    model = controller.store(bytes(14 << 20))
    controller.add("one", player={"kind": "gumbel", "model": model, "simulations": 8})
    controller.add("two")
    tiny_disk.start("count")
    assert finish_of(controller, "one").reason.startswith("disk full on alpha: ")
    assert finish_of(controller, "two").outcome == "succeeded"


def test_nothing_is_leased_while_too_little_is_free(connected, controller, eventually):
    controller.add("one")
    connected.start(RINGRIFT_DISK_FLOOR_BYTES=str(1 << 60))
    log = connected.root / "agent" / "logs" / "agent.log"
    eventually(lambda: log.exists() and "taking no new work" in log.read_text(), "the refusal in the log")
    controller.wait(lambda: len(controller.beats) >= 3, "beats that go on")
    assert controller.leases == 0
    assert controller.beats[-1].idle.startswith("disk ")


def test_a_disk_floor_that_is_no_number_is_refused(connected):
    _, err = (agent := connected.start(RINGRIFT_DISK_FLOOR_BYTES="1G")).communicate(timeout=60)
    assert agent.returncode == 2
    assert "RINGRIFT_DISK_FLOOR_BYTES" in err
    assert err.count("\n") == 1
