"""Text of others: names, banners, login shells and last words reach no terminal and no shell as they are."""

from __future__ import annotations

import logging
import shlex
import unicodedata
from dataclasses import replace

import asyncssh
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosts.connection import Connector
from hosts.facts import Question, gather
from hosts.identity import check_login
from ringrift.cli.demo import sshd
from ringrift.control.domain.ports import HostSpec
from ringrift.control.logs import OneLine
from ringrift.errors import (
    AccessRefused,
    BadInput,
    EnvironmentProblem,
    HostKeyChanged,
    RingRiftError,
    Unreachable,
)
from ringrift.text import printable

ESCAPES = "\x1b]0;owned\x07\x1b[2J\x1b[31m\r\x9b5n\u202e\x7f"
HOSTILE = f"alpha; $(touch owned) `id`\n{ESCAPES}"
KEY = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()


def harmless(text: str) -> bool:
    return all(unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"} for c in text)


@given(st.text(alphabet=st.characters()), st.none() | st.integers(1, 50))
def test_whatever_comes_in_one_harmless_line_comes_out(text, limit):
    line = printable(text, limit)
    assert harmless(line)
    assert len(line) <= (limit or len(text))
    assert printable(line, limit) == line


@given(st.text(alphabet=st.characters()), st.text(alphabet=st.characters()))
def test_no_error_and_no_log_line_carries_more_than_visible_characters(message, hint):
    error = RingRiftError(message, hint=hint)
    record = logging.LogRecord("hosts", logging.INFO, "", 0, "%s: %s", (message, hint), None)
    for text in (error.message, error.hint, error.line(), str(error), OneLine().format(record)):
        assert harmless(text)


def login(user: str = "ring", address: str = "192.0.2.1") -> HostSpec:
    return HostSpec("alpha", user, address, 22, KEY, "~/ringrift", None, None)


@given(st.text(max_size=20) | st.from_regex(r"[-A-Za-z0-9@%:;$ \n]{1,20}", fullmatch=True))
def test_a_user_or_address_that_could_be_an_option_or_a_command_is_refused(text):
    for spec in (login(user=text), login(address=text)):
        try:
            check_login(spec)
        except BadInput as error:
            assert harmless(error.line())
            continue
        assert shlex.quote(text) == text
        assert not text.startswith("-")


@pytest.mark.parametrize(
    "text", ["-oProxyCommand=touch owned", "-l", "", "a b", "a\nb", "root;id", "$(id)", "\x1b"]
)
async def test_no_login_is_tried_with_what_is_no_name(home, text):
    for spec in (login(user=text), login(address=text)):
        with pytest.raises(BadInput, match="bad SSH"):
            await Connector(home).connect(spec)


async def test_a_hostile_name_is_told_harmlessly_and_quoted_in_the_command(host, home):
    with pytest.raises(HostKeyChanged) as caught:
        await Connector(home).connect(replace(host.spec, name=HOSTILE, host_key=KEY))
    assert harmless(caught.value.line())
    command = caught.value.hint[caught.value.hint.index("ringrift-ctl") :]
    assert shlex.split(command) == ["ringrift-ctl", "hosts", "trust", printable(HOSTILE)]


@pytest.mark.parametrize(("code", "error"), [(11, Unreachable), (14, AccessRefused)])
async def test_what_a_server_says_when_it_hangs_up_is_told_harmlessly(home, host, code, error):
    class Rude(asyncssh.SSHServer):
        def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
            self.connection = conn

        def begin_auth(self, username: str) -> bool:
            self.connection.disconnect(code, f"go away{ESCAPES}")
            return True

    key = asyncssh.generate_private_key("ssh-ed25519")
    public = key.export_public_key().decode()
    async with asyncssh.listen("127.0.0.1", 0, server_factory=Rude, server_host_keys=[key]) as server:
        spec = replace(host.spec, address="127.0.0.1", port=server.get_port(), host_key=public)
        with pytest.raises(error, match="go away") as caught:
            await Connector(home).connect(spec)
    assert harmless(caught.value.line())


@pytest.mark.skipif(
    sshd.openssh_path() is None, reason="sshd is not installed: apt-get install openssh-server"
)
async def test_banner_login_shell_and_last_words_neither_confuse_nor_show(fleet, start_host, tmp_path):
    (tmp_path / "banner").write_text(f"welcome {ESCAPES}\n")
    host = start_host(settings=[f'Banner "{tmp_path / "banner"}"'])
    noise = f"printf '%s\\n' {shlex.quote(ESCAPES + HOSTILE)}; printf '%s' {shlex.quote(ESCAPES)} >&2\n"
    (host.folder / "home" / ".bashrc").write_text(noise)
    remote = await fleet._remote(host.spec)
    assert (await gather(remote, Question(root=str(host.root)))).root == str(host.root)
    for words in (ESCAPES, HOSTILE):
        with pytest.raises(EnvironmentProblem, match="ended with 3") as caught:
            await remote.check(["sh", "-c", f"printf %s {shlex.quote(words)} >&2; exit 3"])
        assert harmless(caught.value.line())
    assert not list(tmp_path.rglob("owned"))
