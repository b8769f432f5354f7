"""Nothing is served that a trusted key has not signed, and what served before goes on serving."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from inference import manifest as manifest_module
from inference.manifest import read_manifest
from inference.watch import Watcher
from ringrift.errors import BadInput, CorruptData, NotFound, Refused
from tests.inference.conftest import REPOSITORY, SIGNER, public, signature
from tests.inference.test_service import opening

pytestmark = pytest.mark.timeout(1200)

KEY = "square8_2p"
STRANGER = Ed25519PrivateKey.from_private_bytes(b"\1" * 32)
DATA = b'{"format": 2, "generation": 1, "models": {"square8_2p": {}}}'


@pytest.fixture
def place(tmp_path):
    """A folder whose only fault lies behind its signature: an entry that names no file."""
    (tmp_path / "manifest.json").write_bytes(DATA)
    (tmp_path / "manifest.sig").write_text(signature(DATA))
    (tmp_path / "trusted_keys").write_text(public(SIGNER))
    return tmp_path


def told(place, error):
    with pytest.raises(error) as caught:
        read_manifest(place, place / "trusted_keys")
    return caught.value.line()


def test_a_manifest_is_parsed_only_behind_its_signature(place, monkeypatch):
    assert "models.square8_2p.file" in told(place, BadInput)
    monkeypatch.setattr(manifest_module.json, "loads", lambda _: pytest.fail("parsed before it was trusted"))
    (place / "manifest.json").write_bytes(DATA + b" ")
    assert "manifest.sig is no signature of manifest.json" in told(place, CorruptData)


@pytest.mark.parametrize(
    ("file", "content", "error", "says"),
    [
        ("manifest.sig", None, NotFound, "no signature at"),
        ("manifest.sig", "", BadInput, "manifest.sig is no signature"),
        ("manifest.sig", "\0\0 \0", BadInput, "manifest.sig is no signature"),
        ("manifest.sig", signature(DATA)[:-9], BadInput, "manifest.sig is no signature"),
        ("manifest.sig", signature(DATA, STRANGER), Refused, "does not trust"),
        (
            "manifest.sig",
            signature(DATA).split()[0] + " " + signature(DATA, STRANGER).split()[1],
            CorruptData,
            "no signature of manifest.json",
        ),
        ("trusted_keys", None, NotFound, "no trusted keys at .* --unsigned is for development"),
        ("trusted_keys", "\n", NotFound, "no trusted keys in"),
        ("trusted_keys", "ssh-ed25519\n", BadInput, "a line is no public key"),
        ("trusted_keys", public(SIGNER)[:-5] + "\n", BadInput, "a line is no public key"),
        ("trusted_keys", public(STRANGER), Refused, "does not trust"),
    ],
)
def test_what_does_not_prove_the_signer_is_refused_in_one_line(place, file, content, error, says):
    if content is None:
        (place / file).unlink()
    else:
        (place / file).write_text(content)
    line = told(place, error)
    assert re.search(says, line)
    assert line.isprintable()


def test_each_of_several_trusted_keys_counts(place):
    (place / "trusted_keys").write_text(public(STRANGER) + public(SIGNER))
    assert "models.square8_2p.file" in told(place, BadInput)


def test_a_manifest_that_expires_while_it_is_served_is_told_and_serves_on(deployment, monkeypatch):
    place = deployment.deploy({KEY: 1})
    deployment.write(
        place / "manifest.json", json.loads((place / "manifest.json").read_text()) | {"expires_at": 2e9}
    )
    watcher = Watcher(deployment.folder, deployment.trusted)
    watcher.look()
    assert watcher.serving.issues == ()
    before = watcher.serving.models
    monkeypatch.setattr(manifest_module.time, "time", lambda: 2e9)
    watcher.look()
    (issue,) = watcher.serving.issues
    assert "expired at" in issue
    assert watcher.serving.models is before
    late = Watcher(deployment.folder, deployment.trusted)
    late.look()
    assert late.serving.models.models == {}


def test_the_verdict_before_a_swap_asks_for_the_signature(deployment):
    place = deployment.deploy({KEY: 1})
    (place / "manifest.sig").write_text(signature(b"", STRANGER))
    command = [sys.executable, "-m", "inference.verify", str(place), "--trust", str(deployment.trusted)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == Refused.exit_status
    assert json.loads(done.stdout.splitlines()[-1])["error"]["code"] == "refused"


def _faults(deployment):
    """Yield every wrong form that a folder can take, put into place, and what `/health` must say of it."""

    def deployed(**changes):
        place = deployment.deploy({KEY: 2}, **changes)
        return place, place / "manifest.json", place / f"canonical_{KEY}.pth"

    def rewritten(**changes):
        _, manifest, _ = deployed()
        deployment.write(manifest, {**json.loads(manifest.read_text()), **changes})

    _, _, model = deployed()
    model.write_bytes(model.read_bytes()[:-1] + b"!")
    yield "bad bytes", f"canonical_{KEY}.pth"
    deployed(**{KEY: {"sha256": deployment.sha256("hex8_2p", 1)}})[2].write_bytes(
        deployment.shelf.checkpoint("hex8_2p", 1).read_bytes()
    )
    yield "the model of another board", "is for hex8_2p, not for square8_2p"
    deployed(**{KEY: {"golden": deployment.shelf.golden(KEY, 3)}})
    yield "the golden vectors of another net", "the net does not say what its golden vectors say"
    place, manifest, _ = deployed()
    (place / "manifest.sig").write_text(signature(manifest.read_bytes() + b" "))
    yield "a signature of something else", "manifest.sig is no signature of manifest.json"
    (place / "manifest.sig").write_text(signature(manifest.read_bytes(), STRANGER))
    yield "another signer", "does not trust"
    (place / "manifest.sig").unlink()
    yield "no signature", "no signature at"
    (place / "manifest.sig").write_text(signature(manifest.read_bytes()))
    manifest.write_bytes(manifest.read_bytes()[:-10])
    yield "half a manifest", "manifest.sig is no signature of manifest.json"
    manifest.write_bytes(b"")
    yield "no manifest", "manifest.sig is no signature of manifest.json"
    rewritten(expires_at=1.0)
    yield "an expired manifest", "expired at 1.0 s since 1970"
    rewritten(generation=0)
    yield "an older generation", "generation 0 is older than 1"
    deployment.trusted.unlink()
    yield "no trusted keys", "no trusted keys at"
    deployment.trusted.write_text(public(SIGNER))


def test_no_wrong_form_stops_what_serves_and_health_names_each(start_service, deployment):
    deployment.deploy({KEY: 1})
    service = start_service(deployment.folder).wait_until_healthy()
    proven = deployment.generation
    for what, says in _faults(deployment):
        service.wait_for(lambda says=says: any(says in issue for issue in service.health()["issues"]), what)
        assert service.health()["status"] == "unhealthy"
        reply = service.move(opening(difficulty=6)).json()
        assert reply["model"] == deployment.sha256(KEY, 1), what
    deployment.deploy({KEY: 3})
    service.wait_until_healthy()
    assert service.health()["models"][KEY]["sha256"] == deployment.sha256(KEY, 3)
    assert f'"event": "serving", "generation": {proven}' in service.log.read_text()
