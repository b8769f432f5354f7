"""Who logs in where: the controller's own SSH key, the care that any private key file gets, fit names."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import asyncssh
from pydantic import TypeAdapter, ValidationError

from ringrift.control.domain.ports import HostSpec
from ringrift.errors import AccessRefused, BadInput, NotFound
from ringrift.failpoints import side_effect
from ringrift.protocol.types import Address, User

COMMENT = "ringrift-controller"
_FORMS = {"user": TypeAdapter(User), "address": TypeAdapter(Address)}


def check_login(host: HostSpec) -> None:
    """Raise BadInput for a user or address that is none, or that another program could take for an option."""
    for what, form in _FORMS.items():
        try:
            form.validate_python(getattr(host, what))
        except ValidationError:
            text = getattr(host, what)[:80]
            raise BadInput(f"{host.name} has a bad SSH {what}: {text!r}", hint="correct its record") from None


def controller_key(home: Path) -> Path:
    """Return `home/ssh/id_ed25519`, made with mode 0600 on the first call; `.pub` stands beside it.

    Two processes that make it at the same time end up with one and the same key.
    """
    private = home / "ssh" / "id_ed25519"
    if not private.exists():
        private.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = asyncssh.generate_private_key("ssh-ed25519", comment=COMMENT)
        with side_effect("controller_key.create"):
            _create_once(private, key.export_private_key(), 0o600)
    public = private.with_suffix(".pub")
    if not public.exists():
        _create_once(public, read_identity(private).export_public_key(), 0o644)
    return private


def read_identity(path: Path) -> asyncssh.SSHKey:
    """Read a private key file.

    Raises NotFound when it is missing and AccessRefused when others could read it or it cannot be used.
    """
    try:
        mode = path.stat().st_mode & 0o777
        if mode & 0o077:
            raise AccessRefused(
                f"private key {path} has mode {mode:04o}, so others on this machine may read it",
                hint=f"chmod 600 {path}",
            )
        return asyncssh.read_private_key(path)
    except FileNotFoundError:
        raise NotFound(f"private key {path} does not exist", hint="name an existing key file") from None
    except asyncssh.KeyEncryptionError:
        raise AccessRefused(
            f"private key {path} is protected by a passphrase",
            hint="use a key without one for the controller",
        ) from None
    except (OSError, asyncssh.KeyImportError) as error:
        raise AccessRefused(f"private key {path} cannot be used: {error}") from None


def public_line(key: asyncssh.SSHKey) -> str:
    """Return the line that belongs into a host's `authorized_keys`."""
    return key.export_public_key().decode().strip()


def _create_once(path: Path, data: bytes, mode: int) -> None:
    """Write a file that appears whole and never replaces one that is there."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)
    except FileExistsError:
        pass  # somebody else was first; theirs is used
    finally:
        temporary.unlink()
