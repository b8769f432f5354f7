"""`up`, `down`, `status` and `tui`."""

from __future__ import annotations

from typing import Annotated

import typer

from ringrift.cli.output import Json, note, output, report
from ringrift.errors import UsageError

app = typer.Typer()
Port = Annotated[
    int | None, typer.Option(min=0, max=65535, help="Port on 127.0.0.1 (8470); 0 takes a free one.")
]


@app.command()
def up(
    context: typer.Context,
    detach: Annotated[bool, typer.Option("--detach", help="Run in the background.")] = False,
    port: Port = None,
    json: Json = False,
) -> None:
    """Start the controller of this RINGRIFT_HOME, in the foreground or with --detach."""
    from ringrift.cli import process
    from ringrift.cli.output import fields
    from ringrift.client.home import DEFAULT_PORT

    running = process.running_controller()
    wanted = DEFAULT_PORT if port is None else port
    if running is None and not detach:
        from ringrift.cli.compose import run

        run(wanted)
        return
    record = running or process.start_detached(wanted)
    told = {"url": record.url, "pid": record.pid, "started": running is None}
    output(context, json).data(told, lambda: fields(told.items()))
    if running:
        note("the controller is already running")


@app.command()
def down(context: typer.Context, json: Json = False) -> None:
    """Stop the controller of this RINGRIFT_HOME. Agents work on."""
    from ringrift.cli import process

    stopped = process.stop()
    told = {"stopped": stopped is not None, "pid": stopped.pid if stopped else None}
    words = f"stopped the controller (pid {stopped.pid})" if stopped else "no controller was running"
    output(context, json).data(told, lambda: words)


@app.command()
def status(context: typer.Context, json: Json = False) -> None:
    """Show controller, hosts, configs, jobs, and the receipts that prove that no game was lost."""
    from ringrift.cli import tables
    from ringrift.client import routes

    report(context, json, routes.status(), tables.status)


@app.command()
def tui(
    operate: Annotated[bool, typer.Option("--operate", help="Allow changes; read-only without.")] = False,
) -> None:
    """Open the terminal. Starts a controller when none runs, and says so."""
    import os
    import sys

    from ringrift.cli import process
    from ringrift.client.home import DEFAULT_PORT

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("the terminal needs a terminal", hint="in scripts use `ringrift-ctl status --json`")
    started = ""
    if not os.environ.get("RINGRIFT_URL") and process.running_controller() is None:
        note("no controller runs: starting one ...")
        record = process.start_detached(DEFAULT_PORT)
        started = f"started a controller at {record.url} (pid {record.pid}); stop it with `ringrift-ctl down`"
        note(started)
    from tui.app import RingRiftApp

    RingRiftApp(operate=operate, notice=started).run()
