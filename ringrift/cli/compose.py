"""The composition root: joins the controller with the room `hosts`, which don't know each other."""

from __future__ import annotations

import asyncio


def run(port: int) -> None:
    """Run the controller of this home in the foreground until it is told to stop."""
    from hosts.fleet import SshFleet

    from ringrift.control.app import run_controller

    asyncio.run(run_controller(SshFleet(), port=port))
