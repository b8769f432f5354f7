"""`backup`, `restore` and `retention`: what keeps the controller's data, and what may go."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ringrift.cli.output import DryRun, Json, Yes, confirm, controller, note, output, report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from ringrift.protocol.durability import BackupView, RetentionView

app = typer.Typer()
backups = typer.Typer(help="Copy database and artifacts to a folder or bucket.", invoke_without_command=True)
_POLL_SECONDS = 0.5


@backups.callback()
def backup(
    context: typer.Context,
    to: Annotated[
        str | None, typer.Option(help="A folder or s3://bucket/prefix (RINGRIFT_BACKUP_TO).")
    ] = None,
    with_keys: Annotated[
        bool, typer.Option("--with-keys", help="The SSH key and the operator's token too; to a folder only.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it was read back.")] = True,
    json: Json = False,
) -> None:
    """Take a backup now: complete when all of it was read back. `backup list` shows what there is."""
    if context.invoked_subcommand is not None:
        return
    from ringrift.client import routes
    from ringrift.errors import CorruptData
    from ringrift.protocol.durability import BackupRequest

    place = str(Path(to).expanduser().absolute()) if to and "://" not in to else to
    with controller() as client:
        view = client.send(routes.begin_backup(routes.build(BackupRequest, place=place, keys=with_keys)))
        note(f"{view.id} to {view.place} ...")
        while wait and view.state == "running":
            time.sleep(_POLL_SECONDS)
            view = client.send(routes.backup(view.id))
    output(context, json).data(view, lambda: _drawn([view]))
    if view.state == "failed":
        raise CorruptData(f"{view.id} failed: {view.reason}", hint="mend that, then take it again")


@backups.command("list")
def listed(context: typer.Context, json: Json = False) -> None:
    """Show backups: when, where, how large, whether they were read back."""
    from ringrift.client import routes

    report(context, json, routes.backups(), _drawn)


@app.command()
def restore(
    context: typer.Context,
    place: Annotated[str, typer.Argument(help="The folder or s3://bucket/prefix of the backups.")],
    home: Annotated[Path, typer.Option(help="An empty folder, which becomes the RINGRIFT_HOME.")],
    backup: Annotated[str | None, typer.Option(help="Which one; the newest without.")] = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Bring a backup back into a new home, on a machine without a controller. Ask again to go on."""
    import asyncio
    import os

    from ringrift.cli.output import fields
    from ringrift.control.artifacts import ARTIFACTS_URL
    from ringrift.control.backup.manifest import find_manifest
    from ringrift.control.backup.restore import restore as bring_back
    from ringrift.control.objects import open_objects
    from ringrift.control.store.engine import DATABASE_URL

    if dry_run:
        _, found = asyncio.run(find_manifest(open_objects(place), backup))
        told = {"id": found.id, "made_at": found.made_at, "rows": found.rows, "size": found.size}
        output(context, json).data(told, lambda: fields(told.items()))
        return
    done = asyncio.run(
        bring_back(
            place,
            home,
            identity=backup,
            database=os.environ.get(DATABASE_URL),
            artifacts=os.environ.get(ARTIFACTS_URL),
            say=note,
        )
    )
    output(context, json).data(done, lambda: fields(vars(done).items()))
    if not done.keys:
        note("the SSH key is not in the backup: `ringrift-ctl up` makes a new one, which every host must get")


@app.command()
def retention(context: typer.Context, dry_run: DryRun = False, yes: Yes = False, json: Json = False) -> None:
    """Remove artifacts that nothing references, or show with --dry-run what would go and why."""
    from ringrift.client import routes
    from ringrift.client.display import size

    with controller() as client:
        plan = client.send(routes.retention())
        if not dry_run:
            note(_plan(plan))
            confirm(f"Remove {plan.deleted} artifacts ({size(plan.deleted_size)})?", yes)
            plan = client.send(routes.order_retention())
    output(context, json).data(plan, lambda: _plan(plan))


def _drawn(views: Sequence[BackupView]) -> RenderableType:
    from ringrift.cli.output import state_text, table
    from ringrift.client.display import age, size

    rows = (
        (
            state_text(v.state),
            v.id,
            age(v.age),
            size(v.size),
            v.artifacts,
            v.place,
            "yes" if v.keys else "",
            v.reason,
        )
        for v in views
    )
    return table(("", "backup", "age", "size>", "artifacts>", "place", "keys", "note"), rows)


def _plan(view: RetentionView) -> RenderableType:
    from rich.console import Group

    from ringrift.cli.output import table
    from ringrift.client.display import age, short, size

    stays = table(("stays>", "because"), ((count, why) for why, count in view.reasons.items()))
    rows = ((short(item.sha256), size(item.size), age(item.age), item.why) for item in view.items)
    title = f"{view.deleted} go ({size(view.deleted_size)}), {view.kept} stay ({size(view.kept_size)})"
    return Group(stays, table(("goes", "size>", "age", "because"), rows, title))
