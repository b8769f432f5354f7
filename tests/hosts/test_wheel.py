"""The wheel that hosts get."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from hosts import wheel
from hosts.provision import FleetSettings, wish_for
from ringrift.control.domain.ports import HostSpec
from ringrift.errors import EnvironmentProblem, Refused

REPOSITORY = Path(__file__).resolve().parents[2]


def test_equal_sources_give_equal_bytes_whatever_their_dates(source, tmp_path):
    first = wheel.build(tmp_path / "one", source)
    for path in source.rglob("*.py"):
        os.utime(path, (0, 0))
    (source / "agents" / "__pycache__").mkdir()
    (source / "agents" / "__pycache__" / "x.cpython-311.pyc").write_bytes(b"compiled")
    (source / "ringrift" / "kernel.nbc").write_bytes(b"compiled")
    second = wheel.build(tmp_path / "two", source)
    assert first.path.read_bytes() == second.path.read_bytes()
    assert first.name == second.name == hashlib.sha256(first.path.read_bytes()).hexdigest()[:12]


def test_any_changed_source_gives_another_release(source, tmp_path):
    first = wheel.build(tmp_path, source)
    (source / "agents" / "files.py").write_text("# changed\n")
    assert wheel.build(tmp_path, source).name != first.name


def test_a_release_holds_what_hosts_run_and_nothing_of_the_controller(tmp_path):
    names = zipfile.ZipFile(wheel.build(tmp_path).path).namelist()
    assert {name.split("/")[0] for name in names} == {"agents", "inference", "ringrift", wheel.DIST_INFO}
    assert "ringrift/errors.py" in names
    assert "agents/supervisor.py" in names
    assert not [name for name in names if name.startswith(wheel.LEFT_OUT)]
    assert not [name for name in names if "__pycache__" in name or name.endswith((".pyc", ".nbi", ".nbc"))]


def test_what_is_left_out_is_imported_by_nothing_that_is_sent(tmp_path):
    """Otherwise a host would fail at run time."""
    with zipfile.ZipFile(wheel.build(tmp_path).path) as archive:
        texts = {name: archive.read(name).decode() for name in archive.namelist() if name.endswith(".py")}
    left_out = ("ringrift.control", "ringrift.cli", "ringrift.client", "hosts", "tui")
    for name, text in texts.items():
        for package in left_out:
            assert f"import {package}" not in text and f"from {package}" not in text, name


def test_every_file_is_recorded_with_its_hash(tmp_path):
    with zipfile.ZipFile(wheel.build(tmp_path).path) as archive:
        rows = {row[0]: row for row in csv.reader(io.StringIO(archive.read(wheel.RECORD).decode()))}
        assert set(rows) == set(archive.namelist())
        for name in archive.namelist():
            if name != wheel.RECORD:
                digest = hashlib.sha256(archive.read(name)).digest()
                expected = base64.urlsafe_b64encode(digest).decode().rstrip("=")
                assert rows[name][1:] == [f"sha256={expected}", str(archive.getinfo(name).file_size)]


def test_its_metadata_names_what_each_extra_requires(tmp_path):
    built = wheel.build(tmp_path)
    with zipfile.ZipFile(built.path) as archive:
        metadata = Parser().parsestr(archive.read(f"{wheel.DIST_INFO}/METADATA").decode())
    assert metadata["Name"] == "ringrift"
    assert metadata.get_all("Provides-Extra") == ["agent", "inference", "onnx"]
    stated = [Requirement(text) for text in metadata.get_all("Requires-Dist")]
    for extra in ("agent", "inference", "onnx"):
        of_extra = {item.name for item in stated if item.marker.evaluate({"extra": extra})}
        assert of_extra == {Requirement(text).name for text in built.requirements[extra]}
    assert "numpy" in {Requirement(text).name for text in built.requirements["agent"]}


def test_pip_accepts_it(tmp_path, source):
    built = wheel.build(tmp_path, source)
    target = tmp_path / "installed"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--target", str(target), str(built.path)], check=True)
    name = "agents/supervisor.py"
    assert (target / name).read_bytes() == (source / name).read_bytes()


def test_references_to_our_own_extras_are_resolved(source):
    project = source / "pyproject.toml"
    changed = project.read_text().replace('agent = ["numpy>=1"', 'agent = ["ringrift[inference]", "zstd>=1"')
    project.write_text(changed)
    assert wheel.requirements_of(source)["agent"][:2] == ("numpy>=1", "zstd>=1")


def test_an_installed_product_states_its_requirements_in_its_metadata(tmp_path, monkeypatch):
    lines = ["asyncssh>=2; extra == 'control'", "numpy<3; extra == 'agent'"]
    lines.append('x; os_name == "nt" and extra == "agent"')
    monkeypatch.setattr(wheel.importlib.metadata, "requires", lambda _name: lines)
    assert wheel.requirements_of(tmp_path) == {"agent": tuple(lines[1:]), "inference": (), "onnx": ()}


def test_a_folder_without_our_packages_is_refused(tmp_path):
    (tmp_path / "pyproject.toml").write_text((REPOSITORY / "pyproject.toml").read_text())
    with pytest.raises(EnvironmentProblem, match="holds no package agents"):
        wheel.build(tmp_path / "home", tmp_path)


def test_a_release_of_before_there_was_an_engine_is_refused_for_it(tmp_path):
    built = replace(wheel.build(tmp_path), requirements={"agent": (), "inference": ()})
    host = HostSpec("alpha", "u", "a", 22, "ssh-ed25519 k", "ringrift", None, None)
    with pytest.raises(Refused, match="has no engine onnx"):
        wish_for(host, built, "onnx", FleetSettings())
