"""Files: backups, retention, restoring, the cache of a bucket, and what a controller writes into its home."""

from __future__ import annotations

import os
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

from ringrift.control import home as homes
from ringrift.control.artifacts import ArtifactStore
from ringrift.control.backup.restore import MARKER, restore
from ringrift.control.objects import Folder
from ringrift.control.reconcile import retention
from tests.control.doubles import shard
from tests.control.exports import CHECKPOINT, wish
from tests.control.kept import keep
from tests.failpoints.killing import Scene
from tests.failpoints.stage import Stage

backups = Scene("backups are taken, and old files go", settings={"backup": {"keep": 1}})
NAMES = [shard("games", number) for number in range(2)]


@backups.given
async def artifacts_are_there(stage: Stage) -> None:
    for content in NAMES:
        await keep(stage.world, content)


async def back_up(stage: Stage, place: Path, number: int) -> None:
    """Order the `number`th backup unless it is ordered, and see it through."""
    if len(await stage.world.get("/backups")) < number:
        await stage.world.post("/backups", {"place": str(place)})
    await stage.world.reconcile("backups")
    await stage.flights("backup:")


@backups.act
async def a_backup_is_taken(stage: Stage) -> None:
    await back_up(stage, stage.current / "backups", 1)


@backups.act
async def it_is_restored(stage: Stage) -> None:
    new = stage.folder / "restored"
    if (new / MARKER).exists() or not (new / "ringrift.db").exists():
        await restore(str(stage.current / "backups"), new)


@backups.act
async def the_next_one_replaces_it(stage: Stage) -> None:
    await back_up(stage, stage.current / "backups", 2)


@backups.act
async def one_fails(stage: Stage) -> None:
    (stage.folder / "letter").write_text("no folder")
    await back_up(stage, stage.current / "letter", 3)


@backups.given
async def much_is_old(stage: Stage) -> None:
    stage.sql("UPDATE artifact SET stored_at = 1.0")
    for number in range(5):
        wheel = stage.home / "releases" / f"{number:012x}"
        wheel.mkdir(parents=True)
        (wheel / "ringrift.whl").write_bytes(b"x")
        os.utime(wheel, (number, number))


@backups.act
async def retention_passes(stage: Stage) -> None:
    old = stage.home / "artifacts" / "quarantine" / "old"
    old.write_bytes(b"x")
    os.utime(old, (time.time() - 60 * 86_400,) * 2)
    await retention.run(stage.context)
    await stage.world.post("/retention")
    await stage.world.reconcile("retention")


class Bucket:
    """A folder whose files are fetched as those of a bucket are."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._folder, name)

    def local(self, key: str) -> Path | None:
        """Nothing of it is on this machine."""
        return None


@backups.act
async def a_file_comes_from_a_bucket(stage: Stage) -> None:
    name = await keep(stage.world, shard("in a bucket"))
    bucket = Bucket(Folder(stage.home / "artifacts"))
    artifacts = ArtifactStore(bucket.root, max_bytes=1 << 20, free_bytes=0, objects=bucket)
    assert (await artifacts.existing(name)).read_bytes() == shard("in a bucket")


@backups.act
async def a_controller_makes_itself_known(stage: Stage) -> None:
    homes.operator_token(stage.home)
    homes.announce(stage.home, "http://127.0.0.1:1")
    homes.withdraw(stage.home)


@backups.act
async def a_person_gets_a_token(stage: Stage) -> None:
    await stage.world.http.post("/v1/tokens", json={"name": "ann", "role": "viewer", "seconds": 3600})


@backups.act
async def it_is_revoked(stage: Stage) -> None:
    await stage.world.post("/tokens/ann/revoke")


@backups.act
async def a_model_is_imported(stage: Stage) -> None:
    await stage.world.post("/models", wish())


@backups.act
async def it_is_exported_in_turn(stage: Stage) -> None:
    if not stage.query("SELECT 1 FROM event WHERE action = 'model.exported'"):
        await stage.world.post(f"/models/{sha256(CHECKPOINT).hexdigest()}/export", {})


SCENES = [backups]
