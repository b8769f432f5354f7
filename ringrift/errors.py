"""Every error an operator can see, as one tree.

RingRiftError (1)
├── UsageError (2)             the request itself is wrong
│   ├── UnknownConfig
│   ├── BadInput               malformed JSON, GameState, file or option
│   └── IllegalMove
├── PartialFailure (3)         some hosts or targets failed, others are done
├── Refused (4)                a rule said no; nothing was changed
│   ├── MissingEvidence        a promotion without a passed evaluation
│   ├── Conflict               somebody else was first
│   └── IncompatibleModel      wrong board, players or architecture
├── NotFound (5)
├── Unreachable (6)            controller or host does not answer
├── AccessRefused (7)          login, token or host key not accepted
│   ├── Forbidden          the token's role may not do this
│   ├── HostKeyChanged
│   ├── SessionUnknown     an agent has to say hello again
│   └── Replaced           a later start of this agent took its place
├── CorruptData (8)            a hash, checksum or structure is wrong
└── EnvironmentProblem (9)     port in use, disk full, database newer than the code

The number is the exit status of `ringrift-ctl`. `code` is the stable name on the wire.
"""

from __future__ import annotations

from ringrift.text import printable


class RingRiftError(Exception):
    """An expected failure: `message` says what and where, `hint` what to do next.

    Both become harmless lines here, whatever a host or a file put into them.
    """

    code = "error"
    exit_status = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        self.message = printable(message)
        self.hint = printable(hint)
        super().__init__(self.message)

    def line(self) -> str:
        """Return the error as the single line that is shown to a person."""
        text = f"{self.message} - {self.hint}" if self.hint else self.message
        return " ".join(text.split())


class UsageError(RingRiftError):
    """The request itself is wrong."""

    code = "usage"
    exit_status = 2


class UnknownConfig(UsageError):
    """No such board and player count."""

    code = "unknown_config"


class BadInput(UsageError):
    """Malformed JSON, GameState, file or option; the message names the field."""

    code = "bad_input"


class IllegalMove(UsageError):
    """The move is not in the legal set of the position."""

    code = "illegal_move"


class PartialFailure(RingRiftError):
    """Some hosts or targets failed; the others are done."""

    code = "partial_failure"
    exit_status = 3


class Refused(RingRiftError):
    """A rule said no; nothing was changed."""

    code = "refused"
    exit_status = 4


class MissingEvidence(Refused):
    """A promotion was asked for without a passed evaluation."""

    code = "missing_evidence"


class Conflict(Refused):
    """Somebody else was first; the message says who or what stands there now."""

    code = "conflict"


class IncompatibleModel(Refused):
    """A checkpoint is of another board, player count or architecture."""

    code = "incompatible_model"


class NotFound(RingRiftError):
    """No host, model, job or file of that name."""

    code = "not_found"
    exit_status = 5


class Unreachable(RingRiftError):
    """The controller or a host does not answer."""

    code = "unreachable"
    exit_status = 6


class AccessRefused(RingRiftError):
    """A login, token or signature was not accepted."""

    code = "access_refused"
    exit_status = 7


class Forbidden(AccessRefused):
    """The token is valid, but its role may not do this."""

    code = "forbidden"


class HostKeyChanged(AccessRefused):
    """A host showed another key than the pinned one."""

    code = "host_key_changed"


class SessionUnknown(AccessRefused):
    """A request names a session that this controller does not know: `challenge` goes into a new hello."""

    code = "session_unknown"

    def __init__(self, message: str, *, hint: str = "", challenge: str = "") -> None:
        super().__init__(message, hint=hint)
        self.challenge = challenge


class Replaced(AccessRefused):
    """Another agent with the same key began after this one, which has to end."""

    code = "replaced"


class CorruptData(RingRiftError):
    """A hash, checksum or structure is wrong; the data was not used."""

    code = "corrupt_data"
    exit_status = 8


class EnvironmentProblem(RingRiftError):
    """The machine is not as needed: port in use, disk full, database newer than the code."""

    code = "environment"
    exit_status = 9


def error_classes() -> dict[str, type[RingRiftError]]:
    """Return every error class by its wire code, for clients that rebuild errors from replies.

    A subclass that shares the code of its parent is not one of them: it may take other arguments.
    """
    found: dict[str, type[RingRiftError]] = {}
    pending: list[type[RingRiftError]] = [RingRiftError]
    while pending:
        cls = pending.pop()
        if "code" in vars(cls):
            found[cls.code] = cls
        pending.extend(cls.__subclasses__())
    return found
