"""The composition root: joins the controller with the room `hosts`, which don't know each other."""

from __future__ import annotations

import os


def run(port: int) -> None:
    """Run the controller of this home in the foreground until SIGTERM or Ctrl-C."""
    import uvloop

    from ringrift.control import collector

    collector.rest()
    from hosts.fleet import SshFleet
    from hosts.identity import controller_key
    from hosts.provision import FleetSettings
    from ringrift.cli.output import note
    from ringrift.client.home import home, read_record
    from ringrift.control.app import run_controller
    from ringrift.control.settings import load_settings

    def ready() -> None:
        # The key is there from the first start, so that it can be put on hosts before they are added.
        controller_key(place)
        collector.begin()
        record = read_record()
        note(f"the controller answers at {record.url if record else 'its address'}; Ctrl-C stops it")

    os.umask(0o077)
    place = home()
    settings = FleetSettings(systemd=bool(load_settings(place).hosts.systemd))
    uvloop.run(run_controller(place, port, SshFleet(place, settings), ready=ready))
