"""Sends a message to the operators' webhook. Its address is a secret: no error and no log has it."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ringrift.errors import BadInput, EnvironmentProblem, RingRiftError, Unreachable
from ringrift.failpoints import side_effect

WEBHOOK_URL = "RINGRIFT_WEBHOOK_URL"
FILE = "webhook.url"
"""In the controller's home: the address, where the variable is not set."""
SECONDS = 10.0
# At INFO httpx logs every address.
logging.getLogger("httpx").setLevel(logging.WARNING)


def webhook_url(home: Path) -> str | None:
    """Return the address of the webhook; None when there is none.

    Raises `BadInput` for what is no HTTP address, `EnvironmentProblem` for a file that others can read.
    """
    url, where = os.environ.get(WEBHOOK_URL, "").strip(), WEBHOOK_URL
    if not url:
        url, where = _from_file(home / FILE), FILE
    if not url:
        return None
    import httpx  # late: its import costs a start more than a webhook ever will

    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL):
        sound = False
    if not sound:
        raise BadInput(f"{where} is no address of a webhook", hint="it begins with https://")
    return url


def _from_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise EnvironmentProblem(f"{FILE} can be read by others", hint=f"chmod 600 {path}")
            return file.read(4096).decode("utf-8", "replace").strip()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise EnvironmentProblem(f"{FILE} cannot be read: {error.strerror}") from error


async def send(url: str, message: dict[str, Any], seconds: float = SECONDS) -> None:
    """Post a message; returns when it was accepted (a status of 200 to 299). Raises `Unreachable` otherwise.

    Redirects are not followed, and of the answer nothing but the status counts.
    """
    import httpx

    try:
        async with asyncio.timeout(seconds):
            with side_effect("webhook.send"):
                status = await _post(url, message, seconds)
    except RingRiftError:
        raise
    except (TimeoutError, httpx.TimeoutException):
        raise Unreachable(f"the webhook did not answer within {seconds:g} s") from None
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        raise Unreachable(f"the webhook cannot be reached ({type(error).__name__})") from None
    if not 200 <= status < 300:
        extra = ", a redirect, which is not followed" if 300 <= status < 400 else ""
        raise Unreachable(f"the webhook answered {status}{extra}")


async def _post(url: str, message: dict[str, Any], seconds: float) -> int:
    import httpx

    options: dict[str, Any] = {"timeout": seconds, "follow_redirects": False, "trust_env": False}
    async with httpx.AsyncClient(**options) as client, client.stream("POST", url, json=message) as answer:
        return answer.status_code
