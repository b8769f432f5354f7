"""`ringrift-ctl hosts trust|keys|revoke-key|authorities`: which keys machines may show."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ringrift.cli.hosts import Fingerprint
from ringrift.cli.output import Json, Yes, confirm, controller, output, report
from ringrift.errors import BadInput, PartialFailure

if TYPE_CHECKING:
    from ringrift.client.http import Client
    from ringrift.protocol.hosts import AuthorityView, ScannedHost, TrustRequest
    from ringrift.protocol.operator import HostView

app = typer.Typer()
authorities = typer.Typer(help="SSH authorities whose host certificates are trusted.")
app.add_typer(authorities, name="authorities")
Given = Annotated[str, typer.Argument(help="SHA256:... as `ssh-keygen -lf` prints it.")]


@app.command()
def trust(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="The host's name.")] = None,
    fingerprint: Fingerprint = None,
    all_new: Annotated[
        bool, typer.Option("--all-new", help="Every host that has no pinned key, with one question.")
    ] = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Pin the key that a host shows now: at the first contact, or after a changed key was found."""
    if (name is None) != all_new or (all_new and fingerprint is not None):
        raise BadInput("give the name of one host, or --all-new", hint="--fingerprint goes with a name only")
    if name is None:
        _trust_all(context, yes, json)
    else:
        _trust_one(context, name, fingerprint, yes, json)


@app.command()
def keys(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="The host's name; none: every revoked key.")] = None,
    json: Json = False,
) -> None:
    """Show which keys were pinned for a host, by whom, when and how; without a name the revoked keys."""
    from ringrift.cli import hosttables
    from ringrift.client import routes

    if name is None:
        report(context, json, routes.revoked_keys(), hosttables.revoked)
    else:
        report(context, json, routes.pinned_keys(name), hosttables.pinned)


@app.command("revoke-key")
def revoke_key(
    context: typer.Context,
    fingerprint: Given,
    reason: Annotated[str, typer.Option(help="Why; it is shown wherever the key is met.")],
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Never accept a host key again; hosts that show it are blocked until another one is trusted."""
    from ringrift.cli import hosttables
    from ringrift.client import routes
    from ringrift.protocol.hosts import RevokeRequest

    request = routes.build(RevokeRequest, fingerprint=fingerprint, reason=reason)
    with controller() as client:
        names = [view.name for view in client.send(routes.hosts()) if view.fingerprint == fingerprint]
        confirm(f"Revoke {fingerprint} and block {', '.join(names) or 'no host'}?", yes)
        view = client.send(routes.revoke_key(request))
    output(context, json).data(view, lambda: hosttables.revoked([view]))


@authorities.command("list")
def list_authorities(context: typer.Context, json: Json = False) -> None:
    """Show every authority, by whom and when it was added."""
    from ringrift.cli import hosttables
    from ringrift.client import routes

    report(context, json, routes.authorities(), hosttables.authorities)


@authorities.command()
def add(
    context: typer.Context,
    key: Annotated[str, typer.Argument(help="Public key of the authority, or a file with it.")],
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Trust the host certificates that an authority has signed."""
    from ringrift.client import routes
    from ringrift.control.domain.hostkeys import fingerprint
    from ringrift.protocol.hosts import AuthorityAdd

    text = _one_line(Path(key)) if len(key.split()) == 1 else key
    confirm(f"Trust every host certificate of {fingerprint(text, 'authority')}?", yes)
    request = routes.build(AuthorityAdd, public_key=text)
    with controller() as client:
        _tell(context, json, client.send(routes.add_authority(request)))


@authorities.command()
def remove(context: typer.Context, fingerprint: Given, json: Json = False) -> None:
    """Trust an authority's certificates no longer."""
    from ringrift.client import routes
    from ringrift.protocol.hosts import AuthorityRemove

    request = routes.build(AuthorityRemove, fingerprint=fingerprint)
    with controller() as client:
        _tell(context, json, client.send(routes.remove_authority(request)))


def _tell(context: typer.Context, json: bool, views: list[AuthorityView]) -> None:
    from ringrift.cli import hosttables

    output(context, json).data(views, lambda: hosttables.authorities(views))


def _one_line(file: Path) -> str:
    try:
        return file.read_bytes()[:20_000].decode().strip()
    except (OSError, UnicodeDecodeError):
        raise BadInput(f"{str(file)!r} is neither a public key nor a readable file with one") from None


def _trust_one(context: typer.Context, name: str, fingerprint: str | None, yes: bool, json: bool) -> None:
    from ringrift.cli import hosttables
    from ringrift.cli.hostkeys import check_fingerprint, choose_shown, scan_host
    from ringrift.client import routes

    check_fingerprint(fingerprint)
    out = output(context, json)
    with controller() as client:
        known = client.send(routes.host(name))
        out.note(f"pinned now: {known.fingerprint if known.pinned else 'none'}")
        found = scan_host(client, name)
        key = choose_shown(found, fingerprint, yes)
        compared = fingerprint is not None or bool(found.expected)
        view = client.send(routes.trust(name, _request(key.public_key, compared)))
    out.data(view, lambda: hosttables.host(view))


def _trust_all(context: typer.Context, yes: bool, json: bool) -> None:
    """Show what every new host shows, ask once, pin what answers and fits its inventory."""
    from ringrift.cli import hosttables
    from ringrift.client import routes
    from ringrift.protocol.hosts import ScanHostsRequest

    out = output(context, json)
    with controller() as client:
        found = client.send(routes.scan_hosts(ScanHostsRequest()))
        good = [host for host in found if _fits(host)]
        if found:
            out.note(hosttables.scanned(found))
        if good:
            names = ", ".join(host.name for host in good)
            confirm(f"Do the machines themselves report these keys? Then pin those of {names}", yes)
        views = [_pin(client, host) for host in good]
    out.data(views, lambda: hosttables.hosts(views))
    left = [host.name for host in found if not _fits(host)]
    if left:
        raise PartialFailure(
            f"{len(left)} of {len(found)} hosts have no pinned key: {', '.join(left)}",
            hint="what each showed or said is above; ask again when that is mended",
        )


def _fits(host: ScannedHost) -> bool:
    return bool(host.keys) and host.expected in ("", host.keys[0].fingerprint)


def _pin(client: Client, host: ScannedHost) -> HostView:
    from ringrift.client import routes

    return client.send(routes.trust(host.name, _request(host.keys[0].public_key, bool(host.expected))))


def _request(public_key: str, compared: bool) -> TrustRequest:
    from ringrift.client import routes
    from ringrift.protocol.hosts import TrustRequest

    how = "operator" if compared else "first-contact"
    return routes.build(TrustRequest, host_key=public_key, how=how)
