"""The composition root: joins the controller with the room `hosts`, which don't know each other."""

from __future__ import annotations

import asyncio


def run(port: int) -> None:
    """Run the controller of this home in the foreground until it is told to stop."""
    from hosts.fleet import SshFleet
    from hosts.provision import FleetSettings
    from ringrift.client.home import home
    from ringrift.control.app import run_controller
    from ringrift.control.settings import load_settings

    place = home()
    settings = FleetSettings(systemd=bool(load_settings(place).hosts.systemd))
    asyncio.run(run_controller(place, port, SshFleet(place, settings)))
