"""Where things lie below a host's root. All paths are absolute and POSIX."""

from __future__ import annotations

import posixpath

from ringrift.errors import BadInput

FOLDERS: dict[str, int] = {
    "": 0o755,
    "releases": 0o755,
    "cache": 0o755,
    "agent": 0o700,
    "run": 0o700,
    "run/services": 0o700,
    "inference": 0o755,
}
"""Folders below the root and their permission bits."""


def check_root(root: str) -> str:
    """Return a host's root folder, or raise BadInput when it is not absolute or below `~`."""
    if not (root.startswith(("/", "~/")) or root == "~") or any(ord(char) < 32 for char in root):
        raise BadInput(f"bad root folder {root!r}", hint="give an absolute path or one that begins with ~/")
    if posixpath.normpath(root) in ("/", "//") or ".." in root.split("/"):
        raise BadInput(f"bad root folder {root!r}", hint="give a folder of its own, such as ~/ringrift")
    return root


def release(root: str, sha12: str) -> str:
    """The folder of an unpacked wheel."""
    return posixpath.join(root, "releases", sha12)


def previous_release(root: str) -> str:
    """The link that names the release that the agent ran before its present one."""
    return posixpath.join(root, "releases", "previous")


def environment_python(root: str) -> str:
    """The interpreter of the environment that provisioning makes."""
    return posixpath.join(root, "env", "bin", "python")


def numba_cache(root: str) -> str:
    """Compiled kernels, shared by the releases: what lies there is named by the digest of its sources."""
    return posixpath.join(root, "cache", "numba")


def warm_stamp(root: str, kernels: str) -> str:
    """Written when these kernels are compiled; JSON with interpreter, architecture and numba version."""
    return posixpath.join(numba_cache(root), f"warm-{kernels}.json")


def services(root: str) -> str:
    """State, locks and logs of the supervisor."""
    return posixpath.join(root, "run", "services")


def target(root: str, name: str) -> str:
    """The folder of an inference target."""
    return posixpath.join(root, "inference", name)


def staged(root: str, name: str, sha256: str = "") -> str:
    """The folder of a model that waits on a target for its deployment; without one, of all that do."""
    return posixpath.join(target(root, name), "staged", sha256).rstrip("/")


def generation(root: str, name: str, number: int) -> str:
    """The folder of one generation of a target's models."""
    return posixpath.join(target(root, name), "models", str(number))
