"""Servers that are not who they should be: refused alone, before anything of ours reaches them."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import random
from collections.abc import Callable
from dataclasses import dataclass, replace

import asyncssh
import psutil
import pytest

from hosts import entry, keys
from hosts.connection import CIPHERS, Connector
from hosts.gate import Gate
from ringrift.cli.demo import sshd
from ringrift.errors import AccessRefused, BadInput, HostKeyChanged, Unreachable

needs_openssh = pytest.mark.skipif(
    sshd.openssh_path() is None, reason="sshd is not installed: apt-get install openssh-server"
)
DAY = 86400
CA = asyncssh.generate_private_key("ssh-ed25519")
STRANGE_CA = asyncssh.generate_private_key("ssh-ed25519")
PINNED = asyncssh.generate_private_key("ssh-ed25519")
SHOWN = asyncssh.generate_private_key("ssh-ed25519")
OTHER_TYPE = asyncssh.generate_private_key("ecdsa-sha2-nistp256")


def line(key: asyncssh.SSHKey) -> str:
    return " ".join(key.export_public_key().decode().split()[:2])


def certificate(
    ca: asyncssh.SSHKey = CA, principals: str = "alpha", ends: str = "+1d", user: bool = False
) -> asyncssh.SSHCertificate:
    make = ca.generate_user_certificate if user else ca.generate_host_certificate
    times = {"valid_after": "-2d", "valid_before": ends}
    return make(SHOWN, "host", principals=principals.split(",") if principals else [], **times)


@dataclass(frozen=True)
class Form:
    """What an impostor shows, what the operator revoked, and how the refusal names it."""

    told: str
    key: asyncssh.SSHKey = SHOWN
    certificate: asyncssh.SSHCertificate | None = None
    pinned: asyncssh.SSHKey = PINNED
    revoked: tuple[asyncssh.SSHKey, ...] = ()


FORMS = {
    "another key of the same type": Form("another host key"),
    "a key of another type only": Form("another host key", key=OTHER_TYPE),
    "a revoked key": Form("a revoked host key", pinned=SHOWN, revoked=(SHOWN,)),
    "a certificate of an unknown authority": Form("unknown authority", certificate=certificate(STRANGE_CA)),
    "a certificate for another host": Form("that is for beta", certificate=certificate(principals="beta")),
    "a certificate for nobody": Form("that is for nobody", certificate=certificate(principals="")),
    "an expired certificate": Form("Certificate expired", certificate=certificate(ends="-1d")),
    "a user's certificate": Form("Invalid certificate type", certificate=certificate(user=True)),
    "a certificate of a revoked authority": Form("a revoked key", certificate=certificate(), revoked=(CA,)),
    "a revoked key inside a certificate": Form("a revoked key", certificate=certificate(), revoked=(SHOWN,)),
}


@pytest.fixture
def start_showing(start_host, tmp_path) -> Callable:
    """Return a function that starts a real sshd named alpha which shows this key and certificate."""

    def start(key: asyncssh.SSHKey, shown: asyncssh.SSHCertificate | None):
        folder = tmp_path / "sshd-alpha"
        folder.mkdir()
        (folder / "host_key").touch(mode=0o600)
        (folder / "host_key").write_bytes(key.export_private_key())
        settings = ["LogLevel DEBUG1"]
        if shown is not None:
            (folder / "host_cert").write_bytes(shown.export_certificate())
            settings.append(f'HostCertificate "{folder / "host_cert"}"')
        return start_host(settings=settings)

    return start


async def log_of(host) -> str:
    """Return what the server has logged when every connection that it served has ended."""
    served = psutil.Process(sshd.status(host.folder).pid).children(recursive=True)
    _, alive = await asyncio.to_thread(psutil.wait_procs, served, 10)
    assert not alive
    return (host.folder / "sshd.log").read_text(errors="replace")


def trusting(host, form: Form):
    """Return the host's spec as the operator wrote it for the genuine one."""
    revoked = tuple(keys.fingerprint(key) for key in form.revoked)
    return replace(host.spec, host_key=line(form.pinned), authorities=(line(CA),), revoked=revoked)


@needs_openssh
@pytest.mark.parametrize("form", FORMS.values(), ids=list(FORMS))
async def test_an_impostor_is_refused_alone_and_learns_nothing(form, start_showing, start_host, home):
    impostor, genuine = start_showing(form.key, form.certificate), start_host("beta")
    connector = Connector(home, timeout=5.0)
    refusal, connection = await asyncio.gather(
        connector.connect(trusting(impostor, form)), connector.connect(genuine.spec), return_exceptions=True
    )
    async with connection:
        await connection.run("true", check=True)
    assert isinstance(refusal, HostKeyChanged)
    assert form.told in refusal.message
    assert f"pinned {form.pinned.get_algorithm()} {keys.fingerprint(form.pinned)}" in refusal.message
    assert f"shown {form.key.get_algorithm()} {keys.fingerprint(form.key)}" in refusal.message
    assert refusal.hint.endswith("ringrift-ctl hosts trust alpha")
    log = await log_of(impostor)
    assert "Connection from" in log
    assert "userauth-request" not in log


@needs_openssh
@pytest.mark.parametrize("principals", ["alpha", "127.0.0.2", "x,alpha"])
async def test_a_certificate_for_the_hosts_name_or_address_lets_us_log_in(principals, start_showing, home):
    host = start_showing(SHOWN, certificate(principals=principals))
    for pinned in ("", line(PINNED)):
        spec = replace(host.spec, host_key=pinned, authorities=(line(CA),))
        async with await Connector(home).connect(spec) as connection:
            await connection.run("true", check=True)
    assert "userauth-request" in await log_of(host)  # so that the absence of the word means something


@needs_openssh
async def test_a_pinned_key_counts_whatever_certificate_it_comes_with(start_showing, home):
    host = start_showing(SHOWN, certificate(STRANGE_CA, ends="-1d"))
    async with await Connector(home).connect(replace(host.spec, authorities=(line(CA),))):
        pass


async def test_a_host_with_authorities_but_without_certificate_needs_its_pinned_key(host, home):
    async with await Connector(home).connect(replace(host.spec, authorities=(line(CA),))):
        pass
    with pytest.raises(HostKeyChanged, match="pinned no key"):
        await Connector(home).connect(replace(host.spec, host_key="", authorities=(line(CA),)))


@pytest.mark.parametrize(
    ("host_key", "authorities"),
    [("", ()), ("", ("rubbish",)), (line(CA), ("rubbish",))],
    ids=["nothing", "rubbish", "a key and rubbish"],
)
async def test_without_anything_to_trust_nothing_is_tried(home, host, host_key, authorities):
    with pytest.raises(BadInput, match="alpha"):
        await Connector(home).connect(replace(host.spec, host_key=host_key, authorities=authorities))


class Listener(asyncssh.SSHServer):
    """Notes every login that is tried."""

    tried: list[str]

    def begin_auth(self, username: str) -> bool:
        self.tried.append(username)
        return False


@contextlib.asynccontextmanager
async def forger(public: asyncssh.SSHKey):
    """A server that shows a public key, signs with another one, and would let anybody in."""
    (pair,) = asyncssh.load_keypairs([asyncssh.generate_private_key("ssh-ed25519")])
    pair.public_data = public.public_data
    factory = type("Forger", (Listener,), {"tried": []})
    async with asyncssh.listen("127.0.0.1", 0, server_factory=factory, server_host_keys=[pair]) as server:
        yield server.get_port(), factory.tried


async def test_a_server_that_shows_the_pinned_key_without_having_it_is_refused(home, host):
    pinned = asyncssh.import_public_key(host.spec.host_key)
    async with forger(pinned) as (port, tried):
        with pytest.raises(AccessRefused, match="cannot prove that it holds it") as caught:
            await Connector(home, timeout=5.0).connect(replace(host.spec, address="127.0.0.1", port=port))
    assert not isinstance(
        caught.value, HostKeyChanged
    )  # it may be gone at the next try, so nothing is blocked
    assert tried == []


def garbage(seed: int) -> bytes:
    """Return what begins like an SSH server and goes on with packets that make no sense."""
    chance = random.Random(seed)
    algorithms = [
        "curve25519-sha256",
        "ssh-ed25519",
        *[CIPHERS[0]] * 2,
        *["hmac-sha2-256"] * 2,
        *["none"] * 2,
    ]
    offer = bytearray([20, *chance.randbytes(16)])
    for names in (*algorithms, "", ""):
        offer += len(names).to_bytes(4, "big") + names.encode()
    offer += bytes(5)
    offer[chance.randrange(len(offer))] = chance.randrange(256)
    key = packed(packed(b"ssh-ed25519") + packed(chance.randbytes(32)))
    answer = b"\x1f" + key[: chance.choice([len(key), chance.randrange(60)])]
    answer += packed(chance.randbytes(32)) + packed(chance.randbytes(10))
    payloads = chance.choices([offer, answer, chance.randbytes(40), bytes([chance.randrange(256)])], k=4)
    return b"SSH-2.0-x\r\n" + b"".join(framed(bytes(payload)) for payload in [offer, answer, *payloads])


def packed(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def framed(payload: bytes) -> bytes:
    padding = 16 - (len(payload) + 5) % 8
    return packed(bytes([padding]) + payload + bytes(padding))


async def test_a_server_that_talks_nonsense_ends_in_one_of_our_errors(home, host, monkeypatch):
    monkeypatch.setattr(entry, "ATTEMPTS", 1)
    seeds = iter(range(100))

    async def babble(reader, writer):
        writer.write(garbage(next(seeds)))
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    async with server:
        spec = replace(host.spec, address="127.0.0.1", port=server.sockets[0].getsockname()[1])
        tries = (Connector(home, timeout=1.0).connect(spec) for _ in range(100))
        results = await asyncio.gather(*tries, return_exceptions=True)
    assert {type(result) for result in results} == {Unreachable, HostKeyChanged}


@needs_openssh
async def test_one_changed_byte_on_the_way_ends_the_handshake_before_the_login(start_host, home):
    host = start_host(settings=["LogLevel DEBUG1"])

    async def tamper(reader, writer):
        to_host_reader, to_host = await asyncio.open_connection(host.spec.address, host.spec.port)
        await asyncio.gather(pump(reader, to_host), pump_changed(to_host_reader, writer))

    async def pump_changed(source, sink):
        """Hand bytes on, but for one in the random cookie of the server's first packet."""
        version = await source.readline()
        packet = bytearray(await source.readexactly(22))
        packet[10] ^= 1
        sink.write(version + packet)
        await pump(source, sink)

    server = await asyncio.start_server(tamper, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(AccessRefused, match="cannot prove that it holds it"):
            await Connector(home, timeout=5.0).connect(replace(host.spec, address="127.0.0.1", port=port))
    assert "userauth-request" not in await log_of(host)


async def pump(source, sink):
    with contextlib.suppress(ConnectionError):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    sink.close()


async def test_if_the_gate_were_not_asked_every_server_would_be_refused(home, host, monkeypatch):
    monkeypatch.setattr(Gate, "connection_made", lambda self, conn: None)
    with pytest.raises(Unreachable, match="not trusted"):
        await Connector(home).connect(host.spec)


async def test_a_key_is_judged_again_whenever_the_connection_takes_new_keys(home, host, monkeypatch):
    judged = []
    monkeypatch.setattr(
        keys, "judge", lambda trust, shown, judge=keys.judge: judged.append(1) or judge(trust, shown)
    )
    connect = functools.partial(asyncssh.connect, rekey_bytes=100_000)
    monkeypatch.setattr(asyncssh, "connect", connect)
    async with await Connector(home).connect(host.spec) as connection:
        done = await connection.run("wc -c", input=bytes(500_000), encoding=None, check=True)
    assert done.stdout.split() == [b"500000"]
    assert len(judged) > 1


@needs_openssh
@pytest.mark.parametrize("kind", ["ecdsa-sha2-nistp256", "ecdsa-sha2-nistp521", "ssh-rsa"])
async def test_of_several_keys_the_server_is_asked_for_the_pinned_one(kind, start_host, tmp_path, home):
    pinned = asyncssh.generate_private_key(kind)
    (tmp_path / "second").touch(mode=0o600)
    (tmp_path / "second").write_bytes(pinned.export_private_key("openssh"))
    host = start_host(settings=[f'HostKey "{tmp_path / "second"}"'])
    for key in (host.spec.host_key, line(pinned)):
        async with await Connector(home).connect(replace(host.spec, host_key=key)):
            pass
