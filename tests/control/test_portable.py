"""Single models between controllers: what is imported is a candidate like any other, and nothing more."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlmodel import Session, select

from inference.manifest import read_manifest
from ringrift.control.backup.restore import restore
from ringrift.control.domain.portable import read_export
from ringrift.control.signing import key_id, signature_line, signer_of
from ringrift.control.store import learning, migrate
from ringrift.control.store.engine import database_url, open_engines
from ringrift.control.store.retention import reference_graph
from ringrift.control.store.tables import Artifact, Event, Model
from ringrift.errors import CorruptData, EnvironmentProblem
from ringrift.game.config import ALL_CONFIGS
from tests.control.doubles import vectors
from tests.control.exports import CHECKPOINT, KEY, SIGNER, STRANGER, manifest, wish
from tests.control.stage import play_out
from tests.control.test_backup import backed_up
from tests.control.test_operations import champion
from tests.control.world import CONFIG, World

SHA = hashlib.sha256(CHECKPOINT).hexdigest()
NAME = key_id(KEY)


async def held(world: World) -> tuple[int, int, int, int]:
    """Return how many models, artifacts, audit rows and files there are."""
    rows = [len(await world.read(lambda s, t=t: s.exec(select(t)).all())) for t in (Model, Artifact, Event)]
    files = [path for path in (world.home / "artifacts").rglob("*") if path.is_file()]
    return rows[0], rows[1], rows[2], len(files)


async def told(world: World) -> tuple[str, str, dict[str, Any]]:
    """Return actor, action and detail of the newest audit row."""
    (row,) = await world.get("/events?limit=1")
    return row["actor"], row["action"], row["detail"]


async def test_an_imported_model_is_a_candidate_with_its_origin_and_an_audit_row(world: World) -> None:
    view = await world.post("/models", wish(actor="ann"))
    assert (view["model"], view["outcome"], view["done"]) == (SHA, "imported", True)
    shown = await world.get(f"/models/{SHA[:12]}")
    assert (shown["state"], shown["config"]) == ("candidate", CONFIG)
    assert shown["dataset"] is shown["parent"] is None
    assert shown["origin"] == {
        "signer": NAME, "parent": "a" * 64, "dataset": "b" * 64, "generation": 3, "evaluation": "ev_there",
    }  # fmt: skip
    actor, action, detail = await told(world)
    assert (actor, action) == ("operator: ann", "model.imported")
    assert detail["signer"] == NAME and detail["config"] == CONFIG
    stored = await world.http.get(f"/v1/artifacts/{SHA}")
    assert stored.content == CHECKPOINT


async def test_importing_the_same_again_is_unchanged_and_a_dry_run_changes_nothing(world: World) -> None:
    before = await held(world)
    planned = await world.post("/models", wish(content=None, dry_run=True))
    assert (planned["outcome"], planned["done"]) == ("imported", False)
    assert await held(world) == before
    await world.post("/models", wish())
    there = await held(world)
    again = await world.post("/models", wish(content=None))
    assert (again["outcome"], again["done"]) == ("unchanged", True)
    assert await held(world) == there


async def test_weights_that_retention_removed_are_restored_by_an_import(world: World) -> None:
    await world.post("/models", wish())

    def forget(session: Any) -> None:
        session.get(Model, SHA).state = "rejected"
        session.get(Artifact, SHA).deleted_at = 1.0

    await world.write(forget)
    view = await world.post("/models", wish())
    assert view["outcome"] == "restored" and (await told(world))[1] == "model.restored"
    assert (await world.get(f"/models/{SHA}"))["state"] == "rejected", "what was decided stays decided"


def changed(**fields: Any) -> str:
    """Return a manifest in which the model's entry, or the whole, says something else."""
    document = json.loads(manifest())
    entry = document["models"][CONFIG]
    for name, value in fields.items():
        place = document if name in document else entry
        if value is None:
            del place[name]
        else:
            place[name] = value
    return json.dumps(document)


REFUSED = {
    "another's signature": (
        wish(signature=signature_line(STRANGER, manifest())), 409, "refused", "it is signed by"),
    "a signature of something else": (
        wish(signature=signature_line(SIGNER, "{}")), 422, "corrupt_data", "no signature of this manifest"),
    "no signature": (wish(signature=f"{NAME} AAAA"), 422, "bad_input", "manifest.sig is no signature"),
    "no key": (wish(keys=["x"]), 422, "bad_input", "keys.0"),
    "expired": (wish(manifest(expires_at=1000.0)), 409, "refused", "expired"),
    "other bytes": (wish(content=CHECKPOINT + b"x"), 422, "corrupt_data", "it arrived as"),
    "no checkpoint": (wish(content=None), 422, "bad_input", "the checkpoint is missing"),
    "no zip file": (wish(manifest(content=b"PK\3\4"), b"PK\3\4"), 422, "corrupt_data", "cut off or damaged"),
    "no JSON": (wish("{"), 422, "bad_input", "no JSON"),
    "deep JSON": (wish("[" * 60_000), 422, "bad_input", "no JSON"),
    "a huge manifest": (wish(" " * 70_000), 422, "bad_input", "manifest: "),
    "the format of before": (wish(changed(format=2)), 422, "bad_input", "format 2, not 3"),
    "a deployment's manifest": (wish(changed(training=None)), 422, "bad_input", "is of a deployment"),
    "no vectors": (wish(changed(golden=None)), 422, "bad_input", "golden: Field required"),
    "another board's vectors": (
        wish(manifest(golden=vectors("hex8_3p"))), 422, "bad_input", "chances of 2 seats"),
    "no such config": (
        wish(manifest().replace("hex8_2p", "hex9_2p")), 400, "unknown_config", "unknown config"),
    "a path as its file": (wish(changed(file="../x.pth")), 422, "bad_input", "file must be canonical"),
}  # fmt: skip


async def test_what_is_wrong_is_told_in_one_line_and_nothing_of_it_stays(world: World) -> None:
    before = await held(world)
    for case, (body, status, code, words) in REFUSED.items():
        error = (await world.post("/models", body, status=status))["error"]
        assert error["code"] == code and words in error["message"], (case, error)
        assert "\n" not in error["message"], case
    assert (await held(world))[:3] == before[:3]
    assert not list((world.home / "artifacts" / "incoming").iterdir())
    assert (await world.http.get(f"/v1/artifacts/{SHA}")).status_code == 404


async def test_bytes_that_are_known_as_a_model_of_another_config_are_a_conflict(world: World) -> None:
    await world.post("/models", wish())
    error = (await world.post("/models", wish(manifest("square8_2p")), status=409))["error"]
    assert error["message"] == f"model {SHA[:12]} is of {CONFIG} here, not of square8_2p"


async def test_an_imported_model_passes_the_gate_like_any_other_and_is_served(world: World) -> None:
    first = await champion(world)
    await world.post("/models", wish(manifest(parent=first, architecture={"blocks": 2, "channels": 8})))
    assert (await world.get(f"/models/{SHA}"))["parent"] == first
    closed = await world.get(f"/promotions/{CONFIG}?model={SHA}")
    assert not closed["allowed"], "it has no evidence of ours"
    for _ in range(5):
        await world.reconcile("evaluation tests", "evaluation verdicts")
        await play_out(world)
    plan = await world.get(f"/promotions/{CONFIG}?model={SHA}")
    origin = next(item for item in plan["conditions"] if item["name"] == "origin")
    assert origin["passed"] and origin["value"] == f"signed by {NAME}"
    assert plan["allowed"], [item for item in plan["conditions"] if not item["passed"]]
    assert (await world.post("/promotions", {"config": CONFIG, "model": SHA}))["done"]
    await world.post("/targets", {"name": "front", "host": "stage", "port": 9000})
    await world.post("/deployments", {})
    await world.finish_deployments()
    served = json.loads(world.fleet.orders[-1].manifest)["models"][CONFIG]
    assert (served["sha256"], served["golden"]) == (SHA, vectors(CONFIG))
    shown = await world.get(f"/models/{SHA}")
    assert (shown["state"], shown["generation"]) == ("champion", 2)
    graph = await world.read(lambda s: reference_graph(s, world.settings))
    assert graph.roots[SHA] == f"champion of {CONFIG}" and SHA not in graph.needs
    assert (await world.post(f"/rollback/{CONFIG}"))["model"] == first


async def test_a_rejected_import_is_no_fruitless_training(world: World) -> None:
    await world.enable()
    await world.post("/models", wish())

    def reject(session: Any) -> dict[str, int]:
        session.get(Model, SHA).state = "rejected"
        session.flush()
        return learning.fruitless_runs(session)

    assert await world.write(reject) == {}


async def test_the_service_reads_an_export_and_the_audit_log_tells_it(world: World, tmp_path: Path) -> None:
    model = await champion(world)
    view = await world.post(f"/models/{model[:12]}/export", {"days": 1.0, "actor": "ann"})
    folder = tmp_path / "away"
    folder.mkdir()
    (folder / "manifest.json").write_text(view["manifest"])
    (folder / "manifest.sig").write_text(view["signature"])
    (folder / "keys").write_text(view["key"] + "\n")
    (entry,) = read_manifest(folder, folder / "keys").entries
    assert (entry.config.key, entry.sha256, entry.generation) == (CONFIG, model, 1)
    assert entry.path.name == view["file"] and entry.golden is not None
    actor, action, detail = await told(world)
    assert (actor, action) == ("operator: ann", "model.exported")
    assert detail == {"signer": view["signer"], "expires_at": view["expires_at"]}
    known = {"manifest": view["manifest"], "signature": view["signature"], "keys": [view["key"]]}
    assert (await world.post("/models", known))["outcome"] == "unchanged"


async def test_an_import_is_exported_in_turn_and_a_model_without_vectors_is_not(world: World) -> None:
    await world.post("/models", wish())
    view = await world.post(f"/models/{SHA}/export", {})
    there, ours = json.loads(manifest()), json.loads(view["manifest"])
    entries = [document["models"][CONFIG] for document in (there, ours)]
    assert entries[0]["training"] == entries[1]["training"] and entries[0]["golden"] == entries[1]["golden"]
    assert (ours["generation"], entries[1]["evaluation"]) == (0, None), "what it was there is not ours to say"

    def forget(session: Any) -> None:
        session.get(Model, SHA).golden = None

    await world.write(forget)
    refused = await world.post(f"/models/{SHA}/export", {}, status=409)
    assert "carries no golden vectors" in refused["error"]["message"]


NUMBERS = st.floats(0.0, 9.0, allow_nan=False)


@settings(max_examples=60, deadline=None)
@given(
    config=st.sampled_from([config.key for config in ALL_CONFIGS]),
    content=st.binary(min_size=1, max_size=64),
    moves=st.lists(st.lists(st.floats(-30.0, 0.0), min_size=1, max_size=8), min_size=8, max_size=8),
    expires=st.none() | st.floats(2.0, 1e11),
    losses=st.tuples(NUMBERS, NUMBERS, st.none() | NUMBERS),
    flip=st.integers(0, 10_000),
)
def test_what_was_exported_is_what_is_imported_and_any_other_text_is_not(
    config: str, content: bytes, moves: list, expires: float | None, losses: tuple, flip: int
) -> None:
    golden = vectors(config) | {"moves": moves}
    known = dict(zip(("train_loss", "holdout_loss", "parent_holdout_loss"), losses, strict=True))
    text = manifest(config, content, expires, golden, **known)
    line = signature_line(SIGNER, text)
    assert signer_of(text, line, [KEY]) == NAME
    found, model, whole = read_export(text, 1.0)
    assert (found, model.sha256) == (config, hashlib.sha256(content).hexdigest())
    assert model.golden.model_dump() == golden and whole.expires_at == expires
    assert {name: getattr(model.training, name) for name in known} == known
    at = flip % len(text)
    other = text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1 :]
    with pytest.raises(CorruptData):
        signer_of(other, line, [KEY])


async def test_a_backup_brings_an_imported_model_back(world: World, tmp_path: Path) -> None:
    await world.post("/models", wish())
    assert (await backed_up(world, tmp_path / "backups"))["state"] == "verified"
    new = tmp_path / "new"
    await restore(str(tmp_path / "backups"), new)
    assert (new / "artifacts" / SHA[:2] / SHA).read_bytes() == CHECKPOINT
    engines = open_engines(database_url(new, None))
    with Session(engines.reader) as session:
        model = session.get(Model, SHA)
        assert model is not None and model.origin is not None and model.dataset is None
        assert (model.origin["signer"], model.golden) == (NAME, vectors(CONFIG))
    engines.dispose()


async def test_a_schema_of_before_is_refused_while_an_imported_model_is_there(world: World) -> None:
    await world.post("/models", wish())
    engines = open_engines(world.url)
    with pytest.raises(EnvironmentProblem, match="1 models were imported"):
        migrate.downgrade(engines.writer, "0005")
    assert migrate.revision(engines.writer) == max(migrate._known())
    engines.dispose()
    assert (await world.get(f"/models/{SHA}"))["origin"]["signer"] == NAME
