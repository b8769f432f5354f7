"""The message of a round of alerts: our JSON, or the form that Slack takes. Text is harmless in both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ringrift.control.domain.health import age_text
from ringrift.text import printable

MOST = 50
"""Alerts that one message spells out; more are counted."""


@dataclass(frozen=True)
class Line:
    """One alert as a message tells it; `lasted` in seconds, until now or until it was over."""

    signature: str
    kind: str
    subject: str
    severity: str
    message: str
    count: int
    lasted: float
    cleared: bool


def document(lines: Sequence[Line]) -> dict[str, Any]:
    """Return the generic form: every alert with its fields."""
    return {
        "product": "ringrift",
        "opened": sum(not line.cleared for line in lines),
        "cleared": sum(line.cleared for line in lines),
        "alerts": [
            {
                "state": "cleared" if line.cleared else "open",
                "signature": printable(line.signature, 300),
                "kind": line.kind,
                "subject": printable(line.subject, 200),
                "severity": line.severity,
                "message": printable(line.message, 500),
                "count": line.count,
                "seconds": round(line.lasted, 1),
            }
            for line in lines[:MOST]
        ],
        "more": max(0, len(lines) - MOST),
    }


def slack_document(lines: Sequence[Line]) -> dict[str, Any]:
    """Return the form of a Slack webhook: one text, a line for each alert."""
    rows = [_slack_line(line) for line in lines[:MOST]]
    if len(lines) > MOST:
        rows.append(f"... and {len(lines) - MOST} more: `ringrift-ctl alerts list`")
    return {"text": "\n".join(rows)}


def _slack_line(line: Line) -> str:
    text = printable(line.message, 500)
    for character, escaped in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(character, escaped)
    if line.cleared:
        return f"over after {age_text(line.lasted)}: *{line.kind}* {text}"
    return f"{line.severity}: *{line.kind}* {text}"
