"""Files between this host and the controller: continued after a break, large ones in chunks.

GET /partial          how many bytes of an upload the controller has
PUT ?offset=n         a chunk of at most 8 MiB, signed by its own hash
PUT ?offset=n&last=1  the last one: the controller checks size, hash and structure, and gives a receipt
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from agents.connection import Connection
from ringrift.errors import BadInput, Conflict, CorruptData, Unreachable
from ringrift.protocol import agent as wire

_Answer = TypeVar("_Answer", bound=BaseModel)
GoOn = Callable[[], None]
"""Called between pieces; raises to give up."""


class Signer(Protocol):
    """Makes the headers by which a request is known to come from this agent."""

    def signed(self, method: str, path: str, body: bytes | str) -> dict[str, str]: ...


class Files:
    """The files of one assignment. `credential` is empty for controllers that give none."""

    def __init__(self, connection: Connection, signer: Signer, assignment: str, credential: str) -> None:
        self._connection = connection
        self._signer = signer
        self._pass = {wire.ASSIGNMENT_HEADER: f"{assignment}:{credential}"} if credential else {}

    def upload(self, sha256: str, path: Path, go_on: GoOn) -> wire.ArtifactReceipt:
        """Send a file whose content has this hash; return the store's receipt for it.

        Raises `CorruptData` or `BadInput` when the controller does not accept its content, and `Unreachable`.
        """
        if path.stat().st_size <= wire.CHUNK_BYTES:
            where = f"{wire.ARTIFACTS}/{sha256}"
            with path.open("rb") as file:
                response = self._put(where, sha256, file)
        else:
            response = self._put_chunks(sha256, path, go_on)
        receipt = read_answer(response, wire.ArtifactReceipt)
        if receipt.sha256 != sha256:
            raise CorruptData(f"the controller received {receipt.sha256} instead of {sha256}")
        return receipt

    def download(self, sha256: str, into: Path, go_on: GoOn) -> None:
        """Fetch an artifact into `into`, going on where that file ends; the hash is not checked here.

        Raises `OSError` (no space left) before anything is written that would not fit.
        """
        where = f"{wire.ARTIFACTS}/{sha256}"
        have = into.stat().st_size if into.exists() else 0
        headers = self._headers("GET", where, b"")
        if have:
            headers["range"] = f"bytes={have}-"
        try:
            self._receive(where, headers, into, go_on)
        except BadInput:
            if not have:
                raise
            # The store cannot go on from here, because the part is longer than the whole: begin anew.
            into.unlink()
            self.download(sha256, into, go_on)

    def _put(
        self, where: str, sha256: str, content: object, more: dict[str, str] | None = None
    ) -> httpx.Response:
        headers = self._headers("PUT", where, sha256) | {"content-type": "application/octet-stream"}
        return self._connection.request("PUT", where, headers | (more or {}), content)

    def _put_chunks(self, sha256: str, path: Path, go_on: GoOn) -> httpx.Response:
        size, offset, gaps = path.stat().st_size, self._received(sha256), 0
        while True:
            go_on()
            with path.open("rb") as file:
                file.seek(min(offset, size))
                chunk = file.read(wire.CHUNK_BYTES)
            last = offset + len(chunk) >= size
            where = f"{wire.ARTIFACTS}/{sha256}?offset={min(offset, size)}{'&last=1' if last else ''}"
            digest = hashlib.sha256(chunk).hexdigest()
            try:
                response = self._put(where, digest, chunk, {wire.CHUNK_HEADER: digest})
            except Conflict:
                # What the controller had is gone, as after a restore: ask again, but not for ever.
                if (gaps := gaps + 1) > 2:
                    raise
                offset = self._received(sha256)
                continue
            if last:
                return response
            offset += len(chunk)

    def _received(self, sha256: str) -> int:
        where = f"{wire.ARTIFACTS}/{sha256}/partial"
        response = self._connection.request("GET", where, self._headers("GET", where, b""))
        return read_answer(response, wire.PartialUpload).received

    def _receive(self, where: str, headers: dict[str, str], into: Path, go_on: GoOn) -> None:
        with self._connection.stream(where, headers) as response:
            mode = "ab" if response.status_code == httpx.codes.PARTIAL_CONTENT else "wb"
            require_room(into.parent, int(response.headers.get("content-length", 0)))
            with into.open(mode) as file:
                for piece in response.iter_bytes():
                    file.write(piece)
                    go_on()

    def _headers(self, method: str, where: str, body: bytes | str) -> dict[str, str]:
        return self._signer.signed(method, where, body) | self._pass


def read_answer(response: httpx.Response, model: type[_Answer]) -> _Answer:
    """Return the body of an answer as `model`; raise `Unreachable` when it is something else."""
    try:
        return model.model_validate_json(response.content)
    except ValidationError:
        path = response.request.url.path
        raise Unreachable(f"the controller's answer to {path} cannot be understood") from None


def require_room(folder: Path, size: int) -> None:
    """Raise `OSError` (no space left) when so many bytes do not fit on the disk of `folder`."""
    if shutil.disk_usage(folder).free < size:
        raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)} for {size} bytes", str(folder))
