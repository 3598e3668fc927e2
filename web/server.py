"""Listening: from a configuration to a running inbox, and its end without cutting anybody off."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import uvicorn

from clearance import ApprovalClient, ClearanceError

from . import app
from .config import WebConfig
from .context import Context
from .live import Live
from .store import Store

_GRACE = 10
"""Seconds that answers under way may take after a stop was asked for; streams end at once."""


class CannotListen(ClearanceError):
    """The address can't be listened on; the text says why."""


class _Server(uvicorn.Server):
    """Leaves signals to whoever runs it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def running(config: WebConfig, approvals: ApprovalClient) -> AsyncIterator[Context]:
    """An inbox that answers, for as long as the context is open.

    Raises:
        CannotListen: the address is taken, or not this machine's.
        CannotStore: the database can't be used.
    """
    with contextlib.closing(_listening(config)) as listening:
        port = listening.getsockname()[1]
        async with Store.open(config.database) as store:
            context = Context(
                config=config,
                approvals=approvals,
                store=store,
                live=Live(approvals.temporal, config.approvals_queue),
                url=_url(config, port),
            )
            server = _Server(
                uvicorn.Config(
                    app.make(context),
                    log_config=None,
                    access_log=False,
                    server_header=False,
                    lifespan="off",
                    proxy_headers=bool(config.proxies),
                    forwarded_allow_ips=list(config.proxies) or None,
                    timeout_graceful_shutdown=_GRACE,
                )
            )
            serving = asyncio.create_task(server.serve(sockets=[listening]))
            try:
                while not server.started and not serving.done():
                    await asyncio.sleep(0.01)
                yield context
            finally:
                server.should_exit = True
                await serving


def _listening(config: WebConfig) -> socket.socket:
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    made = socket.socket(family)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((config.host, config.port))
    except OSError as error:
        made.close()
        raise CannotListen(
            f"can't listen on {config.host}:{config.port}: {error.strerror or error}"
        ) from error
    return made


def _url(config: WebConfig, port: int) -> str:
    if config.public_url:
        return config.public_url.rstrip("/")
    host = f"[{config.host}]" if ":" in config.host else config.host
    return f"http://{host}:{port}"
