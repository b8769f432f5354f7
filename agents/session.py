"""The agent's session with the controller: one signed hello, then a keyed hash and a counter a request."""

from __future__ import annotations

import hashlib
import logging
import random
import secrets
import threading
import time

from agents.connection import Connection
from agents.identity import Identity
from agents.transfer import read_answer
from ringrift.errors import NotFound, SessionUnknown
from ringrift.protocol import agent as wire
from ringrift.protocol import sessions

_SPREAD_SECONDS = 1.0
"""After a restart of the controller, hellos of the whole fleet are spread over at least this time."""
log = logging.getLogger("agents")


class Session:
    """Signs requests. Safe for use by several threads, which share one session and its counter."""

    def __init__(self, connection: Connection, identity: Identity) -> None:
        self.incarnation = secrets.token_hex(8)
        """Random per start of the agent."""
        self._connection = connection
        self._identity = identity
        self._guard = threading.Lock()
        self._open: sessions.SessionReply | None = None
        self._counter = 0
        self._challenge = ""
        self._spread = False
        self._without = False
        connection.on_session_unknown = self.forget

    def headers(self, method: str, path: str, sha256: str) -> dict[str, str]:
        """Return the headers that sign a request whose body has this hash; say hello first where needed.

        A controller of the version before sessions gets an Ed25519 signature of each request (P12).
        """
        named = {wire.AGENT_HEADER: self._identity.agent}
        with self._guard:
            if self._open is None and not self._without:
                self._hello()
            if self._open is None:
                text = wire.streaming_signing_text(method, path, sha256)
                return {**named, wire.SIGNATURE_HEADER: self._identity.sign(text)}
            self._counter += 1
            opened, counter = self._open, self._counter
        shown = sessions.header(opened.session, bytes.fromhex(opened.key), counter, method, path, sha256)
        return {**named, sessions.SESSION_HEADER: shown}

    def forget(self, challenge: str) -> None:
        """Note that the controller does not know the session, and what it wants to see in the next hello."""
        self._spread = self._open is not None
        self._open, self._challenge = None, challenge

    def _hello(self) -> None:
        if self._spread:
            time.sleep(random.uniform(0.0, _SPREAD_SECONDS))
        for _ in range(2):
            try:
                self._open, self._counter, self._spread = self._ask(), 0, False
                return
            except SessionUnknown as error:
                self._challenge = error.challenge
            except NotFound:
                self._without = True
                log.info("the controller knows no sessions: requests are signed one by one")
                return
        raise SessionUnknown("the controller opened no session")

    def _ask(self) -> sessions.SessionReply:
        request = sessions.SessionRequest(challenge=self._challenge, incarnation=self.incarnation)
        body = request.model_dump_json().encode()
        signature = self._identity.sign(wire.signing_text("POST", sessions.SESSION, body))
        headers = {wire.AGENT_HEADER: self._identity.agent, wire.SIGNATURE_HEADER: signature}
        headers["content-type"] = "application/json"
        return read_answer(
            self._connection.request("POST", sessions.SESSION, headers, body), sessions.SessionReply
        )


def digest(body: bytes | str) -> str:
    """Return the hash of a request's content, or that of a streamed one as it was given."""
    return body if isinstance(body, str) else hashlib.sha256(body).hexdigest()
