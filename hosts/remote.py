"""One host through one open connection: programs here, files in `hosts.files`.

Programs are argument vectors; `quote` is the one place where one becomes text for the login shell.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import shlex
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import asyncssh

from hosts.files import RemoteFiles
from ringrift.errors import AccessRefused, BadInput, CorruptData, EnvironmentProblem, NotFound, Unreachable

SESSIONS_AT_ONCE = 8
"""sshd's MaxSessions is 10; one more session is SFTP."""
SESSION_ATTEMPTS = 4
OUTPUT_LIMIT = 4 << 20
SHORT = 60.0
"""Seconds that a program may take which does no real work."""

Listener = Callable[[str], Awaitable[None]]
"""Is told every line that a program prints, while it runs."""


def quote(argv: Sequence[str]) -> str:
    """Return one line that any login shell splits into exactly `argv`.

    Raises BadInput for an empty vector, an empty program name or a NUL byte, which no shell can carry.
    """
    if not argv or not argv[0]:
        raise BadInput("no program to run")
    if any("\0" in word for word in argv):
        raise BadInput("a command argument holds a NUL byte")
    return shlex.join(argv)


@dataclass(frozen=True)
class Completed:
    """The end of a remote program; output is what it printed, undecodable bytes replaced."""

    status: int
    stdout: str
    stderr: str

    def last_words(self, lines: int = 3) -> str:
        """Return the end of what it printed, for an error line."""
        text = self.stderr.strip() or self.stdout.strip()
        return " | ".join(line.strip() for line in text.splitlines()[-lines:] if line.strip())[-600:]


class Remote:
    """Runs programs on a host; `files` moves files there."""

    def __init__(self, name: str, connection: asyncssh.SSHClientConnection) -> None:
        self.name = name
        self.connection = connection
        self.files = RemoteFiles(self)
        self._sessions = asyncio.Semaphore(SESSIONS_AT_ONCE)

    async def run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        seconds: float = SHORT,
        heard: Listener | None = None,
    ) -> Completed:
        """Run a program to its end, whatever its exit status; `heard` is told its lines as they come.

        Raises Unreachable when the connection breaks or `seconds` pass, CorruptData when it prints more
        than 4 MiB. A program that was cut off may still be running on the host.
        """
        assignments = [f"{key}={value}" for key, value in (env or {}).items()]
        line = quote(["env", *assignments, *argv] if assignments else argv)
        async with self._sessions:
            with self.speaking(f"running {argv[0]}"):
                try:
                    async with asyncio.timeout(seconds):
                        return await self._converse(line, stdin, heard)
                except TimeoutError:
                    raise Unreachable(
                        f"{self.name}: {' '.join(argv[:4])} did not end within {seconds:.0f} s",
                        hint="is the host overloaded? running the operation again resumes it",
                    ) from None

    async def check(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        seconds: float = SHORT,
    ) -> Completed:
        """Run a program that must succeed; EnvironmentProblem with its last words when it does not."""
        done = await self.run(argv, env=env, stdin=stdin, seconds=seconds)
        if done.status == 0:
            return done
        words = done.last_words() or "it printed nothing"
        if "No space left on device" in done.stderr + done.stdout:
            raise EnvironmentProblem(
                f"disk full on {self.name}: {argv[0]} ended with {done.status}: {words}",
                hint="free space there and run it again",
            )
        raise EnvironmentProblem(f"{self.name}: {' '.join(argv[:4])} ended with {done.status}: {words}")

    @contextlib.contextmanager
    def speaking(self, doing: str) -> Iterator[None]:
        """Turn what asyncssh raises into the product's errors, naming the host and what was being done."""
        try:
            yield
        except asyncssh.SFTPPermissionDenied as error:
            raise AccessRefused(
                f"{self.name}: permission denied {doing}",
                hint="the login user must own the host's root folder",
            ) from error
        except asyncssh.SFTPNoSuchFile as error:
            raise NotFound(f"{self.name}: no such file or folder {doing}") from error
        except (asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection) as error:
            raise Unreachable(f"{self.name}: the connection was cut {doing}") from error
        except asyncssh.SFTPError as error:
            raise EnvironmentProblem(f"{self.name}: SFTP failed {doing}: {error.reason}") from error
        except (asyncssh.Error, OSError) as error:
            reason = str(error) or type(error).__name__
            raise Unreachable(f"{self.name}: the connection was cut {doing}: {reason}") from error

    async def _converse(self, line: str, stdin: bytes, heard: Listener | None) -> Completed:
        process = await self._open_session(line)
        try:
            # A program that ended already does not read; a cut connection shows in the missing exit status.
            with contextlib.suppress(OSError):
                process.stdin.write(stdin)
                process.stdin.write_eof()
            out, err = await asyncio.gather(self._read(process.stdout, heard), self._read(process.stderr))
            await process.wait_closed()
        finally:
            process.close()
        if process.returncode is None:
            raise asyncssh.ConnectionLost("it ended without an exit status")
        return Completed(process.returncode, out, err)

    async def _open_session(self, line: str) -> asyncssh.SSHClientProcess[bytes]:
        """Open a session, waiting a little while the server has too many."""
        for attempt in range(SESSION_ATTEMPTS):
            try:
                return await self.connection.create_process(line, encoding=None)
            except asyncssh.ChannelOpenError:
                if attempt == SESSION_ATTEMPTS - 1 or self.connection.is_closed():
                    raise
                await asyncio.sleep(0.2 * 2**attempt * random.uniform(0.5, 1.5))
        raise AssertionError("the last try returns or raises")

    async def _read(self, stream: asyncssh.SSHReader[bytes], heard: Listener | None = None) -> str:
        parts: list[bytes] = []
        size, begun = 0, b""
        while data := await stream.read(65536):
            size += len(data)
            if size > OUTPUT_LIMIT:
                raise CorruptData(f"{self.name}: a program printed more than {OUTPUT_LIMIT >> 20} MiB")
            parts.append(data)
            if heard is not None:
                *lines, begun = (begun + data).split(b"\n")
                for line in lines:
                    await heard(line.decode(errors="replace"))
        return b"".join(parts).decode(errors="replace")
