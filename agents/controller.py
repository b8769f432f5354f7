"""What the agent says to the controller: one typed call per path of the agents' API, signed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from agents.connection import Connection
from agents.identity import Identity
from ringrift.errors import AccessRefused, BadInput, CorruptData, Unreachable
from ringrift.protocol import agent as wire

_Answer = TypeVar("_Answer", bound=BaseModel)
AWAY = (Unreachable, AccessRefused)
"""Nothing of these proves anything about the work: it is kept, and the call is repeated later."""


def enrol(connection: Connection, request: wire.EnrolRequest) -> wire.EnrolReply:
    """Show the token and the public key; raise `AccessRefused` when the token is not accepted."""
    headers = {"content-type": "application/json"}
    response = connection.request("POST", wire.ENROL, headers, request.model_dump_json().encode())
    return _read(response, wire.EnrolReply)


class Controller:
    """The controller as an enrolled agent sees it."""

    def __init__(self, connection: Connection, identity: Identity) -> None:
        self.connection = connection
        self._identity = identity

    def beat(self, request: wire.BeatRequest) -> wire.BeatReply:
        return self._post(wire.BEAT, request, wire.BeatReply)

    def lease(self, request: wire.LeaseRequest) -> wire.LeaseReply:
        return self._post(wire.LEASE, request, wire.LeaseReply)

    def result(self, request: wire.ResultRequest) -> wire.ResultReply:
        return self._post(wire.RESULTS, request, wire.ResultReply)

    def finish(self, request: wire.FinishRequest) -> wire.FinishReply:
        return self._post(wire.FINISH, request, wire.FinishReply)

    def upload(self, sha256: str, path: Path) -> wire.ArtifactReceipt:
        """Send a file whose content has this hash; return the store's receipt for it."""
        where = f"{wire.ARTIFACTS}/{sha256}"
        signature = self._identity.sign(wire.streaming_signing_text("PUT", where, sha256))
        headers = {**self._named(signature), "content-type": "application/octet-stream"}
        with path.open("rb") as file:
            response = self.connection.request("PUT", where, headers, file)
        receipt = _read(response, wire.ArtifactReceipt)
        if receipt.sha256 != sha256:
            raise CorruptData(f"the controller received {receipt.sha256} instead of {sha256}")
        return receipt

    def download(self, sha256: str, into: Path, go_on: Callable[[], None]) -> None:
        """Fetch an artifact into `into`, going on where that file ends; the hash is not checked here.

        `go_on` is called between pieces and may raise to give up.
        """
        where = f"{wire.ARTIFACTS}/{sha256}"
        have = into.stat().st_size if into.exists() else 0
        headers = self._named(self._identity.sign(wire.signing_text("GET", where, b"")))
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

    def _receive(self, where: str, headers: dict[str, str], into: Path, go_on: Callable[[], None]) -> None:
        with self.connection.stream(where, headers) as response:
            mode = "ab" if response.status_code == httpx.codes.PARTIAL_CONTENT else "wb"
            with into.open(mode) as file:
                for piece in response.iter_bytes():
                    file.write(piece)
                    go_on()

    def _post(self, path: str, request: BaseModel, answer: type[_Answer]) -> _Answer:
        body = request.model_dump_json().encode()
        signature = self._identity.sign(wire.signing_text("POST", path, body))
        headers = {**self._named(signature), "content-type": "application/json"}
        return _read(self.connection.request("POST", path, headers, body), answer)

    def _named(self, signature: str) -> dict[str, str]:
        return {wire.AGENT_HEADER: self._identity.agent, wire.SIGNATURE_HEADER: signature}


def _read(response: httpx.Response, model: type[_Answer]) -> _Answer:
    try:
        return model.model_validate_json(response.content)
    except ValidationError:
        path = response.request.url.path
        raise Unreachable(f"the controller's answer to {path} cannot be understood") from None
