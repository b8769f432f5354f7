"""Looking at a host: typed facts, or a clear error."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from agents.files import write_json
from agents.settings import Layout, erase_token, load_settings
from hosts.fact_script import probe
from hosts.facts import Question, extract, gather, parse
from hosts.layout import check_root
from ringrift.errors import BadInput, CorruptData, EnvironmentProblem

PROBED = {
    "os": "Linux",
    "arch": "x86_64",
    "user": "ops",
    "uid": 1000,
    "home": "/home/ops",
    "root": "/home/ops/ringrift",
    "python": "/usr/bin/python3.11",
    "version": "3.11.2",
    "markers": {},
    "packages": {"numpy": None},
    "gpus": [
        {"name": "NVIDIA GH200 480GB", "vram_bytes": 102625181696},
        {"name": "vGPU", "vram_bytes": None},
    ],
}
WITHOUT_PYTHON = {key: str(PROBED[key]) for key in ("os", "arch", "user", "uid", "home", "root")}


def probed(**changes: object) -> dict[str, str]:
    """Return what the script prints when the probe found these facts."""
    return {"probe": json.dumps({**PROBED, **changes})}


def test_what_the_script_prints_becomes_typed_facts():
    facts = parse("alpha", probed(disk_free_kib=1048576, base_venv=True, boot=None))
    assert (facts.uid, facts.disk_free_kib, facts.writable, facts.base_venv) == (1000, 1048576, True, True)
    assert facts.interpreter.version == "3.11.2"
    assert [gpu.vram_bytes for gpu in facts.gpus] == [102625181696, None]
    assert facts.agent.enrolled is False
    assert facts.releases == ()
    assert (facts.boot, facts.ram_bytes) == (None, None)


def test_a_host_without_python_is_described_by_the_shell_and_nothing_is_guessed():
    facts = parse("alpha", WITHOUT_PYTHON)
    assert (facts.os, facts.uid, facts.interpreter) == ("Linux", 1000, None)
    assert (facts.cpus, facts.gpus, facts.ram_bytes) == (None, None, None)


def test_facts_cannot_be_changed():
    facts = parse("alpha", probed())
    with pytest.raises(ValueError, match="frozen"):
        facts.root = "/elsewhere"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("uid", "root"),
        ("disk_free_kib", ""),
        ("disk_free_kib", -5),
        ("systemd", "upstart"),
        ("writable", "perhaps"),
        ("python", 3),
        ("releases", "none"),
        ("gpus", [{"vram_bytes": 1}]),
    ],
)
def test_garbage_in_a_fact_is_corrupt_data_that_names_host_and_field(name, value):
    with pytest.raises(CorruptData, match=f"facts of alpha cannot be used: .*{name}"):
        parse("alpha", probed(**{name: value}))


@pytest.mark.parametrize("text", ["Traceback (most recent call last):", "[1, 2]"])
def test_a_probe_that_says_something_else_is_corrupt_data(text):
    with pytest.raises(CorruptData, match="facts of alpha cannot be used"):
        parse("alpha", {**WITHOUT_PYTHON, "probe": text})


@pytest.mark.parametrize("name", WITHOUT_PYTHON)
def test_a_missing_fact_is_corrupt_data(name):
    with pytest.raises(CorruptData, match=name):
        parse("alpha", {key: value for key, value in WITHOUT_PYTHON.items() if key != name})


def test_only_what_stands_between_the_markers_counts():
    inside = "os=Linux\nodd line\nroot=/a=b\n"
    text = f"motd\nos=Plan9\nringrift-facts-begin n1\n{inside}ringrift-facts-end n1\nbye=1\n"
    assert extract(text, "n1") == {"os": "Linux", "root": "/a=b"}


@pytest.mark.parametrize("text", ["", "ringrift-facts-begin n1\nos=Linux\n", "ringrift-facts-end n1\n"])
def test_output_without_both_markers_is_no_answer(text):
    assert extract(text, "n1") is None


async def test_a_real_host_is_looked_at(remote, host):
    question = Question(root=str(host.root), python=sys.executable, packages=("numpy", "nope"))
    facts = await gather(remote, question)
    assert facts.root == str(host.root)
    assert facts.named_python
    assert facts.interpreter.packages["numpy"]
    assert facts.interpreter.packages["nope"] is None
    assert facts.interpreter.version == ".".join(map(str, sys.version_info[:3]))
    assert facts.modes["releases"] is None
    assert (facts.os, facts.uid, facts.home) == (os.uname().sysname, os.getuid(), str(host.folder / "home"))
    assert 0 < facts.cpus <= (os.cpu_count() or 1)
    assert 0 < facts.ram_bytes <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert facts.disk_total_bytes > facts.disk_free_kib * 1024 > 0
    assert facts.boot == (await gather(remote, question)).boot


async def test_a_look_tells_the_hash_of_the_settings_that_an_agent_would_be_started_with(remote, host):
    question, layout = Question(root=str(host.root), python=sys.executable), Layout(host.root)
    assert (await gather(remote, question)).agent.settings is None
    layout.prepare()
    for settings in ({"host": "alpha", "disk_percent": [70, 85, 92.5]}, {"host": "alpha", "unknown": "ä"}):
        write_json(layout.settings, settings | {"token": "a" * 20})
        wanted = load_settings(layout).config_hash
        assert (await gather(remote, question)).agent.settings == wanted
        erase_token(layout)
        assert load_settings(layout).config_hash == wanted


async def test_a_look_agrees_with_pip_about_every_version(remote, host):
    names = ("numpy", "numba", "asyncssh", "pydantic-settings", "prometheus_client", "pytest", "nothing")
    facts = await gather(remote, Question(root=str(host.root), python=sys.executable, packages=names))
    assert facts.interpreter.packages == {name: installed(name) for name in names}


def installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


GPU_CASES = {
    "two": ("echo 'NVIDIA H100 80GB HBM3, 81559'; echo 'NVIDIA A100, 20480'", [81559 << 20, 20480 << 20]),
    "memory not told": ("echo 'NVIDIA GB10, [N/A]'", [None]),
    "driver broken": ("echo 'Failed to initialize NVML'; exit 9", None),
    "silent": ("exit 0", None),
}


@pytest.mark.parametrize("case", GPU_CASES)
def test_graphics_cards_are_what_the_driver_lists_and_unknown_when_it_fails(case, tmp_path):
    program, memory = GPU_CASES[case]
    (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{program}\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    wish = json.dumps({**Question(root="").model_dump(), "folders": {}})
    command = [sys.executable, "-I", "-c", probe(), wish, str(tmp_path / "root"), "named"]
    environment = {**os.environ, "PATH": f"{tmp_path}:/usr/bin:/bin"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found = parse("alpha", {"probe": done.stdout.partition("=")[2]}).gpus
    assert found is None if memory is None else [gpu.vram_bytes for gpu in found] == memory


async def test_a_root_below_the_home_is_resolved_the_same_everywhere(remote, host):
    facts = await gather(remote, Question(root="~/my ringrift"))
    assert facts.home == str(host.folder / "home")
    assert facts.root == f"{host.folder}/home/my ringrift"


async def test_a_python_on_the_path_is_found_where_none_is_named(remote, host):
    facts = await gather(remote, Question(root=str(host.root)))
    assert facts.base_python.startswith("/")
    assert not facts.named_python
    assert not facts.own_python


async def test_looking_changes_nothing(remote, host):
    await gather(remote, Question(root=str(host.root), python=sys.executable))
    assert not host.root.exists()


async def test_a_login_shell_that_runs_nothing_is_named(fleet, start_host, monkeypatch, tmp_path):
    shell = tmp_path / "nologin"
    shell.write_text("#!/bin/sh\necho This account is currently not available.\nexit 1\n")
    shell.chmod(0o755)
    monkeypatch.setenv("SHELL", str(shell))
    host = start_host(kind="double")
    with pytest.raises(EnvironmentProblem, match="currently not available"):
        await fleet.agent_enrolled(host.spec)


@pytest.mark.parametrize("root", ["", "relative", "/", "//", "~user/x", "/a/../b", "/a\nb", "~/..", "-rf"])
def test_a_root_that_is_no_folder_of_its_own_is_refused(root):
    with pytest.raises(BadInput, match="bad root folder"):
        check_root(root)


async def test_a_bad_root_is_refused_before_anything_is_sent(fleet, host, report):
    with pytest.raises(BadInput):
        await fleet.provision(replace(host.spec, root="/"), None, report)


def test_the_probe_travels_through_any_login_shell():
    assert "\\" not in probe()
    assert len(probe()) < 64_000


def test_the_probe_uses_the_standard_library_only():
    imported = {line.split()[1] for line in probe().splitlines() if line.startswith(("import ", "from "))}
    assert imported - {"__future__"} <= set(sys.stdlib_module_names)


def test_the_probe_speaks_of_secrets_by_their_hash_only():
    text = Path(sys.modules["hosts.fact_script"].__file__).with_name("probe.py").read_text()
    assert '"token": hashlib.sha256(' in text
