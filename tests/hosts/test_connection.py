"""Logging in: only to the pinned key, and every failure says what to do."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest

from hosts.connection import Connector
from ringrift.cli.demo import sshd
from ringrift.errors import AccessRefused, BadInput, HostKeyChanged, Unreachable

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def connector(home):
    return Connector(home, timeout=5.0)


@contextlib.asynccontextmanager
async def listening(conversation):
    """A TCP server that does with each connection what `conversation` says; yields its port."""
    server = await asyncio.start_server(conversation, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_a_scan_shows_the_servers_key_without_logging_in(connector, either_host):
    (shown,) = await connector.scan(either_host.spec.address, either_host.spec.port)
    assert shown.public_key == either_host.spec.host_key
    assert shown.type == "ssh-ed25519"
    assert shown.fingerprint == sshd.status(either_host.folder).fingerprint
    assert re.fullmatch(r"SHA256:[A-Za-z0-9+/]{43}", shown.fingerprint)


async def test_the_scanned_key_can_be_pinned_and_logs_in(connector, either_host):
    (shown,) = await connector.scan(either_host.spec.address, either_host.spec.port)
    connection = await connector.connect(replace(either_host.spec, host_key=shown.public_key))
    async with connection:
        assert connection.get_extra_info("send_cipher") == "aes128-gcm@openssh.com"


async def test_a_changed_key_shows_both_fingerprints_and_the_mending_command(connector, host):
    other = asyncssh.generate_private_key("ssh-ed25519")
    pinned = replace(host.spec, host_key=other.export_public_key().decode())
    with pytest.raises(HostKeyChanged) as caught:
        await connector.connect(pinned)
    line = caught.value.line()
    assert other.get_fingerprint() in line
    assert sshd.status(host.folder).fingerprint in line
    assert "ringrift-ctl hosts trust alpha" in line


async def test_a_key_of_another_type_than_the_pinned_one_is_a_changed_key(connector, host):
    other = asyncssh.generate_private_key("ecdsa-sha2-nistp256")
    pinned = replace(host.spec, host_key=other.export_public_key().decode())
    with pytest.raises(HostKeyChanged) as caught:
        await connector.connect(pinned)
    assert other.get_fingerprint() in caught.value.message
    assert sshd.status(host.folder).fingerprint in caught.value.message


async def test_a_refused_login_names_the_line_to_add_and_where(connector, start_host, home):
    stranger = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    host = start_host(authorized=stranger)
    with pytest.raises(AccessRefused) as caught:
        await connector.connect(host.spec)
    assert not isinstance(caught.value, HostKeyChanged)
    assert (home / "ssh" / "id_ed25519.pub").read_text().strip() in caught.value.hint
    assert f"~{host.spec.user}/.ssh/authorized_keys" in caught.value.hint


async def test_a_named_identity_file_is_used_instead_of_the_controllers(connector, start_host, tmp_path):
    key = asyncssh.generate_private_key("ssh-ed25519")
    path = tmp_path / "own_key"
    path.touch(mode=0o600)
    path.write_bytes(key.export_private_key())
    host = start_host(authorized=key.export_public_key().decode())
    async with await connector.connect(replace(host.spec, identity=str(path))):
        pass


async def test_an_identity_that_others_may_read_is_refused_before_anything_is_sent(connector, host, tmp_path):
    path = tmp_path / "wide"
    path.touch(mode=0o644)
    with pytest.raises(AccessRefused, match="mode 0644"):
        await connector.connect(replace(host.spec, identity=str(path)))


async def test_a_closed_port_is_unreachable(connector, host):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(Unreachable, match="refuses connections"):
            await connector.connect(replace(host.spec, address="127.0.0.1", port=port))
        with pytest.raises(Unreachable, match="refuses connections"):
            await connector.scan("127.0.0.1", port)


async def test_an_unknown_name_is_unreachable(connector, host):
    with pytest.raises(Unreachable, match="no such address"):
        await connector.connect(replace(host.spec, address="no-such-host.invalid"))


async def test_a_server_that_stays_silent_is_unreachable(home, host):
    ended = asyncio.Event()

    async def silent(_reader, writer):
        await ended.wait()
        writer.close()

    async with listening(silent) as port:
        with pytest.raises(Unreachable, match="does not answer in time"):
            await Connector(home, timeout=0.3).connect(replace(host.spec, address="127.0.0.1", port=port))
        ended.set()


async def test_a_server_that_speaks_something_else_is_unreachable(connector, host):
    async def web(_reader, writer):
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n" + b"x" * 70000)
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        writer.close()

    async with listening(web) as port:
        with pytest.raises(Unreachable):
            await connector.connect(replace(host.spec, address="127.0.0.1", port=port))
        with pytest.raises(Unreachable):
            await connector.scan("127.0.0.1", port)


async def test_a_connection_cut_in_the_handshake_is_tried_again(connector, host):
    """sshd's MaxStartups drops connections at random when many come at once."""
    dropped = 0

    async def relay(reader, writer):
        nonlocal dropped
        if dropped < 2:
            dropped += 1
            writer.transport.abort()
            return
        inner_reader, inner_writer = await asyncio.open_connection(host.spec.address, host.spec.port)
        await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))

    async def pump(source, sink):
        with contextlib.suppress(ConnectionError):
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
        sink.close()

    async with listening(relay) as port:
        connection = await connector.connect(replace(host.spec, address="127.0.0.1", port=port))
        connection.close()
    assert dropped == 2


async def test_a_pinned_text_that_is_no_key_is_bad_input(connector, host):
    with pytest.raises(BadInput, match="pinned host key of alpha"):
        await connector.connect(replace(host.spec, host_key="ssh-ed25519 rubbish"))


async def test_many_logins_at_once_all_succeed(connector, host):
    connections = await asyncio.gather(*(connector.connect(host.spec) for _ in range(24)))
    for connection in connections:
        connection.close()
    assert len(connections) == 24


def sources() -> list[Path]:
    rooms = ("ringrift", "hosts", "agents", "inference", "tui")
    return [path for room in rooms for path in (REPOSITORY / room).rglob("*.py")]


@pytest.mark.parametrize("call", ["connect", "get_server_host_key"])
def test_one_module_alone_opens_connections(call):
    callers = {path.name for path in sources() if f"asyncssh.{call}(" in path.read_text()}
    assert callers == {"connection.py"}


@pytest.mark.parametrize(
    "call", ["connect_reverse", "get_server_auth_methods", "run_client", "create_connection"]
)
def test_no_module_opens_connections_in_another_way(call):
    assert [str(path) for path in sources() if f"asyncssh.{call}(" in path.read_text()] == []


async def test_an_open_connection_is_kept_while_it_is_trusted_and_leads_to_the_same_place(fleet, host):
    first = await fleet._remote(host.spec)
    authority = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    for harmless in (
        {"slots": 4},
        {"labels": (("a", "b"),)},
        {"authorities": (authority,)},
        {"revoked": ("x",)},
    ):
        assert await fleet._remote(replace(host.spec, **harmless)) is first


async def test_an_open_connection_is_dropped_when_its_key_is_revoked_or_another_one_pinned(fleet, host):
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    shown = sshd.status(host.folder).fingerprint
    for change in ({"host_key": other}, {"revoked": (shown,)}):
        connection = (await fleet._remote(host.spec)).connection
        with pytest.raises(HostKeyChanged):
            await fleet._remote(replace(host.spec, **change))
        assert connection.is_closed()


@pytest.mark.parametrize(
    "text",
    ["known_hosts" + "=None", "StrictHostKey" + "Checking=no", "AutoAdd" + "Policy", "shell" + "=True"],
)
def test_no_source_switches_a_check_off(text):
    assert [str(path) for path in sources() if text in path.read_text()] == []
