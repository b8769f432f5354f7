"""Files on a host: whole or not at all, resumable, and a full disk is told as such."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from hosts import files
from ringrift.cli.demo import sshd
from ringrift.errors import CorruptData, EnvironmentProblem, NotFound


@pytest.fixture
def payload(tmp_path) -> Path:
    path = tmp_path / "payload.bin"
    path.write_bytes(os.urandom(3 << 20))
    return path


@pytest.fixture
def folder(tmp_path) -> Path:
    path = tmp_path / "there"
    path.mkdir()
    return path


@pytest.fixture
def full_disk(tmp_path):
    """A file system of 2 MiB."""
    if os.geteuid() != 0:
        pytest.skip("a small file system needs root to mount it: run the tests as root to see a full disk")
    path = tmp_path / "small"
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", path]
    mounted = subprocess.run(command, capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.decode().strip()}")
    yield path
    subprocess.run(["umount", "-l", path], check=True)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


async def test_an_upload_arrives_whole_under_its_name_only(remote, payload, folder):
    await remote.files.upload(payload, f"{folder}/model", sha256(payload))
    assert (folder / "model").read_bytes() == payload.read_bytes()
    assert [path.name for path in folder.iterdir()] == ["model"]


async def test_an_upload_that_is_there_already_is_not_sent_again(remote, payload, folder):
    await remote.files.upload(payload, f"{folder}/model", sha256(payload))
    before = (folder / "model").stat()
    await remote.files.upload(payload, f"{folder}/model", sha256(payload))
    assert (folder / "model").stat().st_ino == before.st_ino


async def test_an_interrupted_upload_goes_on_where_it_ended(remote, payload, folder, monkeypatch):
    expected = sha256(payload)
    part = folder / f".model.{expected[:12]}.part"
    part.write_bytes(payload.read_bytes()[: 2 << 20])
    started = []
    copy = files._copy

    async def noted(sftp, local, target, start, mode):
        started.append(start)
        await copy(sftp, local, target, start, mode)

    monkeypatch.setattr(files, "_copy", noted)
    await remote.files.upload(payload, f"{folder}/model", expected)
    assert started == [2 << 20]
    assert sha256(folder / "model") == expected
    assert not part.exists()


@pytest.mark.parametrize("left", [b"x" * (1 << 20), b"x" * (4 << 20)])
async def test_a_wrong_beginning_is_thrown_away_and_sent_anew(remote, payload, folder, left):
    expected = sha256(payload)
    (folder / f".model.{expected[:12]}.part").write_bytes(left)
    await remote.files.upload(payload, f"{folder}/model", expected)
    assert sha256(folder / "model") == expected
    assert [path.name for path in folder.iterdir()] == ["model"]


async def test_a_local_file_with_another_hash_is_not_sent(remote, payload, folder):
    with pytest.raises(CorruptData, match="was not sent"):
        await remote.files.upload(payload, f"{folder}/model", "0" * 64)
    assert list(folder.iterdir()) == []


async def test_a_copy_that_arrives_with_another_hash_is_removed(remote, payload, folder, monkeypatch):
    copy = files._copy

    async def corrupting(sftp, local, target, start, mode):
        await copy(sftp, local, target, start, mode)
        with Path(target).open("r+b") as file:
            file.write(b"\0" * 64)

    monkeypatch.setattr(files, "_copy", corrupting)
    with pytest.raises(CorruptData, match="arrived on alpha"):
        await remote.files.upload(payload, f"{folder}/model", sha256(payload))
    assert list(folder.iterdir()) == []


async def test_a_file_that_cannot_fit_is_refused_before_anything_is_written(remote, payload, full_disk):
    with pytest.raises(EnvironmentProblem, match="disk full on alpha") as caught:
        await remote.files.upload(payload, f"{full_disk}/model", sha256(payload))
    assert "KiB free" in caught.value.message
    assert list(full_disk.iterdir()) == []


async def test_a_disk_that_fills_up_while_writing_leaves_nothing_behind(
    remote, payload, full_disk, monkeypatch
):
    async def unknown(_sftp, _folder):
        return None

    free = files._free
    monkeypatch.setattr(files, "_free", unknown)
    copy = files._copy

    async def copying(*arguments):
        try:
            await copy(*arguments)
        finally:
            monkeypatch.setattr(files, "_free", free)

    monkeypatch.setattr(files, "_copy", copying)
    with pytest.raises(EnvironmentProblem, match="disk full on alpha"):
        await remote.files.upload(payload, f"{full_disk}/model", sha256(payload))
    assert list(full_disk.iterdir()) == []


async def test_provisioning_onto_a_full_disk_says_so_and_works_once_there_is_space(
    stub_fleet, start_host, report, full_disk
):
    host = start_host(root=full_disk / "root")
    filler = full_disk / "filler"
    filler.write_bytes(b"x" * (1900 << 10))
    with pytest.raises(EnvironmentProblem, match="disk full on alpha"):
        await stub_fleet.provision(host.spec, "token-of-a-test-0123456789", report)
    assert report.ended["release"] == "failed"
    assert list((host.root / "releases").iterdir()) == []
    filler.unlink()
    await stub_fleet.provision(host.spec, "token-of-a-test-0123456789", report)
    assert report.ended["agent service"] == "done"
    host.stop_services()


async def test_a_program_that_meets_a_full_disk_is_told_as_such(remote, full_disk):
    with pytest.raises(EnvironmentProblem, match="disk full on alpha"):
        await remote.check(["dd", "if=/dev/zero", f"of={full_disk}/x", "bs=1M", "count=4"])


async def test_a_missing_folder_is_named(remote, payload, folder):
    with pytest.raises(NotFound, match="nowhere"):
        await remote.files.upload(payload, f"{folder}/nowhere/file", sha256(payload))


async def test_a_program_that_prints_without_end_is_stopped(remote):
    with pytest.raises(CorruptData, match="more than 4 MiB"):
        await remote.run(["sh", "-c", "while :; do printf '%065536d' 0; done"])


async def test_undecodable_output_does_not_raise(remote):
    assert (await remote.run(["printf", "\\377\\n"])).stdout == "\ufffd\n"


async def test_more_programs_at_once_than_sessions_all_run(remote):
    import asyncio

    done = await asyncio.gather(*(remote.run(["printf", "%s", str(number)]) for number in range(25)))
    assert [one.stdout for one in done] == [str(number) for number in range(25)]


@pytest.mark.parametrize("subsystem", ["", "Subsystem sftp /bin/echo not a file server\n"])
async def test_a_host_without_sftp_is_told_what_to_set(
    fleet, start_host, payload, folder, monkeypatch, subsystem
):
    if sshd.openssh_path() is None:
        pytest.skip("sshd is not installed: apt-get install openssh-server")
    written = sshd._configuration

    def without_sftp(place):
        return written(place).replace("Subsystem sftp internal-sftp\n", subsystem)

    monkeypatch.setattr(sshd, "_configuration", without_sftp)
    remote = await fleet._remote(start_host(kind="openssh").spec)
    with pytest.raises(EnvironmentProblem, match="offers no SFTP") as caught:
        await remote.files.upload(payload, f"{folder}/file", sha256(payload))
    assert "Subsystem sftp internal-sftp" in caught.value.hint
