"""Files between this host and the controller: continued after a break, large ones in chunks.

GET /partial          how many bytes of an upload the controller has
PUT ?offset=n         a chunk of at most 8 MiB, signed by its own hash
PUT ?offset=n&last=1  the last one: the controller checks size, hash and structure, and gives a receipt
GET /url?method=...   a short-lived address in the bucket, where the artifacts are in one (`agents/bucket.py`)
POST /claim           the controller checks what was put there, and gives a receipt
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Protocol, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from agents.bucket import Bucket, from_byte, receive
from agents.connection import LONG, Connection
from agents.files import GoOn, sha256_of
from ringrift.errors import BadInput, Conflict, CorruptData, RingRiftError, Unreachable
from ringrift.protocol import agent as wire

_Answer = TypeVar("_Answer", bound=BaseModel)


class Signer(Protocol):
    """Makes the headers by which a request is known to come from this agent."""

    def signed(self, method: str, path: str, body: bytes | str) -> dict[str, str]: ...


class Files:
    """The files of one assignment. `credential` is empty for controllers that give none."""

    def __init__(
        self, connection: Connection, signer: Signer, bucket: Bucket, assignment: str, credential: str
    ) -> None:
        self._connection = connection
        self._signer = signer
        self._bucket = bucket
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
            received = self._received(sha256)
            claimed = self._put_to_bucket(sha256, path, go_on) if not received else None
            response = claimed or self._put_chunks(sha256, path, received, go_on)
        receipt = read_answer(response, wire.ArtifactReceipt)
        if receipt.sha256 != sha256:
            raise CorruptData(f"the controller received {receipt.sha256} instead of {sha256}")
        return receipt

    def download(self, sha256: str, into: Path, go_on: GoOn) -> None:
        """Fetch an artifact into `into`, going on where that file ends.

        The caller checks the hash. What was put together from parts and is not right is fetched anew first.
        Raises `OSError` (no space left) before anything is written that would not fit.
        """
        url = self._address(sha256, "get")
        if url is not None and self._bucket.fetch(url, into, go_on):
            if sha256_of(into) == sha256:
                return
            into.unlink()
            self._bucket.rest()
        pieced = into.exists()
        self._fetch(sha256, into, go_on)
        if pieced and sha256_of(into) != sha256:
            into.unlink()
            self._fetch(sha256, into, go_on)

    def _fetch(self, sha256: str, into: Path, go_on: GoOn) -> None:
        """Fetch an artifact, or the rest of it, from the controller itself."""
        where = f"{wire.ARTIFACTS}/{sha256}"
        have = into.stat().st_size if into.exists() else 0
        headers = self._headers("GET", where, b"") | from_byte(have)
        try:
            with self._connection.stream(where, headers) as response:
                receive(response, into, go_on)
        except BadInput:
            if not have:
                raise
            # The store cannot go on from here, because the part is longer than the whole: begin anew.
            into.unlink()
            self._fetch(sha256, into, go_on)

    def _address(self, sha256: str, method: str) -> str | None:
        """Ask for an address in the bucket; None when there is none, or it is left alone for now."""
        if not self._pass or not self._bucket.is_open():
            return None
        where = f"{wire.ARTIFACTS}/{sha256}/url?method={method}"
        try:
            response = self._connection.request("GET", where, self._headers("GET", where, b""))
            url = read_answer(response, wire.ArtifactUrl).url
        except RingRiftError:
            # A controller of the version before knows no addresses; what else is wrong, its transfer tells.
            return None
        if url is None:
            self._bucket.rest()
        return url

    def _put_to_bucket(self, sha256: str, path: Path, go_on: GoOn) -> httpx.Response | None:
        """Put a file where the bucket takes it and let the controller look at it; None when that failed."""
        url = self._address(sha256, "put")
        if url is None or not self._bucket.put(url, path, go_on):
            return None
        where = f"{wire.ARTIFACTS}/{sha256}/claim"
        try:
            return self._connection.request("POST", where, self._headers("POST", where, b""), timeout=LONG)
        except RingRiftError:
            self._bucket.rest()
            return None

    def _put(
        self, where: str, sha256: str, content: object, more: dict[str, str] | None = None
    ) -> httpx.Response:
        headers = self._headers("PUT", where, sha256) | {"content-type": "application/octet-stream"}
        return self._connection.request("PUT", where, headers | (more or {}), content)

    def _put_chunks(self, sha256: str, path: Path, offset: int, go_on: GoOn) -> httpx.Response:
        size, gaps = path.stat().st_size, 0
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

    def _headers(self, method: str, where: str, body: bytes | str) -> dict[str, str]:
        return self._signer.signed(method, where, body) | self._pass


def read_answer(response: httpx.Response, model: type[_Answer]) -> _Answer:
    """Return the body of an answer as `model`; raise `Unreachable` when it is something else."""
    try:
        return model.model_validate_json(response.content)
    except ValidationError:
        path = response.request.url.path
        raise Unreachable(f"the controller's answer to {path} cannot be understood") from None
