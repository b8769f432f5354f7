"""What the agent says to the controller: one typed call per path of the agents' API, signed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import httpx
from pydantic import BaseModel

from agents.bucket import Bucket
from agents.connection import Connection
from agents.identity import Identity
from agents.session import Session, digest
from agents.transfer import Files, read_answer
from ringrift.errors import AccessRefused, SessionUnknown, Unreachable
from ringrift.protocol import agent as wire
from ringrift.protocol.sessions import RESULTS_BATCH, ResultAnswer, ResultAnswers, ResultBatch

_Answer = TypeVar("_Answer", bound=BaseModel)
AWAY = (Unreachable, AccessRefused)
"""Nothing of these proves anything about the work: it is kept, and the call is repeated later."""


def enrol(connection: Connection, request: wire.EnrolRequest) -> wire.EnrolReply:
    """Show the token and the public key; raise `AccessRefused` when the token is not accepted."""
    headers = {"content-type": "application/json"}
    response = connection.request("POST", wire.ENROL, headers, request.model_dump_json().encode())
    return read_answer(response, wire.EnrolReply)


class Controller:
    """The controller as an enrolled agent sees it."""

    def __init__(self, connection: Connection, identity: Identity) -> None:
        self.connection = connection
        self._session = Session(connection, identity)
        self._bucket = Bucket()
        self.incarnation = self._session.incarnation

    def beat(self, request: wire.BeatRequest) -> wire.BeatReply:
        return self._post(wire.BEAT, request, wire.BeatReply)

    def lease(self, request: wire.LeaseRequest) -> wire.LeaseReply:
        return self._post(wire.LEASE, request, wire.LeaseReply)

    def result(self, request: wire.ResultRequest) -> wire.ResultReply:
        return self._post(wire.RESULTS, request, wire.ResultReply)

    def results(self, requests: Sequence[wire.ResultRequest]) -> list[ResultAnswer]:
        """Report several units in one request; each is answered on its own, in this order."""
        batch = ResultBatch(results=list(requests))
        return self._post(RESULTS_BATCH, batch, ResultAnswers).answers

    def finish(self, request: wire.FinishRequest) -> wire.FinishReply:
        return self._post(wire.FINISH, request, wire.FinishReply)

    def files(self, assignment: wire.Assignment) -> Files:
        """Return the way by which an assignment's files are fetched and put."""
        return Files(self.connection, self, self._bucket, assignment.assignment, assignment.credential)

    def signed(self, method: str, path: str, body: bytes | str) -> dict[str, str]:
        """Return the headers that sign a request; `body` is its content, or the SHA-256 of it."""
        return self._session.headers(method, path, digest(body))

    def _post(self, path: str, request: BaseModel, answer: type[_Answer]) -> _Answer:
        body = request.model_dump_json().encode()
        try:
            response = self._send(path, body)
        except SessionUnknown:
            response = self._send(path, body)
        return read_answer(response, answer)

    def _send(self, path: str, body: bytes) -> httpx.Response:
        headers = {**self.signed("POST", path, body), "content-type": "application/json"}
        return self.connection.request("POST", path, headers, body)
