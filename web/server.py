"""Listening: from a configuration to a running inbox, and its end without cutting anybody off."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime

import uvicorn

from clearance import ApprovalClient, ClearanceError
from clearance.errors import InvalidRequest
from policy.watched import WatchedDirectory
from store import Store
from store.ledger.archive import Archive
from store.ledger.breaker import Breaker

from . import app
from .config import WebConfig
from .connections import Prompt, allow_many
from .context import Context
from .guard import with_headers
from .live import Live
from .rates import Limiter

_GRACE = 10
"""Seconds that answers under way may take after a stop was asked for; streams end at once."""

_BACKLOG = 2_048


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
        InvalidRequest: others than this machine would reach it, and nobody could say who they are.
    """
    allow_many()
    # Ids whole: a beginning of one, in a link or an address, must never mean another request.
    exact = approvals.exact(config.approvals_queue)
    async with Store.open(config.database) as store, _ledger(config) as ledger:
        await _check_reach(config, store)
        with contextlib.closing(_listening(config)) as listening:
            context = Context(
                config=config,
                approvals=exact,
                archive=Archive(exact, config.approvals_queue, ledger, whole_ids=True),
                store=store,
                live=Live(approvals.temporal, config.approvals_queue),
                directory=WatchedDirectory(config.reviewers),
                url=_url(config, listening.getsockname()[1]),
                limits=Limiter(config.rates),
                stopping=asyncio.Event(),
            )
            server = _server(context)
            serving = asyncio.create_task(server.serve(sockets=[listening]))
            try:
                while not server.started and not serving.done():
                    await asyncio.sleep(0.01)
                if not serving.done():
                    yield context
            finally:
                context.stopping.set()
                context.live.close()
                server.should_exit = True
                await serving


def _ledger(config: WebConfig) -> AbstractAsyncContextManager[Breaker | None]:
    if config.ledger is None:
        return contextlib.nullcontext()
    return Breaker(config.ledger, create=False)


def _server(context: Context) -> _Server:
    proxies = list(context.config.proxies)
    return _Server(
        uvicorn.Config(
            with_headers(app.make(context), context.config),
            http=Prompt,
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            proxy_headers=bool(proxies),
            forwarded_allow_ips=proxies or None,
            timeout_graceful_shutdown=_GRACE,
            backlog=_BACKLOG,
        )
    )


async def _check_reach(config: WebConfig, store: Store) -> None:
    if config.loopback or config.oidc is not None:
        return
    now = datetime.now(UTC)
    if not any(token.holds(now) for token in await store.tokens.all()):
        raise InvalidRequest(
            f"on {config.host} others than this machine reach the inbox, and nobody could say who "
            "they are: set CLEARANCE_OIDC_ISSUER and CLEARANCE_OIDC_CLIENT_ID, or make a token for a "
            "service with `clearance token create`"
        )


def _listening(config: WebConfig) -> socket.socket:
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    # With its protocol named: only then does asyncio send small answers at once (TCP_NODELAY).
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((config.host, config.port))
        made.listen(_BACKLOG)  # two sockets may be bound to one port until one of them listens
    except OSError as error:
        made.close()
        raise CannotListen(
            f"can't listen on {config.host}:{config.port}: {error.strerror or error}"
        ) from error
    return made


def _url(config: WebConfig, port: int) -> str:
    if config.public_url:
        return config.public_url
    host = f"[{config.host}]" if ":" in config.host else config.host
    return f"http://{host}:{port}"
