"""Processes that keep running: worker, up."""

import asyncio
import contextlib
import logging
import signal
from logging.handlers import RotatingFileHandler
from typing import Annotated

import typer

from . import absence, logs, session, web
from .settings import EmbeddedServer, Settings, temporal_settings

Only = Annotated[
    str | None, typer.Option(help="Serve one of the two queues alone: approvals or agents.")
]


def worker(only: Only = None) -> None:
    """Run the worker process against the configured Temporal, until SIGTERM or Ctrl-C."""
    if only not in (None, "approvals", "agents"):
        raise typer.BadParameter(f"--only takes approvals or agents, not {only!r}")
    settings = session.load()
    logs.configure(settings.log_format, engine=True)
    say = logs.teller(settings.log_format)

    async def work() -> None:
        import worker as process

        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        connection = temporal_settings(settings)
        async with process.running(settings, connection, only=only) as serving:  # type: ignore[arg-type]
            say(f"clearance worker: {serving.line}")
            async with absence.told(serving.client, settings.approvals_queue):
                await stop.wait()
            say("clearance worker: stopping, running activities may finish")
        say("clearance worker: stopped")

    session.run(work())


def up() -> None:
    """Run an embedded Temporal server, the worker and the inbox; state is kept in .clearance."""
    settings = session.load()
    web.config_of(settings)
    logs.configure(settings.log_format, engine=True)
    say = logs.teller(settings.log_format)

    async def work() -> None:
        import worker as process

        from . import embedded

        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with embedded.server(settings.state) as server:
            say(f"Temporal:    {server.address}, its UI {server.ui}")
            say(f"State:       {settings.state.resolve()}")
            session.elsewhere(settings, server)
            async with process.running(settings, {"target_host": server.address}) as serving:
                say(f"Worker:      {serving.line}")
                web.log_access(_log(settings), settings.log_format)
                client = session.client_of(settings, serving.client)
                async with web.inbox(settings, client, any_port=True) as context:
                    say(await web.line(settings, context))
                    say("Ready. In another terminal here: clearance pending. Ctrl-C stops.")
                    await _until(stop, settings)
                    say("Stopping; what waits goes on waiting and is here again next time.")

    session.run(work())


def _log(settings: Settings) -> logging.Handler:
    """Beside the server's own log; of what the inbox answers the latest 10 MB are kept."""
    path = settings.state / "inbox.log"
    return RotatingFileHandler(
        path, maxBytes=5_000_000, backupCount=1, encoding="utf-8", delay=True
    )


async def _until(stop: asyncio.Event, settings: Settings) -> None:
    """Wait for the stop. Raises embedded.CannotStart where the server ends before."""
    from . import embedded

    while not stop.is_set():
        if EmbeddedServer.find(settings.state) is None:
            log = settings.state / "temporal.log"
            raise embedded.CannotStart(f"the embedded server ended; its log is {log}")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), timeout=1)
