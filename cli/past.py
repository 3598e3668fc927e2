"""Requests that have ended, for commands: from Temporal and from the ledger."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple, Unpack

from clearance import ApprovalClient, ApprovalView, FinishedApproval, NotFound
from clearance.history import Past

from . import output, session
from .settings import Settings

if TYPE_CHECKING:
    from store.ledger.archive import Archive, Found


class Reached(NamedTuple):
    """Temporal, and with it the ledger."""

    client: ApprovalClient
    archive: "Archive"


async def listed(
    settings: Settings, client: ApprovalClient, limit: int, **narrowed: Unpack[Past]
) -> list[FinishedApproval]:
    """The latest ends that fit, at most ``limit``. Says so where it is without the ledger."""
    lines: list[FinishedApproval] = []
    async with _archive(settings, client) as archive:
        async for found in archive.listed(limit, **narrowed):
            if found.warning and not lines:
                output.say(found.warning)
            lines += found.value.items
    return lines[:limit]


async def get(settings: Settings, client: ApprovalClient, id: str) -> "Found[ApprovalView]":
    """The whole record of a request, also of one that Temporal has forgotten.

    Raises:
        ClearanceError: as ``ApprovalClient.get``.
    """
    from store.ledger.archive import Found  # here: it takes its time

    absent: NotFound | None = None
    try:
        view = await client.get(id)
        if view.status == "pending":
            return Found(view)
    except NotFound as error:
        absent = error
    async with _archive(settings, client) as archive:
        found = await (archive.forgotten(id, absent) if absent else archive.completed(view))
    if found.warning:
        output.say(found.warning)
    return found


@asynccontextmanager
async def reached(settings: Settings) -> AsyncIterator[Reached]:
    """Temporal, and with it the ledger, for somebody who goes on asking."""
    async with session.connected(settings) as client, _archive(settings, client) as archive:
        yield Reached(client, archive)


@asynccontextmanager
async def _archive(settings: Settings, client: ApprovalClient) -> AsyncIterator["Archive"]:
    from store.ledger.archive import Archive  # here: it takes its time
    from store.ledger.breaker import Breaker

    async with Breaker(settings.ledger_address(), create=False) as ledger:
        yield Archive(client, settings.approvals_queue, ledger)
