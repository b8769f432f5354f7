"""The wheel that hosts get: what a host runs of ours, and nothing of the controller.

The same sources give the same bytes everywhere: entries are sorted, carry one fixed date, and are stored
uncompressed, so that no version of zlib shows in the hash. A release is named by the first 12 hex digits of
the wheel's SHA-256.
"""

from __future__ import annotations

import base64
import email
import hashlib
import importlib.metadata
import importlib.util
import io
import os
import threading
import tomllib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from packaging.requirements import Requirement

from ringrift import __version__
from ringrift.errors import CorruptData, EnvironmentProblem, NotFound
from ringrift.failpoints import side_effect

PACKAGES = ("agents", "inference", "ringrift")
LEFT_OUT = ("ringrift/cli/", "ringrift/client", "ringrift/control/")
"""Parts of our packages that no host runs."""
DIST_INFO = f"ringrift-{__version__}.dist-info"
_WHEEL = b"Wheel-Version: 1.0\nGenerator: ringrift\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
RECORD = f"{DIST_INFO}/RECORD"
_DATE = (1980, 1, 1, 0, 0, 0)
_COMPILED = (".pyc", ".pyo", ".nbi", ".nbc")
_EXTRAS = ("agent", "inference", "onnx")
_building = threading.Lock()
"""Many hosts are provisioned at once, with one release."""
_KERNELS = ("ringrift/game/", "ringrift/nets/", "ringrift/players/")


@dataclass(frozen=True)
class Release:
    """A wheel on the controller's disk, and what it requires on a host: extra -> PEP 508 requirements."""

    sha256: str
    path: Path
    requirements: dict[str, tuple[str, ...]]
    kernels: str
    """Names the sources of everything that is compiled on a host."""

    @property
    def name(self) -> str:
        return self.sha256[:12]

    @property
    def record(self) -> str:
        """Its RECORD file, relative to its folder: that is named by the version of which it was built."""
        return f"{'-'.join(self.path.name.split('-')[:2])}.dist-info/RECORD"


def build(home: Path, source: Path | None = None) -> Release:
    """Build the wheel into `home/releases` and return it; sources that did not change are not read again.

    `source` is the folder that holds our packages; by default the one that they are imported from.
    """
    with _building:
        return _build(home, source or package_folder())


def _build(home: Path, source: Path) -> Release:
    try:
        seen = tuple((name, path, *_change(path)) for name, path in _sources(source))
        release = _built(home, source, seen, _change(source / "pyproject.toml", missing=True))
    except OSError as error:
        raise EnvironmentProblem(f"our own packages cannot be read: {error}", hint="try again") from None
    if not release.path.exists():
        _built.cache_clear()
        return _build(home, source)
    return release


@lru_cache(maxsize=8)
def stored(home: Path, name: str) -> Release:
    """Return a release that was built earlier; NotFound when it is gone, CorruptData when it is damaged."""
    folder = home / "releases" / name
    path = next(iter(sorted(folder.glob("ringrift-*.whl"))), None)
    if path is None:
        hint = "install the present one: `ringrift-ctl deploy-inference --software`"
        raise NotFound(f"there is no release {name} in {folder.parent}", hint=hint)
    data = path.read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    if sha256[:12] != name:
        raise CorruptData(f"{path} is not release {name}", hint="remove it")
    with zipfile.ZipFile(io.BytesIO(data)) as content:
        metadata = next(entry for entry in content.namelist() if entry.endswith(".dist-info/METADATA"))
        said = email.message_from_bytes(content.read(metadata))
        sources = [(entry, content.read(entry)) for entry in content.namelist()]
    stated, extras = said.get_all("Requires-Dist", []), said.get_all("Provides-Extra", [])
    requirements = {extra: tuple(line for line in stated if _belongs(line, extra)) for extra in extras}
    return Release(sha256, path, requirements, _digest(iter(sources)))


def _change(path: Path, *, missing: bool = False) -> tuple[int, int]:
    """Return what differs after a file was written."""
    if missing and not path.exists():
        return 0, 0
    status = path.stat()
    return status.st_mtime_ns, status.st_size


@lru_cache(maxsize=4)
def _built(
    home: Path, source: Path, seen: tuple[tuple[str, Path, int, int], ...], project: tuple[int, int]
) -> Release:
    """Build from the files `seen`; `project` tells one content of pyproject.toml from another."""
    requirements = requirements_of(source)
    data = wheel_bytes(source, requirements)
    sha256 = hashlib.sha256(data).hexdigest()
    path = home / "releases" / sha256[:12] / f"ringrift-{__version__}-py3-none-any.whl"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
        temporary.write_bytes(data)
        with side_effect("wheel.publish"):
            temporary.replace(path)
    return Release(sha256, path, requirements, _kernels(seen))


def _kernels(seen: tuple[tuple[str, Path, int, int], ...]) -> str:
    """Return the digest of the sources of what is compiled."""
    return _digest((name, path.read_bytes()) for name, path, _, _ in seen if name.startswith(_KERNELS))


def _digest(sources: Iterator[tuple[str, bytes]]) -> str:
    total = hashlib.sha256()
    for name, data in sorted(sources):
        if name.startswith(_KERNELS):
            total.update(f"{name}\0".encode() + data + b"\0")
    return total.hexdigest()[:12]


def package_folder() -> Path:
    """Return the folder that our packages are imported from; EnvironmentProblem for a broken install."""
    folders = set()
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        if spec is None or not spec.submodule_search_locations:
            raise EnvironmentProblem(f"package {name} is not installed here", hint="install ringrift anew")
        folders.add(Path(spec.submodule_search_locations[0]).resolve().parent)
    if len(folders) != 1:
        raise EnvironmentProblem(f"our packages come from several folders: {sorted(map(str, folders))}")
    return folders.pop()


def requirements_of(source: Path) -> dict[str, tuple[str, ...]]:
    """Return what each extra requires, from the checkout's pyproject.toml or the installed metadata."""
    project_file = source / "pyproject.toml"
    if project_file.exists():
        extras = tomllib.loads(project_file.read_text(encoding="utf-8"))["project"]["optional-dependencies"]
        return {extra: tuple(_resolved(extras, extra)) for extra in _EXTRAS if extra in extras}
    stated = importlib.metadata.requires("ringrift") or []
    return {extra: tuple(line for line in stated if _belongs(line, extra)) for extra in _EXTRAS}


def wheel_bytes(source: Path, requirements: dict[str, tuple[str, ...]]) -> bytes:
    """Return the wheel of the packages below `source`; equal sources give equal bytes."""
    try:
        entries = {name: path.read_bytes() for name, path in _sources(source)}
    except OSError as error:
        raise EnvironmentProblem(f"our own packages cannot be read: {error}", hint="try again") from None
    entries[f"{DIST_INFO}/METADATA"] = _metadata(requirements).encode()
    entries[f"{DIST_INFO}/WHEEL"] = _WHEEL
    rows = [f"{name},sha256={_record_hash(data)},{len(data)}" for name, data in sorted(entries.items())]
    entries[RECORD] = "\n".join([*rows, f"{RECORD},,", ""]).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as wheel:
        for name in sorted(entries):
            info = zipfile.ZipInfo(name, _DATE)
            info.create_system = 3
            info.external_attr = 0o100644 << 16
            wheel.writestr(info, entries[name])
    return buffer.getvalue()


def _sources(source: Path) -> Iterator[tuple[str, Path]]:
    for package in PACKAGES:
        if not (source / package / "__init__.py").is_file():
            raise EnvironmentProblem(f"{source} holds no package {package}", hint="install ringrift anew")
        yield from _files(source / package, package)


def _files(folder: Path, name: str) -> Iterator[tuple[str, Path]]:
    """Yield what belongs into a wheel of a folder, sorted; this is done for every host that is looked at."""
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        inside = f"{name}/{entry.name}"
        if entry.name.startswith(".") or entry.name == "__pycache__" or f"{inside}/".startswith(LEFT_OUT):
            continue
        if entry.is_dir():
            yield from _files(folder / entry.name, inside)
        elif not entry.name.endswith(_COMPILED):
            yield inside, folder / entry.name


def _metadata(requirements: dict[str, tuple[str, ...]]) -> str:
    lines = ["Metadata-Version: 2.1", "Name: ringrift", f"Version: {__version__}", "Requires-Python: >=3.11"]
    for extra in sorted(requirements):
        lines.append(f"Provides-Extra: {extra}")
        lines += [f"Requires-Dist: {_of_extra(text, extra)}" for text in requirements[extra]]
    return "\n".join(lines) + "\n"


def _of_extra(text: str, extra: str) -> str:
    name, _, marker = (part.strip() for part in text.partition(";"))
    if "extra" in marker:
        return text
    condition = f'extra == "{extra}"'
    return f"{name}; ({marker}) and {condition}" if marker else f"{name}; {condition}"


def _resolved(extras: dict[str, list[str]], extra: str) -> Iterator[str]:
    """Yield an extra's requirements with references to our own extras replaced by theirs."""
    for text in extras[extra]:
        requirement = Requirement(text)
        if requirement.name == "ringrift":
            for other in sorted(requirement.extras):
                yield from _resolved(extras, other)
        else:
            yield text


def _belongs(text: str, extra: str) -> bool:
    """Tell whether a line of installed metadata is of this extra, whatever else its marker says."""
    quoted = text.replace('"', "'")
    return f"extra == '{extra}'" in quoted


def _record_hash(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
