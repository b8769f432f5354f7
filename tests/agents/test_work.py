from __future__ import annotations

import hashlib
import json
import os
import signal

import pytest

from agents.processes import Process


def outcome(controller, name):
    controller.wait(lambda: name in controller.finished, f"the end of {name}")
    return controller.finished[name]


def test_a_job_is_leased_computed_reported_and_finished_and_leaves_nothing_behind(
    connected, controller, eventually
):
    controller.add("one", shards=4)
    connected.start()
    assert outcome(controller, "one").outcome == "succeeded"
    assert controller.sequences("one") == [0, 1, 2, 3]
    for (_, sequence), result in controller.results.items():
        expected = f"5/{sequence}".encode() * 1000
        assert controller.artifacts[result.artifacts[0]] == expected
    eventually(lambda: connected.spooled() == [], "an empty spool")


def test_sequences_that_the_controller_holds_already_are_not_computed(connected, controller):
    controller.add("one", shards=4, done=[1, 2])
    connected.start()
    assert outcome(controller, "one").outcome == "succeeded"
    assert connected.computed() == [0, 3]
    assert controller.sequences("one") == [0, 3]


def test_progress_and_the_number_of_waiting_results_are_told_by_beats(connected, controller):
    connected.close_gate(1)
    controller.add("one")
    connected.start()
    controller.wait(
        lambda: any(run.done == 1 for beat in controller.beats for run in beat.running), "progress"
    )
    run = next(run for beat in controller.beats for run in beat.running if run.done == 1)
    assert (run.assignment, run.epoch, run.total, run.unit, run.rate) == ("one", 1, 3, "games", 2.0)
    connected.open_gate(1)
    assert outcome(controller, "one").outcome == "succeeded"


def test_a_required_artifact_is_fetched_and_lies_under_its_hash_among_the_inputs(connected, controller):
    model = controller.store(b"weights" * 5000)
    controller.add("one", player={"kind": "gumbel", "model": model, "simulations": 8})
    connected.start("check_input")
    assert outcome(controller, "one").outcome == "succeeded"
    assert (connected.scratch / "input").read_bytes() == b"weights" * 5000


def test_a_broken_download_goes_on_where_it_stopped(connected, controller):
    model = controller.store(os.urandom(200_000))
    controller.cut_after = 150_000
    controller.add("one", player={"kind": "gumbel", "model": model, "simulations": 8})
    connected.start("check_input")
    assert outcome(controller, "one").outcome == "succeeded"
    assert controller.ranges[0] == 0
    assert controller.ranges[1] > 0
    assert (connected.scratch / "input").read_bytes() == controller.artifacts[model]


def test_an_artifact_that_arrives_with_another_hash_is_refused_and_not_kept(connected, controller):
    model = controller.store(b"weights")
    controller.artifacts[model] = b"weightz"
    controller.add("one", player={"kind": "gumbel", "model": model, "simulations": 8})
    connected.start("check_input")
    finish = outcome(controller, "one")
    assert finish.outcome == "failed"
    assert model[:12] in finish.reason
    assert hashlib.sha256(b"weightz").hexdigest()[:12] in finish.reason
    assert list((connected.root / "agent" / "cache").iterdir()) == []


def test_an_artifact_that_the_controller_lacks_fails_the_job(connected, controller):
    controller.add("one", player={"kind": "gumbel", "model": "ab" * 32, "simulations": 8})
    connected.start("check_input")
    finish = outcome(controller, "one")
    assert finish.outcome == "failed"
    assert "no artifact abababababab" in finish.reason


def test_work_goes_on_while_the_controller_is_away_and_everything_arrives_afterwards(
    connected, controller, eventually
):
    connected.close_gate(1)
    controller.add("one", shards=6)
    connected.start()
    controller.wait(lambda: controller.sequences("one") == [0], "the first result")
    controller.close()
    connected.open_gate(1)
    eventually(lambda: connected.computed() == [0, 1, 2, 3, 4, 5], "the job's end without a controller")
    assert controller.sequences("one") == [0]
    connected.point_to(controller.open())
    assert outcome(controller, "one").outcome == "succeeded"
    assert controller.sequences("one") == [0, 1, 2, 3, 4, 5]
    assert connected.computed() == [0, 1, 2, 3, 4, 5]


def test_after_kill_9_of_the_agent_nothing_is_computed_twice_and_nothing_is_lost(
    connected, controller, eventually
):
    connected.close_gate(3)
    controller.add("one", shards=6)
    agent = connected.start()
    controller.wait(lambda: controller.sequences("one") == [0, 1, 2], "three results")
    process = json.loads((connected.root / "agent" / "spool" / "one" / "process.json").read_text())
    agent.kill()
    agent.wait()
    eventually(lambda: Process.of(process["pid"]) is None, "the end of the job with its agent")
    (connected.scratch / "gate-3").unlink()
    connected.start()
    assert outcome(controller, "one").outcome == "succeeded"
    assert controller.sequences("one") == [0, 1, 2, 3, 4, 5]
    assert connected.computed() == [0, 1, 2, 3, 4, 5]


def test_results_spooled_before_a_crash_are_delivered_after_it(connected, controller, eventually):
    connected.close_gate(0)
    connected.close_gate(4)
    controller.add("one", shards=5)
    agent = connected.start()
    controller.wait(lambda: any(beat.running for beat in controller.beats), "the lease")
    controller.close()
    connected.open_gate(0)
    eventually(lambda: connected.computed() == [0, 1, 2, 3], "four spooled results")
    events = connected.root / "agent" / "spool" / "one" / "events.jsonl"
    eventually(lambda: '"sequence":3' in events.read_text(), "the fourth result on disk")
    agent.kill()
    agent.wait()
    assert controller.sequences("one") == []
    with events.open("a") as torn:
        torn.write('{"type":"result","sequence":4,"pay')
    (connected.scratch / "gate-4").unlink()
    connected.point_to(controller.open())
    connected.start()
    assert outcome(controller, "one").outcome == "succeeded"
    assert controller.sequences("one") == [0, 1, 2, 3, 4]
    assert connected.computed() == [0, 1, 2, 3, 4]


def test_a_superseded_assignment_is_stopped_with_its_whole_process_group(connected, controller, eventually):
    controller.add("one")
    connected.start("hang")
    pids = connected.scratch / "pids"
    eventually(pids.exists, "the job")
    running = [int(pid) for pid in pids.read_text().split()]
    controller.superseded.add("one")
    eventually(lambda: connected.spooled() == [], "the dropped spool")
    for pid in running:
        eventually(lambda pid=pid: Process.of(pid) is None, f"the end of process {pid}")
    assert "one" not in controller.finished


def test_an_assignment_superseded_while_its_result_was_on_the_way_is_dropped(
    connected, controller, eventually
):
    controller.beat_seconds = 3600.0
    connected.close_gate(0)
    connected.close_gate(1)
    controller.add("one")
    connected.start()
    controller.wait(lambda: controller.assignments == [], "the lease")
    controller.superseded.add("one")
    connected.open_gate(0)
    eventually(lambda: connected.spooled() == [], "the dropped spool")
    assert len(controller.beats) == 1
    assert controller.sequences("one") == []
    assert "one" not in controller.finished


def test_after_a_crash_a_superseded_assignment_is_not_taken_up_again(connected, controller, eventually):
    connected.close_gate(1)
    controller.add("one")
    agent = connected.start()
    controller.wait(lambda: controller.sequences("one") == [0], "the first result")
    agent.kill()
    agent.wait()
    controller.superseded.add("one")
    connected.start()
    eventually(lambda: connected.spooled() == [], "the dropped spool")
    assert connected.computed() == [0]
    assert "one" not in controller.finished


def test_sigterm_ends_the_agent_in_peace_and_its_successor_goes_on(connected, controller):
    connected.close_gate(1)
    controller.add("one")
    agent = connected.start()
    controller.wait(lambda: controller.sequences("one") == [0], "the first result")
    agent.send_signal(signal.SIGTERM)
    assert agent.wait(60) == 0
    assert connected.spooled() == ["one"]
    (connected.scratch / "gate-1").unlink()
    connected.start()
    assert outcome(controller, "one").outcome == "succeeded"
    assert connected.computed() == [0, 1, 2]


def test_a_draining_agent_ends_what_runs_and_takes_nothing_new(connected, controller):
    connected.close_gate(1)
    controller.add("one")
    controller.add("two")
    connected.start()
    controller.wait(lambda: controller.sequences("one") == [0], "the first result")
    controller.draining = True
    seen = len(controller.beats)
    controller.wait(lambda: len(controller.beats) >= seen + 2, "a beat that was answered with stop")
    leases = controller.leases
    connected.open_gate(1)
    assert outcome(controller, "one").outcome == "succeeded"
    seen = len(controller.beats)
    controller.wait(lambda: len(controller.beats) >= seen + 5, "more beats")
    assert controller.leases == leases
    assert [given["assignment"] for given in controller.assignments] == ["two"]


@pytest.mark.parametrize(
    ("runner", "reason", "exit_code"),
    [
        ("refuse", "model 1234 is for hex8_2p - use one for square8_2p", 4),
        ("crash", "ZeroDivisionError: the net is empty", 1),
        ("die", "the job was killed by signal 9; last output: about to die", -9),
        ("forget", "the job ended without its sequences [1, 2]", 0),
        (
            "no_such_function",
            "AttributeError: module 'agent_test_runner' has no attribute 'no_such_function'",
            1,
        ),
    ],
)
def test_a_failed_job_is_reported_with_its_reason_and_exit_status(
    connected, controller, runner, reason, exit_code
):
    controller.add("one")
    connected.start(runner)
    finish = outcome(controller, "one")
    assert finish.outcome == "failed"
    assert finish.reason == reason
    assert finish.exit_code == exit_code


def test_a_failed_job_shows_the_end_of_its_log(connected, controller):
    controller.add("one")
    connected.start("refuse")
    assert "loading the model" in outcome(controller, "one").log_tail


def test_a_job_is_killed_at_its_deadline(connected, controller):
    controller.add("one", deadline=1.0)
    connected.start("hang")
    finish = outcome(controller, "one")
    assert finish.outcome == "failed"
    assert finish.reason == "stopped at its deadline of 1 s"


def test_a_job_that_wants_more_memory_than_allowed_says_so(connected, controller):
    controller.add("one", memory_limit=400 << 20)
    connected.start("hoard")
    finish = outcome(controller, "one")
    assert finish.reason.startswith("out of memory: it held ")
    assert finish.reason.endswith(f" of {400 << 20} bytes")
    assert finish.crashed and finish.exit_code == -9


def test_a_job_whose_files_take_more_disk_than_allowed_says_so(connected, controller):
    controller.add("one", disk_limit=1 << 20)
    connected.start("litter")
    finish = outcome(controller, "one")
    assert finish.reason.startswith("its files took ")
    assert finish.reason.endswith(f" of {1 << 20} bytes of disk")
    assert not finish.crashed


def test_a_defect_of_the_agent_costs_one_assignment_and_is_its_reason(connected, controller):
    controller.add("one")
    controller.add("two")
    connected.start("tell_nonsense")
    finish = outcome(controller, "one")
    assert (finish.outcome, finish.reason) == (
        "failed",
        "the agent on alpha has a defect: KeyError: 'artifacts'",
    )
    assert outcome(controller, "two").outcome == "succeeded"


def test_the_deadline_counts_what_ran_under_an_agent_that_died(connected, controller, eventually):
    controller.add("one", deadline=3600.0)
    agent = connected.start("hang")
    ran = connected.root / "agent" / "spool" / "one" / "running.json"
    eventually((connected.scratch / "pids").exists, "the job")
    agent.kill()
    agent.wait()
    assert json.loads(ran.read_text())["seconds"] > 0
    ran.write_text('{"seconds": 3600.5}')
    connected.start("hang")
    assert outcome(controller, "one").reason == "stopped at its deadline of 3600 s"


def test_a_large_artifact_goes_over_in_chunks_and_on_where_it_broke(connected, controller):
    controller.add("one", shards=1)
    controller.failing_chunks = 2
    connected.start("write_much")
    assert outcome(controller, "one").outcome == "succeeded"
    assert controller.chunks == [0, 8 << 20, 8 << 20, 16 << 20]
    (stored,) = controller.artifacts.values()
    assert len(stored) == 17 << 20


def test_a_large_artifact_of_which_the_controller_lost_its_part_goes_over_again(connected, controller):
    controller.add("one", shards=1)
    controller.failing_chunks = 2
    lost = controller.put_chunk

    def forget(sha256, body, offset, last="0"):
        answer = lost(sha256, body, offset, last)
        if len(controller.chunks) == 3:
            controller.partial.clear()
        return answer

    controller.put_chunk = forget
    connected.start("write_much")
    assert outcome(controller, "one").outcome == "succeeded"
    assert controller.chunks == [0, 8 << 20, 8 << 20, 16 << 20, 0, 8 << 20, 16 << 20]


def test_an_agent_whose_place_a_later_start_took_ends_with_its_jobs_and_stays_ended(
    connected, controller, eventually
):
    controller.add("one")
    agent = connected.start("hang")
    pids = connected.scratch / "pids"
    eventually(pids.exists, "the job")
    controller.replaced = True
    _, err = agent.communicate(timeout=60)
    assert (agent.returncode, err) == (7, "error: a later start took its place\n")
    for pid in pids.read_text().split():
        eventually(lambda pid=pid: Process.of(int(pid)) is None, f"the end of process {pid}")
    again = connected.start()
    _, err = again.communicate(timeout=60)
    assert again.returncode == 7
    assert "a later start of the same agent took the place" in err


def test_a_wall_clock_that_jumps_by_years_changes_nothing(connected, controller):
    connected.close_gate(1)
    controller.add("one", deadline=3600.0)
    connected.start(wild_clock=True)
    controller.wait(lambda: controller.sequences("one") == [0], "the first result")
    seen = len(controller.beats)
    controller.wait(lambda: len(controller.beats) >= seen + 3, "beats that go on")
    connected.open_gate(1)
    assert outcome(controller, "one").outcome == "succeeded"
    assert connected.computed() == [0, 1, 2]
    assert controller.leases < 100


def test_beats_tell_the_settings_the_numeric_class_and_how_fast_jobs_go(connected, controller):
    connected.close_gate(1)
    controller.add("one")
    connected.start()
    controller.wait(
        lambda: any(run.done == 1 for beat in controller.beats for run in beat.running), "progress"
    )
    connected.open_gate(1)
    controller.wait(lambda: controller.beats[-1].rates, "a beat with a rate")
    beat = controller.beats[-1]
    assert len(beat.config_hash) == 12
    assert "torch-" in beat.numeric_class
    assert beat.idle == ""
    (rate,) = beat.rates
    assert (rate.kind, rate.config) == ("selfplay", "square8_2p")
    assert rate.per_hour > 0


@pytest.mark.parametrize(
    ("runner", "crashed"),
    [("die", True), ("refuse_memory", True), ("say_nothing", True), ("crash", False), ("refuse", False)],
)
def test_a_job_that_died_is_told_from_one_that_said_what_is_wrong(connected, controller, runner, crashed):
    controller.add("one")
    connected.start(runner)
    assert outcome(controller, "one").crashed is crashed


def test_a_spec_that_this_agent_cannot_read_fails_with_a_reason(connected, controller):
    controller.add("one", kind="mining")
    connected.start()
    finish = outcome(controller, "one")
    assert finish.outcome == "failed"
    assert "the job's spec cannot be read" in finish.reason


def test_jobs_compute_with_one_thread_unless_told_otherwise(connected, controller, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    controller.add("one")
    connected.start("report_modules")
    assert outcome(controller, "one").outcome == "succeeded"
    assert (connected.scratch / "threads").read_text() == "1"


def test_two_slots_work_at_the_same_time(host, controller):
    host.point_to(controller.open())
    host.close_gate(1)
    controller.add("one")
    controller.add("two")
    host.start(slots=2)
    controller.wait(
        lambda: controller.sequences("one") == [0] and controller.sequences("two") == [0],
        "both first results",
    )


def test_what_a_job_printed_reaches_the_controller_without_nul_characters(connected, controller):
    controller.add("one")
    connected.start("print_nul")
    finish = outcome(controller, "one")
    assert finish.reason == "ValueError: a bcd"


def test_a_unit_that_others_delivered_meanwhile_ends_the_superseded_assignment(
    connected, controller, eventually
):
    controller.beat_seconds = 3600.0
    connected.close_gate(0)
    connected.close_gate(1)
    controller.add("one")
    connected.start()
    controller.wait(lambda: controller.assignments == [], "the lease")
    controller.overtaken.add("one")
    connected.open_gate(0)
    eventually(lambda: connected.spooled() == [], "the dropped spool")
    assert "one" not in controller.finished


def test_an_end_that_the_controller_refuses_for_good_is_not_repeated_for_ever(connected, controller):
    controller.refuse_finish = True
    controller.add("one")
    controller.add("two")
    connected.start()
    controller.wait(lambda: controller.sequences("two") == [0, 1, 2], "the work after the refused end")
