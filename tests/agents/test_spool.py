from __future__ import annotations

import hashlib
import json
import os

import pytest

from agents.cache import Cache
from agents.files import append_line, read_lines, write_atomic
from agents.job import EventFile
from agents.spool import Spool, found_spools, parse_result
from ringrift.errors import BadInput, CorruptData
from ringrift.protocol.agent import Assignment


def assignment(name="one"):
    return Assignment(
        assignment=name, job="j", epoch=1, spec={"kind": "selfplay"}, lease_seconds=60, deadline_seconds=60
    )


@pytest.fixture
def spool(tmp_path):
    return Spool.create(tmp_path, assignment())


def emit(spool, sequence, data=b"games"):
    (spool.outputs / f"{sequence}.shard").write_bytes(data)
    event = {"type": "result", "sequence": sequence, "payload": {}, "artifacts": [f"{sequence}.shard"]}
    EventFile(spool).emit(event)


def test_a_spool_is_read_back_as_it_was_made(spool):
    emit(spool, 0)
    again = Spool.load(spool.folder)
    assert again.assignment == spool.assignment
    assert again.done() == {0}


def test_a_torn_last_line_is_cut_off_and_its_sequence_is_computed_again(spool):
    emit(spool, 0)
    emit(spool, 1)
    whole = spool.events.read_bytes()
    spool.events.write_bytes(whole[:-20])
    assert spool.done() == {0}
    spool.repair()
    emit(spool, 1)
    assert spool.done() == {0, 1}
    assert spool.events.read_bytes() == whole


def test_a_torn_receipt_counts_as_none(spool):
    emit(spool, 0)
    (result,) = (parse_result(event) for event in read_lines(spool.events)[0])
    assert spool.acknowledge(result)
    with spool.receipts_file.open("ab") as file:
        file.write(b'{"sequen')
    spool.repair()
    assert spool.receipts() == {0}
    assert spool.acknowledge(result)
    assert len(spool.receipts_file.read_text().splitlines()) == 2


@pytest.mark.parametrize("damage", ["missing", "shorter", "flipped"])
def test_a_result_whose_artifact_was_damaged_is_computed_again(spool, damage):
    emit(spool, 0)
    emit(spool, 1, b"other games")
    path = spool.outputs / "1.shard"
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(b"other" if damage == "shorter" else b"other gamez")
    spool.repair()
    assert spool.done() == {0}


def test_a_receipt_deletes_the_artifact_and_survives_the_repair(spool):
    emit(spool, 0)
    (result,) = (parse_result(event) for event in read_lines(spool.events)[0])
    assert spool.acknowledge(result)
    assert list(spool.outputs.iterdir()) == []
    spool.repair()
    assert spool.done() == {0}


def test_half_made_spools_are_deleted_and_whole_ones_found_oldest_first(tmp_path):
    for age, name in enumerate(("young", "old")):
        folder = Spool.create(tmp_path, assignment(name)).folder
        os.utime(folder, (1000 - age, 1000 - age))
    (tmp_path / ".new-three").mkdir()
    assert [folder.name for folder in found_spools(tmp_path)] == ["old", "young"]
    assert not (tmp_path / ".new-three").exists()


@pytest.mark.parametrize("name", ["../evil", "", ".", "a/b", "x" * 65, "a\n"])
def test_an_impossible_assignment_name_makes_no_folder(tmp_path, name):
    with pytest.raises(CorruptData, match="impossible assignment name"):
        Spool.create(tmp_path, assignment(name))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_a_readable_assignment_is_refused(spool):
    (spool.folder / "assignment.json").write_text("{")
    with pytest.raises(CorruptData, match="no readable assignment"):
        Spool.load(spool.folder)


def test_a_long_job_log_keeps_its_end_and_stays_bounded(spool, monkeypatch):
    monkeypatch.setattr("agents.spool.LOG_LIMIT", 1000)
    spool.log.write_bytes(b"x" * 2000 + b"the end\n")
    spool.bound_log()
    assert spool.log.stat().st_size == 500
    assert spool.log.read_bytes().endswith(b"the end\n")


@pytest.mark.parametrize("path", ["../assignment.json", "missing.shard", "/etc/passwd"])
def test_an_artifact_outside_the_outputs_is_refused(spool, path):
    with pytest.raises(BadInput, match="no file among its outputs"):
        EventFile(spool).emit({"type": "result", "sequence": 0, "payload": {}, "artifacts": [path]})
    assert not spool.events.exists()


def test_a_payload_that_is_no_json_number_is_refused_and_leaves_no_line(spool):
    with pytest.raises(ValueError, match="not JSON compliant"):
        EventFile(spool).emit(
            {"type": "result", "sequence": 0, "payload": {"loss": float("nan")}, "artifacts": []}
        )
    assert spool.done() == set()


def test_an_unknown_event_is_refused(spool):
    with pytest.raises(BadInput, match="unknown event 'tada'"):
        EventFile(spool).emit({"type": "tada"})


def test_progress_is_written_at_most_once_a_second_but_always_at_the_end(spool):
    events = EventFile(spool)
    for done in range(101):
        events.emit({"type": "progress", "done": done, "total": 100})
    written = [event["done"] for event in read_lines(spool.events)[0]]
    assert written[0] == 0
    assert written[-1] == 100
    assert len(written) < 50


def test_a_line_that_does_not_fit_leaves_nothing_behind(tmp_path, monkeypatch):
    path = tmp_path / "events.jsonl"
    append_line(path, {"n": 0})

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("agents.files.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        append_line(path, {"n": 1})
    assert [line["n"] for line in read_lines(path)[0]] == [0]
    assert path.read_bytes().endswith(b"\n")


def test_an_atomic_write_that_fails_leaves_the_old_content_and_no_litter(tmp_path, monkeypatch):
    path = tmp_path / "state.json"
    write_atomic(path, b"old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("agents.files.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomic(path, b"new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["state.json"]
    assert path.read_bytes() == b"old"


def test_receipts_are_noted_on_a_full_disk_once_the_artifacts_made_room(spool, monkeypatch):
    emit(spool, 0)
    (result,) = (parse_result(event) for event in read_lines(spool.events)[0])
    real = append_line

    def full_while_artifacts_lie_there(path, value, **more):
        if any(spool.outputs.iterdir()):
            raise OSError(28, "No space left on device")
        real(path, value, **more)

    monkeypatch.setattr("agents.spool.append_line", full_while_artifacts_lie_there)
    assert spool.acknowledge(result)
    assert spool.receipts() == {0}


class Shop:
    """Gives out artifacts, as the controller does."""

    def __init__(self):
        self.stock = {}
        self.asked = []

    def add(self, data):
        sha256 = hashlib.sha256(data).hexdigest()
        self.stock[sha256] = data
        return sha256

    def download(self, sha256, into, go_on):
        self.asked.append(sha256)
        into.write_bytes(self.stock[sha256])


@pytest.fixture
def shop():
    return Shop()


@pytest.fixture
def places(tmp_path):
    for name in ("cache", "inputs", "more"):
        (tmp_path / name).mkdir()
    return tmp_path


def test_an_artifact_is_fetched_once_for_many_jobs(places, shop):
    cache = Cache(places / "cache", 1000)
    sha256 = shop.add(b"weights")
    for name in ("inputs", "more"):
        cache.provide(sha256, shop, places / name, lambda: None)
        assert (places / name / sha256).read_bytes() == b"weights"
    assert shop.asked == [sha256]


def test_the_cache_drops_what_was_used_longest_ago_and_jobs_keep_theirs(places, shop):
    cache = Cache(places / "cache", 250)
    names = [shop.add(bytes([n]) * 100) for n in range(3)]
    for age, sha256 in enumerate(names[:2]):
        cache.provide(sha256, shop, places / "inputs", lambda: None)
        os.utime(places / "cache" / sha256, (1000 + age, 1000 + age))
    cache.provide(names[2], shop, places / "inputs", lambda: None)
    assert sorted(path.name for path in (places / "cache").iterdir()) == sorted(names[1:])
    assert (places / "inputs" / names[0]).read_bytes() == bytes(100)


def test_bytes_with_another_hash_are_refused_and_deleted(places, shop):
    cache = Cache(places / "cache", 1000)
    sha256 = shop.add(b"weights")
    shop.stock[sha256] = b"weightz"
    with pytest.raises(CorruptData, match="was not used"):
        cache.provide(sha256, shop, places / "inputs", lambda: None)
    assert list((places / "cache").iterdir()) == []
    assert list((places / "inputs").iterdir()) == []


def test_the_events_file_holds_one_json_object_a_line(spool):
    emit(spool, 0)
    (line,) = spool.events.read_text().splitlines()
    event = json.loads(line)
    assert event["artifacts"][0]["sha256"] == hashlib.sha256(b"games").hexdigest()
    assert event["artifacts"][0]["size"] == 5
