"""What an export says, read after its signature was checked."""

from __future__ import annotations

import json

from pydantic import ValidationError

from ringrift.control.domain.check import check_golden, validation_line
from ringrift.errors import BadInput, Refused
from ringrift.protocol.portable import ExportedModel, ExportManifest

_AGAIN = "export it with `ringrift-ctl models export` of this release"


def read_export(text: str, time: float) -> tuple[str, ExportedModel, ExportManifest]:
    """Return (config, its model, the whole manifest) of an export.

    Raises `BadInput` that names the first wrong field, and `Refused` when it expired before `time` (seconds
    since 1970).
    """
    try:
        _refuse_older(json.loads(text))
        manifest = ExportManifest.model_validate_json(text)
    except ValidationError as error:
        raise BadInput(f"manifest.json: {validation_line(error)}", hint=_AGAIN) from None
    except (ValueError, RecursionError) as error:
        raise BadInput(f"manifest.json is no JSON: {str(error)[:200]}") from None
    ((config, model),) = manifest.models.items()
    if model.file != served_as(config):
        raise BadInput(f"manifest.json: models.{config}.file must be {served_as(config)}", hint=_AGAIN)
    check_golden(config, model.golden)
    if manifest.expires_at is not None and manifest.expires_at <= time:
        ago = (time - manifest.expires_at) / 3600
        raise Refused(f"the export expired {ago:.1f} hours ago", hint="ask its exporter for a new one")
    return config, model, manifest


def served_as(config: str) -> str:
    """Return what the file of a config's model is called beside its manifest."""
    return f"canonical_{config}.pth"


def _refuse_older(found: object) -> None:
    """Raise what is clearer than a list of missing fields."""
    if not isinstance(found, dict):
        raise BadInput("manifest.json is no object", hint=_AGAIN)
    if found.get("format") != 3:
        raise BadInput(f"manifest.json has format {str(found.get('format'))[:20]}, not 3", hint=_AGAIN)
    models = found.get("models")
    entries = models.values() if isinstance(models, dict) else ()
    if len(entries) > 1:
        raise BadInput(f"manifest.json names {len(entries)} models, an export has one", hint=_AGAIN)
    if any(isinstance(entry, dict) and "training" not in entry for entry in entries):
        raise BadInput("manifest.json is of a deployment, it does not tell the training", hint=_AGAIN)
