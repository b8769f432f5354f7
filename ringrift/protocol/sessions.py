"""How an agent's requests are signed: one Ed25519 hello, then a cheap keyed hash and a counter.

`POST SESSION` is signed with the agent's enrolled key and names a challenge of the controller, so that a
recorded hello opens nothing. Its answer holds a random key in clear: the API is reached only through the
host's SSH connection or, on the controller's machine, a socket of mode 0600. From then on each request has
one header, `SESSION_HEADER: <session>.<counter>.<mac>`. Sessions live in the controller's memory only: after
its restart a request is answered 401 with the code `session_unknown` and a challenge in `CHALLENGE_HEADER`.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Annotated

from pydantic import Field, StringConstraints

from ringrift.protocol.agent import PREFIX, RESULTS, Report, ResultReply, ResultRequest
from ringrift.protocol.types import Reply

SESSION = f"{PREFIX}/session"
RESULTS_BATCH = f"{RESULTS}/batch"
SESSION_HEADER = "x-ringrift-session"
CHALLENGE_HEADER = "x-ringrift-challenge"
WINDOW = 1024
"""A counter this far behind the highest one seen is refused: an agent's threads overtake each other."""
MAX_RESULTS = 512
"""Most results in one request."""


class SessionRequest(Report):
    """The hello. Without a challenge, or with a used one, it is answered with a new challenge."""

    challenge: Annotated[str, StringConstraints(max_length=120)] = ""
    incarnation: Annotated[str, StringConstraints(max_length=64)] = ""
    """Random per start of the agent. A later start ends the session of an earlier one, for good."""


class SessionReply(Reply):
    session: str
    key: str
    """32 random bytes in hexadecimal."""


class ResultBatch(Report):
    """Results of any assignments of this agent; each is answered on its own."""

    results: Annotated[list[ResultRequest], Field(max_length=MAX_RESULTS)]


class ResultAnswer(Reply):
    """The reply to one result, or the error that a request of its own would have got."""

    reply: ResultReply | None = None
    code: str = ""
    message: str = ""


class ResultAnswers(Reply):
    answers: list[ResultAnswer] = []
    """In the order of the request."""


def mac(key: bytes, method: str, path: str, counter: int, body_sha256: str) -> str:
    """Return the hexadecimal HMAC-SHA256 of a request; `path` has its query, the hash is hexadecimal."""
    text = f"{method}\n{path}\n{counter}\n{body_sha256}".encode()
    return hmac.digest(key, text, "sha256").hex()


def header(session: str, key: bytes, counter: int, method: str, path: str, body: bytes | str) -> str:
    """Return the value of `SESSION_HEADER`; `body` is the content, or its hash for one that is streamed."""
    sha256 = body if isinstance(body, str) else hashlib.sha256(body).hexdigest()
    return f"{session}.{counter}.{mac(key, method, path, counter, sha256)}"
