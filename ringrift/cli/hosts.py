"""`ringrift-ctl hosts`: machines reached over SSH."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ringrift.cli.output import Json, Yes, confirm, controller, output, report

if TYPE_CHECKING:
    from ringrift.client.http import Client
    from ringrift.protocol.operator import OperationView

app = typer.Typer(help="Machines reached over SSH.", no_args_is_help=False)
Name = Annotated[str, typer.Argument(help="The host's name.")]
Fingerprint = Annotated[
    str | None, typer.Option(help="Expected SHA256:... fingerprint; then nothing is asked.")
]


@app.command("list")
def list_hosts(
    context: typer.Context,
    kind: Annotated[str | None, typer.Option(help="Only this kind, such as gpu_container.")] = None,
    role: Annotated[str | None, typer.Option(help="Only this role, such as gpu_selfplay.")] = None,
    state: Annotated[
        str | None, typer.Option(help="Only this state; `retired` is shown no other way.")
    ] = None,
    spot: Annotated[
        bool | None, typer.Option("--spot/--no-spot", help="Only spot hosts, or only others.")
    ] = None,
    wide: Annotated[bool, typer.Option("--wide", help="What they are, what they cost, drift.")] = False,
    json: Json = False,
) -> None:
    """Show every host: state, health, load, work."""
    from ringrift.cli import hosttables
    from ringrift.client import routes

    call = routes.hosts(kind, role, state, spot)
    report(context, json, call, hosttables.wide if wide else hosttables.hosts)


@app.command()
def show(context: typer.Context, name: Name, json: Json = False) -> None:
    """Show one host with its latest operation."""
    from ringrift.cli import hosttables
    from ringrift.client import routes

    report(context, json, routes.host(name), hosttables.host)


@app.command()
def add(
    context: typer.Context,
    name: Name,
    ssh: Annotated[str, typer.Option(help="Login as user@host:port (port 22 when left out).")],
    fingerprint: Fingerprint = None,
    root: Annotated[str, typer.Option(help="Our folder there; relative means below the home.")] = "ringrift",
    python: Annotated[str | None, typer.Option(help="Existing interpreter; then it is only checked.")] = None,
    identity: Annotated[
        str | None, typer.Option(help="Private key file on the controller's machine.")
    ] = None,
    slots: Annotated[int, typer.Option(help="Assignments that may run side by side.")] = 1,
    json: Json = False,
) -> None:
    """Add a host: fetch its key, compare or confirm the fingerprint, pin it."""
    from ringrift.cli import hosttables
    from ringrift.cli.hostkeys import choose_key, login
    from ringrift.client import routes
    from ringrift.protocol.hosts import HostAdd

    user, address, port = login(ssh)
    draft = {
        "name": name,
        "user": user,
        "address": address,
        "port": port,
        "root": root,
        "python": python,
        "identity": identity,
        "slots": slots,
        "confirmed_by": "fingerprint" if fingerprint else "confirmation",
    }
    routes.build(HostAdd, **draft, host_key="not known yet")
    with controller() as client:
        key = choose_key(client, name, address, port, fingerprint)
        view = client.send(routes.add_host(routes.build(HostAdd, **draft, host_key=key.public_key)))
    out = output(context, json)
    out.data(view, lambda: hosttables.host(view))
    out.note(f"next: ringrift-ctl hosts provision {name}")


@app.command()
def probe(context: typer.Context, name: Name, json: Json = False) -> None:
    """Ask a host for its key again and compare it with the pinned one."""
    from ringrift.cli.hostkeys import compare_pinned
    from ringrift.cli.output import fields
    from ringrift.client import routes

    with controller() as client:
        view = client.send(routes.host(name))
        key = compare_pinned(client, view)
    out = output(context, json)
    pairs = [
        ("answers at", view.login),
        ("key type", key.type),
        ("fingerprint", f"{key.fingerprint} as pinned"),
    ]
    out.data(key, lambda: fields(pairs))


@app.command()
def provision(
    context: typer.Context,
    names: Annotated[list[str], typer.Argument(help="One or more hosts.")],
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait and show the steps.")] = True,
    json: Json = False,
) -> None:
    """Bring hosts up to a working agent: probe, copy, install, start, enrol. Repeat to resume."""
    from ringrift.cli import tables
    from ringrift.cli.follow import follow, raise_failures
    from ringrift.client import routes

    wanted = list(dict.fromkeys(names))
    with controller() as client:
        for name in wanted:
            client.send(routes.host(name))
        views = [client.send(routes.provision(name)) for name in wanted]
        if wait:
            identities = [view.id for view in views]
            views = list(follow(lambda: _operations(client, identities), views, "provision"))
    output(context, json).data(views if len(views) > 1 else views[0], lambda: tables.operations(views))
    raise_failures(views)


@app.command()
def drain(context: typer.Context, name: Name, json: Json = False) -> None:
    """Let a host finish what runs and take nothing new."""
    _change(context, name, "drain", json)


@app.command()
def resume(context: typer.Context, name: Name, json: Json = False) -> None:
    """Let a drained or quarantined host work again."""
    _change(context, name, "resume", json)


@app.command()
def remove(context: typer.Context, name: Name, yes: Yes = False, json: Json = False) -> None:
    """Retire a host. Its results stay; its files on the machine are not touched."""
    from ringrift.client import routes

    with controller() as client:
        view = client.send(routes.host(name))
        confirm(f"Retire host {view.name} ({view.login}, {view.state})?", yes)
    _change(context, name, "remove", json)


def _change(context: typer.Context, name: str, verb: str, json: bool) -> None:
    from ringrift.cli import hosttables
    from ringrift.client import routes

    report(context, json, routes.change_host(name, verb), lambda view: hosttables.hosts([view]))


def _operations(client: Client, identities: list[str]) -> list[OperationView]:
    from ringrift.client import routes

    return [client.send(routes.operation(identity)) for identity in identities]
