"""Files of operators and manifests of models that are made to cost much or to run something."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference.manifest import read_manifest
from ringrift.control.domain.inventory_text import read_inventory
from ringrift.errors import BadInput

HEAD = "schema_version: 1\nhosts: "
HOST = "{a: {ssh: {host: a.b, user: u, port: %s}}}\n"
FILES = {
    "billion laughs": 'a: &a [lol]\nb: &b [*a,*a]\nhosts: *b\n',
    "merge": HEAD + "{a: {<<: {ssh: {host: a.b, user: u}}}}\n",
    "deep": "[" * 100_000,
    "deep map": "hosts: " + "{a: " * 20_000,
    "an object": "hosts: !!python/object/apply:os.system [touch CANARY]\n",
    "a name": "hosts: !!python/name:os.system\n",
    "huge number": HEAD + HOST % ("9" * 100_000),
    "huge number in hex": HEAD + HOST % ("0x" + "f" * 1_000_000),
    "just below": HEAD + HOST % ("0x" + "f" * 2990),
    "huge number to base 60": HEAD + HOST % ("1" + ":59" * 300_000),
    "no such day": HEAD + "{a: {note: 9999-99-99, ssh: {host: a.b, user: u}}}\n",
    "two documents": "---\na\n---\nb\n",
    "NUL": "a\0b",
    "many values": HEAD + "[" + "0," * 1_500_000 + "]",
    "long name": HEAD + "{" + "a" * 3_000_000 + ": {}}",
}  # fmt: skip


@pytest.mark.parametrize("what", FILES)
def test_a_file_of_hosts_is_read_cheaply_or_refused(what: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        refused = [line for entry in read_inventory(FILES[what]).entries for line in entry.errors]
    except BadInput as error:
        refused = [error.line()]
    assert refused and all(len(line) < 400 and line.isprintable() for line in refused)
    assert list(tmp_path.iterdir()) == []


MODEL = '"hex8_2p": {"file": "%s", "sha256": "%s", "generation": 1}'
MANIFESTS = {
    "deep": "[" * 100_000,
    "huge number": '{"format": 1, "generation": ' + "9" * 5000 + "}",
    "a path upwards": MODEL % ("../../../etc/passwd", "0" * 64),
    "an absolute path": MODEL % ("/etc/passwd", "0" * 64),
    "a config with a path": '"../hex8_2p": {"file": "canonical_../hex8_2p.pth", "generation": 1}',
    "no hash": MODEL % ("canonical_hex8_2p.pth", "../" * 21 + "x"),
    "no text": "\xff\xfe",
}


@pytest.mark.parametrize("what", MANIFESTS)
def test_a_forged_manifest_names_no_other_file_and_is_refused(what: str, tmp_path: Path) -> None:
    text = MANIFESTS[what]
    if text.startswith('"'):
        text = '{"format": 2, "generation": 1, "models": {' + text + "}}"
    (tmp_path / "manifest.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(BadInput):
        read_manifest(tmp_path, None)
