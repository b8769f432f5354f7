"""A backup that somebody forged: it writes nothing outside the home, ends, and is refused in one line."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine

from ringrift.control.backup import export
from ringrift.control.backup.manifest import LARGEST, Part, manifests
from ringrift.control.backup.restore import MARKER, _file, restore
from ringrift.control.objects import Folder
from ringrift.errors import BadInput, CorruptData, NotFound, RingRiftError
from tests.control.test_backup import taken as taken

HOST = '{"table": "setting", "columns": ["key", "value"]}\n'
NAMES = ("../owned", "/tmp/owned", "ssh/../../owned", "ssh/..", "ssh", "", ".", "run/x", "ringrift.db",
         MARKER, "ssh/authorized_keys", "webhook.url", "config.toml/x", "a\0b",
         "ssh/id_ed25519\n")  # fmt: skip
COPIES = {
    "schema": '{"table": "alembic_version", "columns": ["version_num"]}\n["9999"]\n',
    "inner table": '{"table": "sqlite_master", "columns": ["name"]}\n["x"]\n',
    "no table": '{"table": "x\\"; DROP TABLE host; --", "columns": ["name"]}\n["x"]\n',
    "no column": '{"table": "setting", "columns": ["key\\", value) --"]}\n["x"]\n',
    "no list": '{"table": ["setting"], "columns": 5}\n',
    "row of no table": '["x"]\n',
    "empty row of no table": "[]\n",
    "deep": "[" * 100_000 + "\n",
    "huge number": HOST + '["k", ' + "9" * 5000 + "]\n",
    "another type": HOST + '[["k"], 1]\n',
    "twice": HOST + '["k", 1]\n["k", 1]\n',
    "too short a row": HOST + '["k"]\n',
    "more rows": HOST + '["k", 1]\n["l", 1]\n',
    "fewer rows": HOST,
    "nothing": "",
    "no JSON": "owned\n",
    "half a letter": "\udcff\n",
    "a long line": HOST + '["' + "k" * 100_000 + '", 1]\n',
}


@pytest.mark.parametrize("what", COPIES)
def test_a_forged_copy_of_a_database_is_refused(
    what: str, tmp_path: Path, migrated_sqlite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "_LINE", 50_000)
    shutil.copy(migrated_sqlite, tmp_path / "db")
    copy = tmp_path / "copy.jsonl.gz"
    copy.write_bytes(gzip.compress(COPIES[what].encode(errors="surrogateescape"), 1))
    engine = create_engine(f"sqlite:///{tmp_path / 'db'}")
    before = (tmp_path / "db").read_bytes()
    with pytest.raises(CorruptData) as caught, engine.begin() as connection:
        export.read_rows(connection, copy, 1)
    engine.dispose()
    assert len(caught.value.line()) < 500 and (tmp_path / "db").read_bytes() == before


@pytest.mark.parametrize(
    "content",
    [b"", b"no archive", gzip.compress(b"[1]\n" * 9999)[:-30], b"\x1f\x8b\x08" + b"\0" * 99],
    ids=["nothing", "words", "cut off", "a head alone"],
)
def test_what_is_no_archive_is_refused(content: bytes, tmp_path: Path, migrated_sqlite: Path) -> None:
    (tmp_path / "copy").write_bytes(content)
    with create_engine(f"sqlite:///{migrated_sqlite}").connect() as connection, pytest.raises(CorruptData):
        export.read_rows(connection, tmp_path / "copy", 1)


@pytest.mark.parametrize("name", NAMES)
async def test_a_file_goes_nowhere_but_to_its_own_name_in_the_home(name: str, tmp_path: Path) -> None:
    home, place = tmp_path / "deep" / "home", tmp_path / "place"
    (home / "ssh").mkdir(parents=True)
    (home / MARKER).write_text("mine")
    (place / "files").mkdir(parents=True)
    (place / "files" / "x").write_text("owned")
    part = Part(key="files/x", sha256=hashlib.sha256(b"owned").hexdigest(), size=5, name=name)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(CorruptData, match="that no backup has"):
        await _file(Folder(place), part, home)
    assert sorted(tmp_path.rglob("*")) == before and (home / MARKER).read_text() == "mine"


def forge(place: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Write the manifest anew, with the hash that belongs to it."""
    [path] = (place / "manifests").iterdir()
    document = json.loads(path.read_text())
    change(document)
    data = json.dumps(document).encode()
    path.unlink()
    name = f"{document['id'].replace('/', '_')}.{hashlib.sha256(data).hexdigest()}.json"
    (place / "manifests" / name).write_bytes(data)


def endless(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def key(text: str) -> Callable[[dict[str, Any]], None]:
    return lambda document: document["database"].update(key=text)


FORGED: dict[str, tuple[Callable[[Path], None], type[RingRiftError]]] = {
    "a path upwards": (lambda p: forge(p, key("../../../etc/passwd")), BadInput),
    "an absolute path": (lambda p: forge(p, key("/etc/passwd")), BadInput),
    "an artifact with a path": (
        lambda p: forge(p, lambda d: d["artifacts"].update({"../x": 1})),
        CorruptData,
    ),
    "no number": (lambda p: forge(p, lambda d: d.update(rows="many")), CorruptData),
    "another format": (lambda p: forge(p, lambda d: d.update(format=2)), CorruptData),
    "a schema of nobody": (lambda p: forge(p, lambda d: d.update(revision="'; --")), RingRiftError),
    "a database without end": (lambda p: endless(next((p / "databases").iterdir())), CorruptData),
    "a database that is a pipe": (lambda p: pipe(next((p / "databases").iterdir())), CorruptData),
    "a manifest without end": (lambda p: endless(next((p / "manifests").iterdir())), NotFound),
    "a manifest that is a pipe": (lambda p: pipe(next((p / "manifests").iterdir())), NotFound),
    "a huge manifest": (lambda p: os.truncate(next((p / "manifests").iterdir()), LARGEST + 1), CorruptData),
    "another size": (lambda p: forge(p, lambda d: d["database"].update(size=1 << 60)), CorruptData),
}


@pytest.mark.parametrize("what", FORGED)
async def test_a_forged_backup_ends_in_one_line_and_no_controller_starts_on_it(
    what: str, taken: Path, tmp_path: Path
) -> None:
    change, error = FORGED[what]
    change(taken)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(error) as caught:
        await restore(str(taken), tmp_path / "new")
    assert len(caught.value.line()) < 500
    left = sorted(path for path in tmp_path.iterdir() if path != tmp_path / "new")
    assert left == before
    assert not (tmp_path / "new").exists() or (tmp_path / "new" / MARKER).exists()


async def test_an_artifact_without_end_is_refused_before_a_byte_is_written(
    taken: Path, tmp_path: Path
) -> None:
    endless(next(path for path in (taken / "artifacts").rglob("*") if path.is_file()))
    with pytest.raises(CorruptData, match="damaged or missing"):
        await restore(str(taken), tmp_path / "new")
    assert len(await manifests(Folder(taken))) == 1
