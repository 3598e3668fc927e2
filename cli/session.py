"""What every command needs: the settings, a connection, and one way to run and to fail."""

import asyncio
import getpass
import re
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any, TypeVar

import typer
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from temporalio.client import Client
from temporalio.runtime import Runtime, TelemetryConfig

from clearance import ApprovalClient, CannotConnect, connect
from clearance.errors import InvalidRequest
from clearance.workers import unserved

from . import output
from .settings import EmbeddedServer, RunningInbox, Settings, temporal_settings
from .telemetry import begin

T = TypeVar("T")

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_EXPIRED = 3
EXIT_WITHDRAWN = 4
EXIT_UNREACHABLE = 5


def load() -> Settings:
    """The settings. Raises InvalidRequest naming the variable that is wrong."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = str(first["loc"][0])
        variable = name if name.isupper() else f"CLEARANCE_{name.upper()}"
        raise InvalidRequest(f"{variable}: {_said(first)}") from error


def _said(fault: ErrorDetails) -> str:
    """What is wrong with a setting, in words of ours."""
    if fault["type"] in ("bool_parsing", "bool_type"):
        return "write true or false"
    said = fault["msg"].removeprefix("Value error, ").partition(", unable to")[0]
    return said.replace("Input should be", "it has to be", 1)


@asynccontextmanager
async def connected(settings: Settings) -> AsyncIterator[ApprovalClient]:
    """A client on the configured Temporal. Raises CannotConnect."""
    # What goes wrong is told in a line of ours; the engine's own log would stand beside it.
    quiet = Runtime(telemetry=TelemetryConfig(logging=None))
    Runtime.set_default(quiet, error_if_already_set=False)  # by a try before this one
    telemetry = begin(settings, metrics=False)
    client = await connect(
        {**temporal_settings(settings), **telemetry.options},
        **settings.encryption,
    )
    try:
        yield client_of(settings, client)
    finally:
        await telemetry.end()


@asynccontextmanager
async def sending(settings: Settings) -> AsyncIterator[ApprovalClient]:
    """``connected``, for commands that record something: they say so where nothing was recorded.

    Raises:
        CannotConnect: Temporal does not answer.
    """
    async with AsyncExitStack() as stack:
        try:
            client = await stack.enter_async_context(connected(settings))
        except CannotConnect as error:
            raise CannotConnect(f"nothing was recorded: {error}") from error
        yield client


async def tell_unserved(client: ApprovalClient, settings: Settings) -> None:
    """Say so where no worker serves the approvals, so that nothing decided takes effect by now."""
    if not await client.is_served():
        line = unserved(settings.approvals_queue)
        output.say(f"{line[:1].upper()}{line[1:]} (`clearance worker`).")


def client_of(settings: Settings, client: Client) -> ApprovalClient:
    """A client that asks and decides as these settings say.

    Raises:
        InvalidKeys: a key file of signed decisions can't be used.
    """
    how: dict[str, Any] = {}
    if settings.signing_keys or settings.decision_keys:
        from clearance import signing  # which loads cryptography

        if settings.signing_keys:
            how["signer"] = signing.Signer(settings.signing_keys)
        if settings.decision_keys:
            how["decision_keys"] = signing.pinned_from(settings.decision_keys)
    inbox = RunningInbox.find(settings.state)
    url = settings.public_url or (inbox.url if inbox else None)
    return ApprovalClient(client, task_queue=settings.approvals_queue, inbox=url, **how)


def elsewhere(settings: Settings, server: EmbeddedServer) -> None:
    """Say so where other commands, as configured, would reach another Temporal than this one."""
    other = temporal_settings(settings)["target_host"]
    if other != server.address:
        output.say(
            f"Other commands reach {other}, as configured: there, set "
            f"TEMPORAL_ADDRESS={server.address}"
        )


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run one command's work to its end. Raises typer.Abort where it is cancelled."""
    try:
        return asyncio.run(work)
    except asyncio.CancelledError as error:
        raise typer.Abort from error


def reviewer(settings: Settings, given: str | None) -> str:
    """Who decides: ``--as``, else CLEARANCE_REVIEWER, else the system's user.

    An empty ``--as`` stays empty, to be refused: a script's unset variable must not decide as
    somebody else.

    Raises:
        InvalidRequest: nobody is named, and the system has no name for its user.
    """
    if given is not None:
        return given
    try:
        return settings.reviewer or getpass.getuser()
    except (KeyError, OSError) as error:
        raise InvalidRequest("who are you? Say it with --as or CLEARANCE_REVIEWER") from error


def duration(text: str) -> timedelta | None:
    """``90s``, ``15m``, ``2h``, ``7d``, ``2w``, or ``never``, which is None.

    Raises:
        typer.BadParameter: it is none of these.
    """
    if text == "never":
        return None
    units = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
    number, unit = text[:-1], text[-1:]
    if not number.isdecimal() or unit not in units or len(number) > 9:
        raise typer.BadParameter(f"{text!r} is no duration: write 90s, 15m, 2h, 7d, 2w or never")
    try:
        return timedelta(**{units[unit]: int(number)})
    except OverflowError as error:
        raise typer.BadParameter(f"{text!r} is too long") from error


def complete_pending(incomplete: str) -> list[tuple[str, str]]:
    """Shell completion: ids of what waits, with their actions. Silent where anything is wrong.

    Typer's escaping is no barrier: zsh evaluates what it is given, and a ``\\$(...)`` in an action,
    which a model wrote, would run. So only plain ids are offered, with an action's plain characters.
    """

    async def waiting() -> list[tuple[str, str]]:
        async with asyncio.timeout(2), connected(Settings()) as client:
            return [
                (one.id, _NOT_PLAIN.sub(" ", one.action))
                async for one in client.pending(limit=200)
                if one.id.startswith(incomplete) and _PLAIN_ID.fullmatch(one.id)
            ]

    try:
        return asyncio.run(waiting())
    except Exception:  # a completion must never print into the line somebody types
        return []


_PLAIN_ID = re.compile(r"\w[\w.:@/+-]*")
_NOT_PLAIN = re.compile(r"[^\w .,:@/+-]")
