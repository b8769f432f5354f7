"""`ringrift-ctl hosts import|export|history|quarantine`: the inventory and what becomes of its hosts."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from ringrift.cli.hosts import Name
from ringrift.cli.output import DryRun, Json, controller, output, report
from ringrift.errors import BadInput, EnvironmentProblem, NotFound, PartialFailure
from ringrift.text import printable

app = typer.Typer()
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_LARGEST = 4 << 20


@app.command("import")
def import_(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="Inventory in YAML (schema_version 1).")],
    dry_run: DryRun = False,
    partial: Annotated[bool, typer.Option(help="Write the sound entries although others are wrong.")] = False,
    json: Json = False,
) -> None:
    """Read an inventory and report on every host; all of it is written, or nothing. Repeat as you like."""
    from ringrift.cli import hosttables
    from ringrift.client import routes
    from ringrift.protocol.hosts import ImportRequest

    request = ImportRequest(text=_text(file), dry_run=dry_run, partial=partial)
    view = report(context, json, routes.import_hosts(request), hosttables.imported)
    if view.done and any(row.state == "new" and row.reason for row in view.rows):
        output(context, json).note("next: ringrift-ctl hosts trust --all-new")
    wrong = [row.name for row in view.rows if row.outcome == "refused"]
    if not wrong:
        return
    told = f"{len(wrong)} of {len(view.rows)} hosts in {file} are refused: {', '.join(wrong[:5])}"
    if view.done:
        raise PartialFailure(told, hint="mend their entries and import again")
    raise BadInput(f"{told}; nothing was written", hint="mend their entries, or pass --partial")


@app.command()
def export(
    context: typer.Context,
    to: Annotated[Path | None, typer.Option("-o", "--output", help="File to write.")] = None,
    with_addresses: Annotated[
        bool, typer.Option("--with-addresses", help="Also addresses and host keys.")
    ] = False,
    json: Json = False,
) -> None:
    """Write the inventory for another import; without secrets, and without addresses unless asked."""
    from ringrift.cli.textfile import write_file
    from ringrift.client import routes

    with controller() as client:
        view = client.send(routes.export_hosts(with_addresses))
    if to is not None:
        write_file(to, view.text)
    elif output(context, json).json:
        output(context, json).data(view, lambda: view.text)
    else:
        sys.stdout.write("".join(f"{printable(line)}\n" for line in view.text.splitlines()))


@app.command()
def history(
    context: typer.Context,
    name: Name,
    limit: Annotated[int, typer.Option(help="Newest changes to show.", min=1, max=1000)] = 100,
    json: Json = False,
) -> None:
    """Show how a host's state changed, and why, newest first."""
    from ringrift.cli import hosttables
    from ringrift.client import routes

    report(context, json, routes.host_history(name, limit), hosttables.history)


@app.command()
def quarantine(
    context: typer.Context,
    name: Name,
    reason: Annotated[str, typer.Option(help="Why; it is shown wherever the host is.")],
    for_: Annotated[
        str | None, typer.Option("--for", help="How long, such as 30m, 2h or 7d; else until `resume`.")
    ] = None,
    json: Json = False,
) -> None:
    """Keep new work away from a host, for a time or until `hosts resume`."""
    from ringrift.cli import hosttables
    from ringrift.client import routes
    from ringrift.protocol.hosts import QuarantineRequest

    seconds = duration(for_) if for_ is not None else None
    request = routes.build(QuarantineRequest, reason=reason, seconds=seconds)
    report(context, json, routes.quarantine(name, request), lambda view: hosttables.hosts([view]))


def duration(text: str) -> float:
    """Return the seconds of `90s`, `30m`, `2h` or `7d`; `BadInput` for anything else."""
    found = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)([smhd])", text)
    if found is None or float(found[1]) == 0:
        raise BadInput(f"{text!r} is no duration", hint="use a number and s, m, h or d, such as 2h")
    return float(found[1]) * _SECONDS[found[2]]


def _text(file: Path) -> str:
    """Return the text of a file of at most 4 MiB."""
    try:
        with file.open("rb") as opened:
            data = opened.read(_LARGEST + 1)
        if len(data) > _LARGEST:
            raise BadInput(f"{file} has more than {_LARGEST >> 20} MiB, so it is no inventory")
        return data.decode()
    except FileNotFoundError:
        raise NotFound(f"there is no file {file}") from None
    except UnicodeDecodeError:
        raise BadInput(f"{file} is not UTF-8 text") from None
    except OSError as problem:
        raise EnvironmentProblem(f"{file} cannot be read: {problem.strerror}") from None
