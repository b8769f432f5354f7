"""Argument vectors cross a shell unharmed."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys

import pytest

from hosts.remote import quote
from ringrift.errors import BadInput

HOSTILE = [
    "; touch /tmp/owned",
    "$(touch owned)",
    "`id`",
    "a\nb",
    "-rf",
    "--",
    "it's",
    '"',
    "\\",
    "*",
    "~",
    "a b  c",
    "",
    "\t",
    "é☃",
    "$HOME",
    "&& true",
    "| cat",
    "> x",
    "!!",
    "#x",
    "{a,b}",
]
PRINT = "import json, sys; print(json.dumps(sys.argv[1:]))"


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_every_hostile_argument_arrives_as_it_was(shell, tmp_path):
    line = quote([sys.executable, "-c", PRINT, *HOSTILE])
    done = subprocess.run([shell, "-c", line], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert json.loads(done.stdout) == HOSTILE
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("argv", [[], [""], ["echo", "a\0b"]])
def test_what_no_shell_can_carry_is_refused(argv):
    with pytest.raises(BadInput):
        quote(argv)


async def test_hostile_arguments_arrive_on_a_real_host(remote):
    done = await remote.check([sys.executable, "-c", PRINT, *HOSTILE])
    assert json.loads(done.stdout) == HOSTILE


async def test_hostile_environment_values_arrive_on_a_real_host(remote):
    done = await remote.check(["sh", "-c", 'printf %s "$ODD"'], env={"ODD": "; $(id) '\n-x"})
    assert done.stdout == "; $(id) '\n-x"


async def test_hostile_file_names_stay_one_file(remote, tmp_path):
    (tmp_path / "source").write_bytes(b"1")
    folder = tmp_path / "odd"
    folder.mkdir()
    for name in ("-rf", "a b", "$(id)", "it's", "new\nline"):
        await remote.files.upload(tmp_path / "source", f"{folder}/{name}", hashlib.sha256(b"1").hexdigest())
        assert (folder / name).read_bytes() == b"1"
    assert len(list(folder.iterdir())) == 5
