"""Sessions of agents, in memory: who may send what, and each request once.

A controller that starts knows no session; its agents say hello again. Nothing here is durable and nothing
here decides about work: that is done with the database's rows, in the transaction.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass

from ringrift.errors import AccessRefused, Replaced, SessionUnknown
from ringrift.protocol.sessions import WINDOW, SessionReply, mac

_MASK = (1 << WINDOW) - 1
_FORMER = 8
"""Starts of one agent that are remembered as superseded."""


@dataclass(slots=True)
class _Session:
    agent: str
    key: bytes
    top: int = 0
    seen: int = 1
    """Bit k: the counter `top - k` was used. Counter 0 never is."""

    def use(self, counter: int) -> bool:
        """Mark a counter as used; False when it was used before or is too far behind."""
        ahead = counter - self.top
        if ahead > 0:
            self.seen = ((self.seen << ahead) | 1) & _MASK if ahead < WINDOW else 1
            self.top = counter
            return True
        bit = 1 << -ahead if -ahead < WINDOW else 0
        if not bit or self.seen & bit:
            return False
        self.seen |= bit
        return True


@dataclass(slots=True)
class _Seat:
    """The one place of an agent: its newest start and session, and the starts before that."""

    incarnation: str
    session: str
    challenge: int
    former: tuple[str, ...] = ()


class Sessions:
    """The sessions of one run of a controller, at most one for each agent."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)
        self._issued = 0
        self._sessions: dict[str, _Session] = {}
        self._seats: dict[str, _Seat] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def challenge(self, agent: str) -> str:
        """Return a text that this agent may use in one hello."""
        self._issued += 1
        return self._challenge(agent, self._issued)

    def _challenge(self, agent: str, number: int) -> str:
        seal = hmac.digest(self._secret, f"{agent}\n{number}".encode(), "sha256").hex()
        return f"{number}.{seal[:32]}"

    def require(self, agent: str, challenge: str) -> int:
        """Return the number of a challenge that is this agent's and not used up.

        Raises `SessionUnknown` with a new one otherwise. It is no secret: only a signature over it counts.
        """
        number = int(challenge.partition(".")[0]) if challenge.partition(".")[0].isdecimal() else 0
        seat = self._seats.get(agent)
        known = hmac.compare_digest(self._challenge(agent, number).encode(), challenge.encode())
        if not known or (seat is not None and number <= seat.challenge):
            raise SessionUnknown("say hello with this challenge", challenge=self.challenge(agent))
        return number

    def open(self, agent: str, challenge: str, incarnation: str) -> SessionReply:
        """Open the session of an agent whose hello was signed; its session until now ends.

        Raises `SessionUnknown` with a new challenge when this one is not ours or older than the last one
        used, and `Replaced` for a start that a later one has superseded: two alive at once are a clone.
        """
        number, seat = self.require(agent, challenge), self._seats.get(agent)
        if seat is not None and incarnation in seat.former:
            raise Replaced(
                "a later start of this agent took its place",
                hint="two agents run with one key: stop one, or provision its host to enrol it anew",
            )
        session, key = secrets.token_hex(12), secrets.token_bytes(32)
        self._sessions[session] = _Session(agent, key)
        if seat is None:
            self._seats[agent] = _Seat(incarnation, session, number)
        else:
            del self._sessions[seat.session]
            if seat.incarnation != incarnation:
                seat.former = (*seat.former, seat.incarnation)[-_FORMER:]
            seat.incarnation, seat.session, seat.challenge = incarnation, session, number
        return SessionReply(session=session, key=key.hex())

    def agent_of(self, header: str, method: str, path: str, body_sha256: str) -> str:
        """Return the agent that sent a request, and use its counter up.

        Raises `SessionUnknown` for a session that is not (or not any more) known, and `AccessRefused` for a
        wrong keyed hash and for a counter that was used or is too old.
        """
        name, _, rest = header.partition(".")
        number, _, seal = rest.partition(".")
        session = self._sessions.get(name)
        if session is None:
            raise SessionUnknown("this session is not known here")
        if not (number.isdecimal() and number.isascii() and len(number) < 19):
            raise AccessRefused("session header is malformed")
        counter = int(number)
        wanted = mac(session.key, method, path, counter, body_sha256)
        if not hmac.compare_digest(wanted.encode(), seal.encode()):
            raise AccessRefused("signature is not valid")
        if not session.use(counter):
            raise AccessRefused("this request was sent before", hint="send it with a new counter")
        return session.agent
