"""The controller's own key."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import asyncssh
import pytest

from hosts.identity import controller_key, public_line, read_identity
from ringrift.errors import AccessRefused, NotFound


def test_the_key_is_made_once_and_only_its_owner_may_read_it(tmp_path):
    first = controller_key(tmp_path)
    content = first.read_bytes()
    assert first == tmp_path / "ssh" / "id_ed25519"
    assert first.stat().st_mode & 0o777 == 0o600
    assert first.parent.stat().st_mode & 0o777 == 0o700
    assert controller_key(tmp_path).read_bytes() == content


def test_the_public_half_stands_beside_it(tmp_path):
    private = controller_key(tmp_path)
    assert private.with_suffix(".pub").read_text().strip() == public_line(read_identity(private))
    assert public_line(read_identity(private)).startswith("ssh-ed25519 ")


def test_a_missing_public_half_is_made_from_the_key(tmp_path):
    private = controller_key(tmp_path)
    before = private.with_suffix(".pub").read_bytes()
    private.with_suffix(".pub").unlink()
    controller_key(tmp_path)
    assert private.with_suffix(".pub").read_bytes() == before


def test_many_at_once_end_up_with_one_key_and_no_leftover(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda _: read_identity(controller_key(tmp_path)), range(8)))
    assert len({key.get_fingerprint() for key in keys}) == 1
    assert sorted(path.name for path in (tmp_path / "ssh").iterdir()) == ["id_ed25519", "id_ed25519.pub"]


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_key_that_others_may_read_is_refused_with_the_remedy(tmp_path, mode):
    private = controller_key(tmp_path)
    private.chmod(mode)
    with pytest.raises(AccessRefused) as caught:
        read_identity(private)
    assert f"{mode:04o}" in caught.value.message
    assert caught.value.hint == f"chmod 600 {private}"


def test_a_missing_key_file_is_named(tmp_path):
    with pytest.raises(NotFound, match="nowhere"):
        read_identity(tmp_path / "nowhere")


def test_a_key_with_a_passphrase_is_refused(tmp_path):
    path = tmp_path / "locked"
    path.touch(mode=0o600)
    path.write_bytes(asyncssh.generate_private_key("ssh-ed25519").export_private_key("pkcs8-pem", "secret"))
    with pytest.raises(AccessRefused, match="passphrase"):
        read_identity(path)


def test_a_file_that_is_no_key_is_refused(tmp_path):
    path = tmp_path / "odd"
    path.touch(mode=0o600)
    path.write_text("not a key")
    with pytest.raises(AccessRefused, match="cannot be used"):
        read_identity(path)
