"""Ways to a host: jump hosts that are shared and judged themselves, and entry points that are not overrun."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace

import asyncssh
import psutil
import pytest

from hosts import entry
from hosts.connection import Connector
from ringrift.cli.demo import sshd
from ringrift.errors import HostKeyChanged, Unreachable

pytestmark = pytest.mark.skipif(
    sshd.openssh_path() is None, reason="sshd is not installed: apt-get install openssh-server"
)
FLEET = 41


@pytest.fixture
def connector(home):
    return Connector(home, timeout=5.0)


@pytest.fixture
def target(start_host):
    return start_host("alpha", settings=["LogLevel DEBUG1"])


def behind(host, jump, **changes):
    """Return the host's spec, reached through `jump`."""
    return replace(host.spec, jump=replace(jump.spec, **changes))


def served(host) -> list[psutil.Process]:
    """Return the processes of the connections that a server serves."""
    return psutil.Process(sshd.status(host.folder).pid).children()


def log(host) -> str:
    return (host.folder / "sshd.log").read_text(errors="replace")


async def test_a_jump_host_needs_to_allow_nothing_but_this_one_connection(connector, start_host, target):
    only = f"PermitOpen {target.spec.address}:{target.spec.port}"
    refusals = ["PermitTTY no", "ForceCommand /bin/false", "AllowAgentForwarding no"]
    jump = start_host("bastion", socket_forwarding=False, settings=[only, *refusals])
    async with await connector.connect(behind(target, jump)) as connection:
        assert (await connection.run("echo here", check=True)).stdout == "here\n"
    (shown,) = await connector.scan(target.spec.address, target.spec.port, jump.spec)
    assert shown.public_key == target.spec.host_key


async def test_a_jump_hosts_connection_is_shared_and_closed_with_its_last_user(connector, start_host, target):
    jump = start_host("bastion")
    spec = behind(target, jump)
    first, second = await asyncio.gather(connector.connect(spec), connector.connect(spec))
    connections = served(jump)
    assert len(connections) == 1
    first.close()
    await first.wait_closed()
    await second.run("true", check=True)
    second.close()
    assert await asyncio.to_thread(psutil.wait_procs, connections, 10) == (connections, [])


async def test_a_jump_host_that_was_cut_is_reached_anew(connector, start_host, target):
    jump = start_host("bastion")
    connection = await connector.connect(behind(target, jump))
    await asyncio.to_thread(jump.cut)
    await asyncio.wait_for(connection.wait_closed(), 10)
    async with await connector.connect(behind(target, jump)) as connection:
        await connection.run("true", check=True)


async def test_two_jump_hosts_in_a_row_lead_to_a_host(connector, start_host, target):
    near, far = start_host("near"), start_host("far")
    spec = replace(target.spec, jump=behind(far, near))
    async with await connector.connect(spec) as connection:
        await connection.run("true", check=True)
        assert (len(served(near)), len(served(far)), len(served(target))) == (1, 1, 1)


async def test_an_impostor_in_the_jump_hosts_place_is_named_and_nothing_passes_it(
    connector, start_host, target
):
    jump = start_host("bastion")
    other = asyncssh.generate_private_key("ssh-ed25519")
    with pytest.raises(Unreachable, match="alpha cannot be reached, because its jump host failed") as caught:
        await connector.connect(behind(target, jump, host_key=other.export_public_key().decode()))
    assert f"bastion ({jump.spec.address}:{jump.spec.port}) shows another host key" in caught.value.message
    assert other.get_fingerprint() in caught.value.message
    assert sshd.status(jump.folder).fingerprint in caught.value.message
    assert caught.value.hint.endswith("ringrift-ctl hosts trust bastion")
    assert log(target).count("Connection from") == 1  # that of its starter, which waited for its greeting


async def test_an_impostor_behind_a_jump_host_is_refused_as_if_it_were_reached_directly(
    connector, start_host, target
):
    jump = start_host("bastion")
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    with pytest.raises(HostKeyChanged, match=r"alpha .* shows another host key"):
        await connector.connect(replace(behind(target, jump), host_key=other))
    assert "userauth-request" not in log(target)
    async with await connector.connect(behind(target, jump)):
        pass


async def test_the_second_leg_is_named_when_the_jump_host_finds_nobody(connector, start_host, target):
    jump = start_host("bastion")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nowhere = replace(behind(target, jump), address="127.0.0.1", port=taken.getsockname()[1])
        with pytest.raises(Unreachable, match="the jump host bastion does not reach alpha at 127") as caught:
            await connector.connect(nowhere)
    assert "is alpha up" in caught.value.hint


async def test_a_jump_host_that_forbids_forwarding_is_told_which_setting(connector, start_host, target):
    jump = start_host("bastion", port_forwarding=False)
    with pytest.raises(Unreachable, match="the jump host bastion does not reach alpha") as caught:
        await connector.connect(behind(target, jump))
    assert caught.value.hint == "the sshd_config of bastion needs: AllowTcpForwarding local"


async def test_a_whole_fleet_learns_at_once_that_its_jump_host_is_silent(home, start_host, target):
    calls = 0

    async def silent(_reader, _writer):
        nonlocal calls
        calls += 1

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        jump = replace(
            target.spec, name="bastion", address="127.0.0.1", port=server.sockets[0].getsockname()[1]
        )
        fleet = [replace(target.spec, name=f"h{number}", jump=jump) for number in range(FLEET)]
        connector = Connector(home, timeout=0.3)
        results = await asyncio.gather(*map(connector.connect, fleet), return_exceptions=True)
    assert calls == 1
    assert all("bastion (127.0.0.1" in error.message and "in time" in error.message for error in results)


async def test_a_burst_of_the_whole_fleet_at_one_gateway_does_not_trip_its_limit(
    connector, start_host, target, monkeypatch
):
    monkeypatch.setattr(entry, "ATTEMPTS", 1)
    fleet = [replace(target.spec, name=f"h{number}") for number in range(FLEET)]
    connections = await asyncio.gather(*map(connector.connect, fleet))
    for connection in connections:
        connection.close()
    assert "MaxStartups" not in log(target)


async def test_a_burst_of_the_whole_fleet_behind_one_jump_host_does_not_trip_any_limit(
    connector, start_host, target, monkeypatch
):
    monkeypatch.setattr(entry, "ATTEMPTS", 1)
    jump = start_host("bastion", settings=["LogLevel DEBUG1"])
    fleet = [replace(behind(target, jump), name=f"h{number}") for number in range(FLEET)]
    connections = await asyncio.gather(*map(connector.connect, fleet))
    assert len(served(jump)) == 1
    for connection in connections:
        connection.close()
    assert "MaxStartups" not in log(target) + log(jump)


async def test_without_our_limit_the_burst_would_trip_it_and_the_log_tells(target):
    """What the two tests above look for is really there when more than ten come at once."""
    place = target.spec.address, target.spec.port
    opened = [await asyncio.open_connection(*place) for _ in range(FLEET)]
    lines = await asyncio.gather(*(reader.readline() for reader, _ in opened), return_exceptions=True)
    for _, writer in opened:
        writer.close()
    assert any(not isinstance(line, bytes) or not line.startswith(b"SSH-") for line in lines)
    assert "MaxStartups" in log(target)


async def test_hosts_at_entry_points_of_their_own_do_not_wait_for_each_other(connector, monkeypatch):
    """Handshakes run at once at two entry points, as many as may at each, and none of a third waits."""
    running: dict[entry.Entry, int] = {}
    go = asyncio.Event()
    points = entry.EntryPoints()

    async def handshake(place: entry.Entry) -> None:
        async with points.turn(place):
            running[place] = running.get(place, 0) + 1
            await go.wait()

    places = [("gateway", 1), ("gateway", 2)] * 20 + [("direct", 22)]
    tasks = [asyncio.create_task(handshake(place)) for place in places]
    for _ in range(5):
        await asyncio.sleep(0)
    assert running == {("gateway", 1): entry.AT_ONCE, ("gateway", 2): entry.AT_ONCE, ("direct", 22): 1}
    go.set()
    await asyncio.gather(*tasks)


def test_the_entry_point_of_a_host_is_where_its_way_begins(target, start_host):
    near, far = start_host("near"), start_host("far")
    jump = behind(far, near)
    assert entry.entry_of("192.0.2.1", 22, None) == ("192.0.2.1", 22)
    assert entry.entry_of("192.0.2.1", 22, far.spec) == (far.spec.address, far.spec.port)
    assert entry.entry_of("192.0.2.1", 22, jump) == (near.spec.address, near.spec.port)
