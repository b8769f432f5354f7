"""`models export` and `models import`: single models between controllers, signed like what targets serve."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ringrift.cli.configs import actor
from ringrift.cli.models import NAME, model_name
from ringrift.cli.output import DryRun, Json, controller, note, output
from ringrift.errors import BadInput, CorruptData, EnvironmentProblem, IncompatibleModel, NotFound

if TYPE_CHECKING:
    from rich.table import Table

    from ringrift.protocol.portable import ExportView, ImportView

app = typer.Typer()
_KEY = re.compile(r"[A-Za-z0-9+/]{43}=")
_MANIFEST, _SIGNATURE = "manifest.json", "manifest.sig"
Keys = Annotated[
    list[str],
    typer.Option(
        "--key", help="Public key of a signer that you trust, as `models export` tells it, or a file of keys."
    ),
]


@app.command("export")
def export_model(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help=NAME)],
    to: Annotated[Path, typer.Option(help="The folder to make.")],
    days: Annotated[float | None, typer.Option(help="How long it counts; without: for ever.")] = None,
    json: Json = False,
) -> None:
    """Write a model with its signed manifest to a folder: to be served as it is, or imported elsewhere."""
    from ringrift.client import routes
    from ringrift.protocol.portable import ExportRequest

    _refuse_taken(to)
    request, name = routes.build(ExportRequest, days=days, actor=actor()), model_name(model)
    with controller() as client:
        view = client.send(routes.export_model(name, request))
        data = client.send(routes.artifact(view.model))
    if hashlib.sha256(data).hexdigest() != view.model:
        raise CorruptData(f"the checkpoint {view.model[:12]} arrived as other bytes", hint="export it again")
    _write(to, {view.file: data, _MANIFEST: view.manifest.encode(), _SIGNATURE: view.signature.encode()})
    output(context, json).data(view, lambda: _exported(view))
    note(f"it is in {to}; give the receiver the key by another way than the folder")


@app.command("import")
def import_model(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="What `models export` wrote.")],
    key: Keys,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Take in a model that another controller exported, as a candidate that has to pass the gate here."""
    from ringrift.client import routes
    from ringrift.protocol.portable import MANIFEST_BYTES, ImportRequest

    told = {
        "manifest": _text(folder / _MANIFEST, MANIFEST_BYTES),
        "signature": _text(folder / _SIGNATURE, 200),
        "keys": [one for given in key for one in _keys(given)],
        "actor": actor(),
    }
    with controller() as client:
        view = client.send(routes.import_model(routes.build(ImportRequest, **told, dry_run=True)))
        if view.outcome != "unchanged":
            data = _proven(folder / view.file, view)
            if not dry_run:
                content = base64.b64encode(data)
                view = client.send(
                    routes.import_model(routes.build(ImportRequest, **told, checkpoint=content))
                )
    output(context, json).data(view, lambda: _imported(view))


def _refuse_taken(folder: Path) -> None:
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise BadInput(f"{folder} is there already", hint="name a folder that is not there")


def _write(folder: Path, files: dict[str, bytes]) -> None:
    """Make the folder with all of its files, or nothing."""
    unnamed = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    try:
        unnamed.mkdir(parents=True)
        for name, data in files.items():
            (unnamed / name).write_bytes(data)
        unnamed.replace(folder)
    except OSError as error:
        shutil.rmtree(unnamed, ignore_errors=True)
        raise EnvironmentProblem(f"cannot write {folder}: {error.strerror}") from None


def _read(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise NotFound(
            f"cannot read {path}: {error.strerror}", hint="see `ringrift-ctl models import --help`"
        ) from None
    if len(data) > limit:
        raise BadInput(f"{path} is larger than {limit} bytes")
    return data


def _text(path: Path, limit: int) -> str:
    try:
        return _read(path, limit).decode()
    except UnicodeDecodeError:
        raise BadInput(f"{path} is no text") from None


def _keys(given: str) -> list[str]:
    """Return the keys in a file, or the one that was given itself."""
    keys = [given] if _KEY.fullmatch(given) else _text(Path(given), 1 << 16).split()
    if not keys or not all(map(_KEY.fullmatch, keys)):
        raise BadInput(f"{given[:200]!r} holds something that is no public key", hint="one base64 key a line")
    return keys


def _proven(path: Path, view: ImportView) -> bytes:
    """Return a checkpoint's bytes, once they are those of the manifest and their net says what it promises.

    Raises `NotFound` without the file, `CorruptData` for other bytes or a net that says something else, and
    `IncompatibleModel` for one of another config.
    """
    from ringrift.protocol.portable import CHECKPOINT_BYTES

    data = _read(path, CHECKPOINT_BYTES)
    found = hashlib.sha256(data).hexdigest()
    if found != view.model:
        raise CorruptData(
            f"{path} has SHA-256 {found[:12]}, its manifest says {view.model[:12]}",
            hint="get the export again",
        )
    try:
        from inference.manifest import Entry
        from inference.models import load_model
        from ringrift.game.config import GameConfig
        from ringrift.golden import read_golden
    except ImportError as missing:
        raise EnvironmentProblem(
            f"an import asks the net what it says, and {missing.name} is not installed",
            hint="install it with `pip install 'ringrift[inference,control]'`",
        ) from None
    config = GameConfig.parse(view.config)
    golden = read_golden(view.golden.model_dump(), config)
    net = load_model(Entry(config, path, view.model, view.generation, None, golden)).net
    if (net.arch.blocks, net.arch.channels) != (view.architecture.blocks, view.architecture.channels):
        raise IncompatibleModel(f"{path} is a net of another shape than its manifest says")
    return data


def _exported(view: ExportView) -> Table:
    from ringrift.cli.output import fields

    return fields(
        [
            ("model", view.model),
            ("config", view.config),
            ("signer", view.signer),
            ("key", view.key),
            ("expires", _date(view.expires_at)),
        ]
    )


def _imported(view: ImportView) -> Table:
    from ringrift.cli.output import fields

    outcome = view.outcome if view.done else f"would be {view.outcome}"
    return fields(
        [
            ("model", view.model),
            ("config", view.config),
            ("outcome", outcome),
            ("signer", view.signer),
            ("expires", _date(view.expires_at)),
        ]
    )


def _date(seconds: float | None) -> str:
    from datetime import UTC, datetime

    return "never" if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(" ", "minutes")
