"""The controller's process: home, store, two APIs and the reconcilers, from start to graceful end."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import uvicorn

from ringrift.control import home as homes
from ringrift.control.api.protocol import agent_protocol
from ringrift.control.artifacts import ARTIFACTS_URL, open_artifacts
from ringrift.control.backup.restore import refuse_half_restored
from ringrift.control.domain.ports import Fleet
from ringrift.control.leadership import Leadership, watch
from ringrift.control.logs import close_logs, configure_logs
from ringrift.control.reconcile.base import run_forever
from ringrift.control.reconcile.context import Context, end
from ringrift.control.settings import load_settings
from ringrift.control.store import migrate
from ringrift.control.store.engine import DATABASE_URL, database_url
from ringrift.control.store.store import Store

if TYPE_CHECKING:
    from fastapi import FastAPI

_log = logging.getLogger("ringrift.controller")
_SHUTDOWN_SECONDS = 3


async def run_controller(
    home: Path, port: int, fleet: Fleet, *, ready: Callable[[], None] | None = None
) -> None:
    """Run the controller until SIGTERM or SIGINT, or until this coroutine is cancelled.

    `port` 0 takes a free one; `run/controller.json` tells which. `ready` is called once both APIs answer.
    Raises `EnvironmentProblem` when the home or the port is taken or the database cannot be used, and
    `BadInput` for a wrong setting; then nothing was started.
    """
    refuse_half_restored(home)
    home = homes.prepare_home(home)
    async with AsyncExitStack() as stack:
        stack.enter_context(homes.home_lock(home))
        settings = load_settings(home)
        logs = configure_logs(home)
        stack.callback(close_logs, logs)
        token = homes.operator_token(home)
        store = await asyncio.to_thread(_open_store, home)
        stack.callback(store.close)
        artifacts = open_artifacts(home, os.environ.get(ARTIFACTS_URL), settings.limits)
        artifacts.prepare()
        operators = homes.operators_socket(port)
        stack.callback(operators.close)
        path, agents = homes.agents_socket(home)
        stack.callback(path.unlink, missing_ok=True)
        stack.callback(agents.close)
        context = Context(store, artifacts, fleet, settings, home, path, leading=False)
        stack.push_async_callback(fleet.close)
        apps = asyncio.create_task(asyncio.to_thread(_web_apps, context, token))
        await stack.enter_async_context(_serving(_later(apps), agents, agent_protocol(context)))
        await stack.enter_async_context(_serving((await apps)[0], operators))
        url = f"http://127.0.0.1:{operators.getsockname()[1]}"
        homes.announce(home, url)
        stack.callback(homes.withdraw, home)
        await stack.enter_async_context(_reconciling(context))
        _log.info("controller %d answers on %s, home %s, %s", os.getpid(), url, home, store.dialect)
        if ready is not None:
            ready()
        await _until_stopped()
        _log.info("controller stops")


def _web_apps(context: Context, token: str) -> tuple[FastAPI, FastAPI]:
    """Return the operators' and the agents' app. Their imports take half of a start; agents do not wait."""
    from ringrift.control.api.agents import agents_app
    from ringrift.control.api.operators import operators_app

    return operators_app(context, token), agents_app(context)


def _later(apps: asyncio.Task[tuple[FastAPI, FastAPI]]) -> Callable[..., Awaitable[None]]:
    """Return the agents' app for what the protocol does not answer by itself; it may not be made yet."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await (await asyncio.shield(apps))[1](scope, receive, send)

    return app


def _open_store(home: Path) -> Store:
    store = Store(database_url(home, os.environ.get(DATABASE_URL)))
    try:
        migrate.upgrade(store.engines.writer)
    except BaseException:
        store.close()
        raise
    return store


class _Server(uvicorn.Server):
    """A server that leaves signals to the controller, which has two of them."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def _serving(
    app: Callable[..., Awaitable[None]],
    listener: socket.socket,
    protocol: type[asyncio.Protocol] | Literal["auto"] = "auto",
) -> AsyncIterator[None]:
    """Serve `app` on `listener` while inside; entered once it answers."""
    config = uvicorn.Config(
        app,
        http=protocol,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
        timeout_keep_alive=75,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started:
            await asyncio.sleep(0.01)
            if task.done():
                await task
        yield
    finally:
        server.should_exit = True
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def _reconciling(context: Context) -> AsyncIterator[None]:
    """Run every reconciler while inside, and end every long action on the way out."""
    table = await asyncio.to_thread(import_module, "ringrift.control.reconcile.table")
    leadership = Leadership(context.store)
    tasks = [asyncio.create_task(watch(context, leadership), name="leadership")]
    tasks += [
        asyncio.create_task(run_forever(reconciler, context, _log), name=reconciler.name)
        for reconciler in table.RECONCILERS
    ]
    try:
        yield
    finally:
        await end(tasks)
        await context.flights.close()
        await asyncio.to_thread(leadership.release)


async def _until_stopped() -> None:
    """Return at SIGTERM or SIGINT; outside the main thread only cancelling ends the controller."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    caught: list[signal.Signals] = []
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            with suppress(NotImplementedError):
                loop.add_signal_handler(number, stopped.set)
                caught.append(number)
    try:
        await stopped.wait()
    finally:
        for number in caught:
            loop.remove_signal_handler(number)
