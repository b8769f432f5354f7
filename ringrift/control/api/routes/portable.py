"""Single models for other controllers, and from them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from fastapi import APIRouter, Request

from ringrift.control.api.access import By
from ringrift.control.api.signatures import bounded_body, parse
from ringrift.control.domain.portable import read_export, served_as
from ringrift.control.domain.ports import ModelFile
from ringrift.control.reconcile.context import Context
from ringrift.control.signing import export_text, key_id, public_text, signature_line, signer_of, signing_key
from ringrift.control.store import portable
from ringrift.control.store.clock import now
from ringrift.errors import BadInput
from ringrift.protocol.portable import (
    CHECKPOINT_BYTES,
    IMPORT_BYTES,
    ExportRequest,
    ExportView,
    ImportRequest,
    ImportView,
)

_DAY = 86400.0


def add_routes(router: APIRouter, context: Context) -> None:
    """Add the routes of exports and imports."""

    @router.post("/models/{sha}/export")
    async def export(sha: str, wish: ExportRequest, by: By) -> ExportView:
        return await _export(context, sha, wish.days, by.actor(wish.actor))

    @router.post("/models")
    async def import_(request: Request, by: By) -> ImportView:
        body = await bounded_body(request, IMPORT_BYTES)
        # Beside the event loop: a checkpoint has megabytes.
        wish = await asyncio.to_thread(parse, ImportRequest, body)
        view = await _import(context, wish, by.actor(wish.actor))
        context.wake()
        return view


async def _export(context: Context, sha: str, days: float | None, actor: str) -> ExportView:
    found = await context.store.read(lambda s: portable.leaving(s, sha))
    model, key = found.model, signing_key(context.home)
    path = await context.artifacts.existing(model.sha256)
    file = ModelFile(model.config, model.sha256, path, found.generation, found.evaluation, model.golden)
    expires_at = None if days is None else found.time + days * _DAY
    text = export_text(file, found.training(), expires_at)
    signer = key_id(public_text(key))
    await context.store.write(
        "model.export", lambda s: portable.note_export(s, model.sha256, signer, expires_at, actor)
    )
    return ExportView(
        model=model.sha256,
        config=model.config,
        file=file.served_as,
        size=found.size,
        manifest=text,
        signature=signature_line(key, text),
        key=public_text(key),
        signer=signer,
        expires_at=expires_at,
    )


async def _import(context: Context, wish: ImportRequest, actor: str) -> ImportView:
    """Check signature, then what the manifest says, then hash and structure of the file, then file it."""
    signer = signer_of(wish.manifest, wish.signature, wish.keys)
    time = await context.store.read(now)
    config, told, manifest = read_export(wish.manifest, time)
    outcome = await context.store.read(lambda s: portable.planned_import(s, config, told.sha256))
    done = outcome == "unchanged"
    if not (done or wish.dry_run):
        content = _checkpoint(wish)
        size = await context.artifacts.put(told.sha256, _whole(content), len(content))
        outcome = await context.store.write(
            "model.import", lambda s: portable.import_model(s, config, told, size, signer, actor)
        )
        done = True
    return ImportView(
        model=told.sha256,
        config=config,
        file=served_as(config),
        outcome=outcome,
        done=done,
        signer=signer,
        architecture=told.training.architecture,
        golden=told.golden,
        generation=told.generation,
        expires_at=manifest.expires_at,
    )


def _checkpoint(wish: ImportRequest) -> bytes:
    if not wish.checkpoint:
        raise BadInput("the checkpoint is missing", hint="send it, or ask for a dry run")
    if len(wish.checkpoint) > CHECKPOINT_BYTES:
        raise BadInput(f"the checkpoint has {len(wish.checkpoint)} bytes, allowed are {CHECKPOINT_BYTES}")
    return wish.checkpoint


async def _whole(content: bytes) -> AsyncIterator[bytes]:
    yield content
