"""Every commit and side effect has a name, every name is one place, and every kind of effect is named."""

from __future__ import annotations

import re
from collections import Counter
from unittest import mock

from tests.failpoints import places
from tests.failpoints.places import Effect, effects, names

FORM = re.compile(r"[a-z_]+\.[a-z-]+")
PASSED_ON = {"ringrift/control/reconcile/base.py"}
"""`converge` commits under the name that its caller gives."""
TWICE = {
    "artifact.delete": "the row is marked, then the file goes: either kill leaves a marked row",
    "backup.order": "by an operator, or by the schedule",
    "fleet.provision": "the ordered plan, or the one made anew",
    "object.delete": "in a folder, or in a bucket",
    "object.publish": "in a folder, or in a bucket",
}

TEMPORARY = "a file of our own that no name leads to; what a kill leaves is swept or written anew"
INSIDE = "called inside a side effect only"
ONLY_LOOKS = "asks and changes nothing"
UNNAMED = {
    "ringrift/control/app.py:run_controller path.unlink": "the socket of this process; a start replaces it",
    "ringrift/control/artifacts.py:put temporary.unlink": TEMPORARY,
    "ringrift/control/artifacts.py:finish partial.unlink": TEMPORARY,
    "ringrift/control/artifacts.py:_cached temporary.unlink": TEMPORARY,
    "ringrift/control/artifacts.py:delete self._cache / sha256.unlink": INSIDE,
    "ringrift/control/backup/make.py:carry_out copy.unlink": TEMPORARY,
    "ringrift/control/backup/manifest.py:write_manifest temporary.write_bytes": TEMPORARY,
    "ringrift/control/backup/manifest.py:write_manifest temporary.unlink": TEMPORARY,
    "ringrift/control/backup/restore.py:_database copy.unlink": TEMPORARY,
    "ringrift/control/backup/restore.py:_artifact temporary.unlink": TEMPORARY,
    "ringrift/control/backup/restore.py:_file temporary.unlink": TEMPORARY,
    "ringrift/control/backup/restore.py:_write os.fsync": INSIDE,
    "ringrift/control/home.py:home_lock os.ftruncate": "words on the holder; the lock is the kernel's",
    "ringrift/control/home.py:home_lock os.write": "words on the holder; the lock is the kernel's",
    "ringrift/control/home.py:withdraw path.unlink": "an announcement of nobody is noticed by its process",
    "ringrift/control/home.py:agents_socket path.unlink": "the socket of a dead process; a start replaces it",
    "ringrift/control/home.py:_write_private os.fsync": TEMPORARY,
    "ringrift/control/objects.py:flush_folder os.fsync": "makes durable what has its name already",
    "ringrift/control/objects.py:_publish shutil.copyfile": TEMPORARY,
    "ringrift/control/objects.py:_publish os.fsync": TEMPORARY,
    "ringrift/control/objects.py:_publish temporary.unlink": TEMPORARY,
    "ringrift/control/webhook.py:_post httpx.AsyncClient": INSIDE,
    "hosts/files.py:upload self.rename": INSIDE,
    "hosts/files.py:sha256 self._remote.check": ONLY_LOOKS,
    "hosts/health.py:forwarded httpx.AsyncClient": ONLY_LOOKS,
    "hosts/identity.py:_create_once os.fsync": INSIDE,
    "hosts/identity.py:_create_once os.link": INSIDE,
    "hosts/identity.py:_create_once temporary.unlink": INSIDE,
    "hosts/tunnel.py:_prepare remote.check": "makes an empty folder, or finds it",
    "hosts/wheel.py:_built temporary.write_bytes": TEMPORARY,
}
"""Effects that are no place to be killed at, each with its reason."""
ON_THE_HOST = "hosts/apply_script.py:"
"""Runs on the host, where a dying controller does not end it; killed there in tests/hosts."""


def test_every_commit_and_side_effect_has_a_literal_name_of_the_form_subject_verb() -> None:
    wrong = [
        place
        for place in places.places()
        if not FORM.fullmatch(place.name) and place.where.partition(":")[0] not in PASSED_ON
    ]
    assert wrong == []


def test_a_name_stands_for_one_place() -> None:
    found = Counter(place.name for place in places.places() if place.name != "?")
    assert {name for name, count in found.items() if count > 1} == set(TWICE)


def test_every_effect_outside_the_store_is_named_or_has_a_reason_not_to_be() -> None:
    found = [
        f"{effect.where} {effect.call}"
        for effect in effects("ringrift/control", "hosts")
        if not effect.where.startswith(ON_THE_HOST)
    ]
    assert sorted(set(found) - set(UNNAMED)) == [], "put it into a `side_effect`"
    assert sorted(set(UNNAMED) - set(found)) == [], "these are gone"


UNMARKED = """
import os, shutil
from pathlib import Path

async def many(path, fleet, remote, spec):
    path.replace(path)
    "text".replace("a", "b")
    os.rename("a", "b")
    await asyncio.to_thread(path.unlink, missing_ok=True)
    await fleet.deploy(spec)
    await remote.check(["rm"])
    with side_effect("x.y"):
        path.unlink()
        shutil.rmtree("a")
    httpx.post("http://there")
"""


def test_an_effect_that_is_not_named_is_found(tmp_path) -> None:
    (tmp_path / "room").mkdir()
    (tmp_path / "room" / "new.py").write_text(UNMARKED)
    with mock.patch.object(places, "ROOT", tmp_path):
        found = effects("room")
    calls = ["path.replace", "os.rename", "path.unlink", "fleet.deploy", "remote.check", "httpx.post"]
    assert [effect.call for effect in found] == calls
    assert found[0] == Effect("room/new.py:many", "path.replace", 6)


def test_there_are_as_many_names_as_the_source_has() -> None:
    assert len(names()) > 90
    assert {"agent.result", "leader.take-over", "host.apply", "artifact.publish"} <= set(names())
