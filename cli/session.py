"""What every command needs: the settings, a connection, and one way to run and to fail."""

import asyncio
import getpass
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, TypeVar

import typer
from pydantic import ValidationError

from clearance import ApprovalClient, connect
from clearance.errors import InvalidRequest

from .settings import Settings, temporal_settings

T = TypeVar("T")

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_EXPIRED = 3
EXIT_WITHDRAWN = 4
EXIT_UNREACHABLE = 5
EXIT_INTERRUPTED = 130


def load() -> Settings:
    """The settings. Raises InvalidRequest naming the variable that is wrong."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = str(first["loc"][0])
        variable = name if name.isupper() else f"CLEARANCE_{name.upper()}"
        raise InvalidRequest(f"{variable}: {first['msg']}") from error


@asynccontextmanager
async def connected(settings: Settings) -> AsyncIterator[ApprovalClient]:
    """A client on the configured Temporal. Raises CannotConnect."""
    client = await connect(temporal_settings(settings))
    yield ApprovalClient(client, task_queue=settings.approvals_queue)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run one command's work to its end."""
    return asyncio.run(work)


def reviewer(settings: Settings, given: str | None) -> str:
    """Who decides: ``--as``, else CLEARANCE_REVIEWER, else the system's user."""
    return given or settings.reviewer or getpass.getuser()


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
    """Shell completion: ids of what waits, with their actions. Silent where anything is wrong."""

    async def ids() -> list[tuple[str, str]]:
        async with asyncio.timeout(2), connected(Settings()) as client:
            waiting = client.pending(limit=200)
            return [(one.id, one.action) async for one in waiting if one.id.startswith(incomplete)]

    try:
        return asyncio.run(ids())
    except Exception:  # a completion must never print into the line somebody types
        return []
