"""The inbox: web, sign-in."""

import asyncio
import contextlib
import importlib
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import psutil
from pydantic import TypeAdapter, ValidationError
from temporalio.service import RPCError

from clearance import ApprovalClient, CannotConnect, ClearanceError, InvalidRequest
from clearance.fields import Name
from clearance.stages import is_group
from web.config import DEFAULT_PORT, Oidc, WebConfig

from . import logs, output, session
from .approvals import As
from .settings import EmbeddedServer, RunningInbox, Settings, inbox_address, temporal_settings

if TYPE_CHECKING:
    from web.context import Context


def web() -> None:
    """Run the inbox against the configured Temporal, until SIGTERM or Ctrl-C."""
    settings = session.load()
    config_of(settings)
    logs.configure(settings.log_format)
    say = logs.teller(settings.log_format)
    log_access(logging.StreamHandler(sys.stderr), settings.log_format)

    async def work() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with session.connected(settings) as approvals, inbox(settings, approvals) as context:
            say(f"Temporal:    {temporal_settings(settings)['target_host']}")
            say(await line(settings, context))
            say("Ready. Ctrl-C stops.")
            await stop.wait()

    session.run(work())


def sign_in(as_: As = None) -> None:
    """Print a link that signs you in to the inbox of this machine: once, within ten minutes."""
    settings = session.load()
    config = config_of(settings)
    if not config.local:
        raise InvalidRequest(
            f"nobody signs in to this inbox by a link: open {address(settings)}/sign-in"
        )
    who = person(session.reviewer(settings, as_))
    from store import Store

    async def work() -> str:
        async with Store.open(config.database) as store:
            return await store.sessions.invite(who)

    output.out(f"{address(settings)}/sign-in/{session.run(work())}")
    if RunningInbox.find(settings.state) is None:
        output.say("No inbox runs with this state folder: start it by `clearance web`.")


def config_of(settings: Settings, port: int = DEFAULT_PORT) -> WebConfig:
    """How the inbox is set up; ``port`` where none is configured.

    Raises:
        InvalidRequest: of a provider's address and our id there, one is missing.
    """
    return WebConfig(
        host=settings.web_host,
        port=port if settings.web_port is None else settings.web_port,
        public_url=settings.public_url,
        proxies=settings.trusted_proxies,
        database=settings.database_address(),
        ledger=settings.ledger_address(),
        oidc=_oidc(settings),
        reviewers=settings.reviewers_file(),
        temporal_ui=settings.temporal_ui or _embedded_ui(settings),
        approvals_queue=settings.approvals_queue,
    )


def _oidc(settings: Settings) -> Oidc | None:
    if settings.oidc_issuer is None and settings.oidc_client_id is None:
        return None
    if settings.oidc_issuer is None or settings.oidc_client_id is None:
        raise InvalidRequest("CLEARANCE_OIDC_ISSUER and CLEARANCE_OIDC_CLIENT_ID: set both")
    return Oidc(
        issuer=settings.oidc_issuer,
        client_id=settings.oidc_client_id,
        client_secret=settings.oidc_client_secret,
        name_claim=settings.oidc_name_claim,
        accept_unverified=settings.oidc_accept_unverified,
        groups_claim=settings.oidc_groups_claim,
    )


def _embedded_ui(settings: Settings) -> str | None:
    """Of the embedded server, where it is the one that is used here."""
    embedded = EmbeddedServer.find(settings.state)
    with contextlib.suppress(CannotConnect):
        if embedded and temporal_settings(settings)["target_host"] == embedded.address:
            return embedded.ui
    return None


@asynccontextmanager
async def inbox(
    settings: Settings, approvals: ApprovalClient, *, any_port: bool = False
) -> AsyncIterator["Context"]:
    """Run the inbox, and leave its address in the state folder for other commands.

    Args:
        any_port: take a free one where none is configured and the usual one is taken.

    Raises:
        InvalidRequest, CannotListen, CannotStore: it can't be started as configured.
    """
    # In a thread: what else this process does goes on meanwhile.
    server = await asyncio.to_thread(importlib.import_module, "web.server")
    async with contextlib.AsyncExitStack() as stack:
        try:
            config = config_of(settings)
            context = await stack.enter_async_context(server.running(config, approvals))
        except server.CannotListen:
            if not any_port or settings.web_port is not None:
                raise
            config = config_of(settings, port=0)
            context = await stack.enter_async_context(server.running(config, approvals))
        stack.enter_context(_announced(settings, context.url))
        yield context


@contextlib.contextmanager
def _announced(settings: Settings, url: str) -> Iterator[None]:
    pid = os.getpid()
    mine = RunningInbox(pid=pid, started=psutil.Process(pid).create_time(), url=url)
    path = RunningInbox.path(settings.state)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(mine.model_dump_json())
    try:
        yield
    finally:
        if RunningInbox.find(settings.state) == mine:
            path.unlink(missing_ok=True)


async def line(settings: Settings, context: "Context") -> str:
    """Where the inbox is; on one's own machine a link that signs the reviewer in, once."""
    # A log is kept and read by others, and the link would sign them in.
    if not context.config.local or settings.log_format == "json":
        return f"Inbox:       {context.url}"
    token = await context.store.sessions.invite(person(session.reviewer(settings, None)))
    return f"Inbox:       {context.url}/sign-in/{token}"


async def beside(
    settings: Settings, approvals: ApprovalClient, tell: Callable[[str], None]
) -> None:
    """Run the inbox beside something that goes on without it; use the one that runs here already.

    Returns when it can't be started, having told why; else runs until it is cancelled.
    """
    try:
        if (found := RunningInbox.find(settings.state)) is not None:
            tell(f"Inbox:       {found.url}")
            return
        async with inbox(settings, approvals, any_port=True) as context:
            tell(await line(settings, context))
            await asyncio.Event().wait()
    except (ClearanceError, OSError, RPCError) as error:
        tell(f"The inbox can't be started: {error}")


def address(settings: Settings) -> str:
    """Where reviewers reach the inbox: the one that runs here, else as configured."""
    if (found := inbox_address(settings)) is not None:
        return found
    host = f"[{settings.web_host}]" if ":" in settings.web_host else settings.web_host
    return f"http://{host}:{settings.web_port or DEFAULT_PORT}"


def person(name: str) -> str:
    """The name of one person, as decisions carry it.

    Raises:
        InvalidRequest: it is empty, too long, of several lines, or a group's.
    """
    try:
        one = TypeAdapter(Name).validate_python(name)
    except ValidationError as error:
        raise InvalidRequest(f"{name!r} is no name: {error.errors()[0]['msg']}") from error
    if is_group(one):
        raise InvalidRequest(f"{one} is a group: name one person")
    return str(one)


def log_access(handler: logging.Handler, format: logs.Format) -> None:
    """A line an answer, wherever the handler writes."""
    plain = logging.Formatter("%(asctime)s %(message)s")
    handler.setFormatter(plain if format == "text" else logs.formatter(format))
    logger = logging.getLogger("clearance.access")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
