"""The way back: real HTTP through a forwarded socket or port, cut and made anew."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
from dataclasses import replace
from pathlib import Path

import httpx
import psutil
import pytest

from ringrift.cli.demo import sshd
from ringrift.errors import AccessRefused


@pytest.fixture
async def agents_socket(tmp_path_factory):
    """A small HTTP server on a unix socket, as the controller's agents' API is."""
    path = tmp_path_factory.mktemp("api") / "agents.sock"

    async def answer(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        body = await reader.readexactly(int(re.search(rb"(?i)content-length: (\d+)", head)[1]))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body) + body)
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        writer.close()

    async with await asyncio.start_unix_server(answer, str(path)):
        yield path


def published(host) -> dict:
    return json.loads((host.root / "run" / "controller.json").read_text())


async def echoed(place: dict, body: bytes) -> bytes:
    """Post to the controller as an agent on the host does."""
    transport = httpx.AsyncHTTPTransport(uds=place.get("uds"))
    base = f"http://{place['host']}:{place['port']}" if "port" in place else "http://controller"
    async with httpx.AsyncClient(transport=transport, base_url=base, timeout=20) as client:
        return (await client.post("/", content=body)).content


async def test_http_goes_through_a_unix_socket(fleet, either_host, agents_socket, opened_tunnel):
    async with opened_tunnel(fleet, either_host.spec, agents_socket):
        place = published(either_host)
        assert set(place) == {"uds"}
        body = os.urandom(300_000)
        assert await echoed(place, body) == body


@pytest.mark.skipif(
    sshd.openssh_path() is None, reason="sshd is not installed: apt-get install openssh-server"
)
async def test_a_tunnel_leads_back_through_a_jump_host_and_ends_with_it(
    fleet, start_host, agents_socket, opened_tunnel
):
    host, jump = start_host("alpha"), start_host("bastion")
    spec = replace(host.spec, jump=jump.spec)
    async with opened_tunnel(fleet, spec, agents_socket) as tunnel:
        body = os.urandom(300_000)
        assert await echoed(published(host), body) == body
        await asyncio.to_thread(jump.cut)
        await asyncio.wait_for(tunnel, 20)
    async with opened_tunnel(fleet, spec, agents_socket):
        assert await echoed(published(host), b"again") == b"again"


async def test_the_socket_and_where_it_is_are_private(fleet, host, agents_socket, opened_tunnel):
    async with opened_tunnel(fleet, host.spec, agents_socket):
        assert (host.root / "run").stat().st_mode & 0o777 == 0o700
        assert (host.root / "run" / "controller.json").stat().st_mode & 0o777 == 0o600
        assert len(published(host)["uds"].encode()) <= 107


@pytest.mark.parametrize("kind", ["openssh", "double"])
async def test_where_sockets_are_forbidden_a_loopback_port_carries_it(
    fleet, start_host, agents_socket, opened_tunnel, kind
):
    if kind == "openssh" and sshd.openssh_path() is None:
        pytest.skip("sshd is not installed: apt-get install openssh-server")
    host = start_host(kind=kind, socket_forwarding=False)
    async with opened_tunnel(fleet, host.spec, agents_socket):
        place = published(host)
        assert place["host"] == "127.0.0.1"
        assert place["port"] > 0
        assert await echoed(place, b"hello") == b"hello"


async def test_where_all_forwarding_is_forbidden_the_setting_to_change_is_named(
    fleet, start_host, agents_socket, opened_tunnel
):
    host = start_host(socket_forwarding=False, port_forwarding=False)
    with pytest.raises(AccessRefused, match="forbids forwarding") as caught:
        async with opened_tunnel(fleet, host.spec, agents_socket):
            pass
    assert "AllowStreamLocalForwarding" in caught.value.hint
    assert not (host.root / "run" / "controller.json").exists()


async def test_a_cut_ends_it_and_the_next_one_is_published_under_another_name(
    fleet, either_host, agents_socket, opened_tunnel
):
    host = either_host
    async with opened_tunnel(fleet, host.spec, agents_socket) as tunnel:
        first = published(host)
        await asyncio.to_thread(host.cut)
        await asyncio.wait_for(tunnel, 20)
    async with opened_tunnel(fleet, host.spec, agents_socket):
        second = published(host)
        assert second != first
        assert await echoed(second, b"again") == b"again"
        assert not Path(first["uds"]).exists()
        # A long root has its sockets in a short folder elsewhere: what counts is the folder that was told.
        assert list(Path(second["uds"]).parent.glob("*.sock")) == [Path(second["uds"])]


async def test_a_long_root_gets_a_short_private_socket_folder_that_is_removed_later(
    fleet, start_host, agents_socket, opened_tunnel, tmp_path
):
    host = start_host(root=tmp_path / ("deep" * 30))
    folders = []
    for _ in range(2):
        async with opened_tunnel(fleet, host.spec, agents_socket) as tunnel:
            place = published(host)
            folders.append(Path(place["uds"]).parent)
            assert len(place["uds"].encode()) <= 100
            assert folders[-1].stat().st_mode & 0o777 == 0o700
            assert await echoed(place, b"short") == b"short"
            await asyncio.to_thread(host.cut)
            await asyncio.wait_for(tunnel, 20)
    assert not folders[0].exists()
    for path in folders[1].iterdir():
        path.unlink()
    folders[1].rmdir()


async def test_stale_files_of_others_are_left_alone(fleet, host, agents_socket, opened_tunnel):
    run = host.root / "run"
    run.mkdir(parents=True)
    (run / "controller.json").write_text('{"uds": "/tmp/ringrift-precious/t-00000000.sock"}')
    (run / "other.sock").touch()
    (run / "t-0badc0de.sock").touch()
    async with opened_tunnel(fleet, host.spec, agents_socket):
        assert (run / "other.sock").exists()
        assert not (run / "t-0badc0de.sock").exists()


@pytest.mark.parametrize("content", ["", "rubbish", "[]", '{"uds": 1}', '{"uds": "../../x/t-00000000.sock"}'])
async def test_a_damaged_record_does_not_hinder_the_next_tunnel(
    fleet, host, agents_socket, opened_tunnel, content
):
    run = host.root / "run"
    run.mkdir(parents=True)
    (run / "controller.json").write_text(content)
    async with opened_tunnel(fleet, host.spec, agents_socket):
        assert await echoed(published(host), b"x") == b"x"


async def test_a_tunnel_and_an_operation_share_one_connection(fleet, host, agents_socket, opened_tunnel):
    async with opened_tunnel(fleet, host.spec, agents_socket):
        first = await fleet._remote(host.spec)
        await fleet.agent_enrolled(host.spec)
        assert await fleet._remote(host.spec) is first


async def test_closing_the_fleet_ends_the_tunnel(fleet, host, agents_socket, opened_tunnel):
    async with opened_tunnel(fleet, host.spec, agents_socket) as tunnel:
        await fleet.close()
        await asyncio.wait_for(tunnel, 20)


@pytest.mark.parametrize("sockets", [True, False])
async def test_the_agents_own_client_finds_the_controller_by_what_is_published(
    fleet, start_host, agents_socket, opened_tunnel, sockets
):
    from agents.connection import Connection

    host = start_host(socket_forwarding=sockets)
    connection = Connection(host.root / "run" / "controller.json")
    async with opened_tunnel(fleet, host.spec, agents_socket):
        answer = await asyncio.to_thread(connection.request, "POST", "/agent/v1/beat", {}, b"beat")
        connection.close()
    assert answer.content == b"beat"


@pytest.mark.skipif(
    sshd.openssh_path() is None, reason="sshd is not installed: apt-get install openssh-server"
)
@pytest.mark.parametrize("sockets", [True, False])
async def test_after_a_black_hole_the_old_listener_stays_and_the_new_tunnel_is_another_one(
    make_fleet, start_host, agents_socket, opened_tunnel, monkeypatch, sockets
):
    monkeypatch.setattr("hosts.connection.KEEPALIVE_SECONDS", 0.1)
    host = start_host(socket_forwarding=sockets)
    async with opened_tunnel(make_fleet(), host.spec, agents_socket) as tunnel:
        first = published(host)
        lost = psutil.Process(sshd.status(host.folder).pid).children(recursive=True)
        with stopped(lost):
            await asyncio.wait_for(tunnel, 20)
            async with opened_tunnel(make_fleet(), host.spec, agents_socket):
                assert (listening(lost), published(host) != first) == ({listener_of(first)}, True)
                assert not Path(first.get("uds", "/nowhere")).exists()
                assert await echoed(published(host), b"again") == b"again"
                for process in lost:
                    process.resume()
                await asyncio.to_thread(psutil.wait_procs, lost, 20)
                assert await echoed(published(host), b"still") == b"still"


@pytest.mark.skipif(not Path("/proc/net/unix").exists(), reason="listening sockets are read from /proc")
@pytest.mark.parametrize("sockets", [True, False])
async def test_nothing_but_sshd_and_the_published_place_listens_on_a_provisioned_host(
    fleet, start_host, agents_socket, opened_tunnel, report, sockets
):
    host = start_host(socket_forwarding=sockets)
    await fleet.provision(host.spec, "token-of-a-test-0123456789", report)
    async with opened_tunnel(fleet, host.spec, agents_socket):
        everything = at_home(host)
        assert any("agent" in " ".join(process.cmdline()) for process in everything)
        ssh = f"{host.spec.address}:{host.spec.port}"
        assert listening(everything) == {ssh, listener_of(published(host))}


def at_home(host) -> list[psutil.Process]:
    """Return the host's sshd and every process whose home is the host's."""
    found = [psutil.Process(sshd.status(host.folder).pid)]
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("HOME") == str(host.folder / "home"):
                found.append(process)
    return found + found[0].children(recursive=True)


def listener_of(place: dict) -> str:
    return place.get("uds") or f"{place['host']}:{place['port']}"


def listening(processes: list[psutil.Process]) -> set[str]:
    """Return the addresses and socket files that processes listen on."""
    held = set()
    for process in processes:
        with contextlib.suppress(FileNotFoundError):
            for link in Path(f"/proc/{process.pid}/fd").iterdir():
                with contextlib.suppress(FileNotFoundError):
                    held.add(str(link.readlink()).removeprefix("socket:[").removesuffix("]"))
    # Rows: address, references, protocol, flags (00010000: accepts connections), type, state, inode, path.
    unix = (row.split() for row in Path("/proc/net/unix").read_text().splitlines()[1:])
    found = {" ".join(row[7:]) for row in unix if row[3] == "00010000" and row[6] in held}
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            for one in process.net_connections("inet"):
                if one.status == psutil.CONN_LISTEN:
                    found.add(f"{one.laddr.ip}:{one.laddr.port}")
    return found


@contextlib.contextmanager
def stopped(processes: list[psutil.Process]):
    """Stop processes without ending them, as a cut link does: nothing answers, nothing is closed."""
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()
