"""Waiting with a client for something, for no longer than the client waits."""

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, TypeVar

from fastapi import Request

from clearance import ApprovalClient, ApprovalView, InvalidRequest, NotFound, Outcome, WaitTimeout
from store.ledger.archive import Archive

T = TypeVar("T")

MAX_WAIT = 60
"""Seconds that one request waits at most; proxies cut longer ones off."""


async def outcome_within(
    approvals: ApprovalClient, archive: Archive, id: str, seconds: float
) -> Outcome:
    """How a request has ended, or ends within so many seconds; 0 for one look.

    Of what Temporal has forgotten the ledger tells; what was granted beyond the call it doesn't.

    Raises:
        WaitTimeout: it still waits.
        NotFound: there is none.
        LedgerAway: Temporal has none, and nobody can tell now whether the ledger has.
        InvalidRequest: it was refused as malformed.
    """
    try:
        waits = (await approvals.summary(id)).status == "pending"
    except InvalidRequest:  # its own end says why, once a worker has looked at it
        waits, seconds = True, max(1.0, seconds)
    except NotFound as absent:
        return _outcome_of((await archive.forgotten(id, absent)).value)
    if not waits:
        return await approvals.wait(id)
    if not seconds:
        raise WaitTimeout(f"{id} still waits for a decision")
    return await approvals.wait(id, timedelta(seconds=seconds))


def _outcome_of(view: ApprovalView) -> Outcome:
    approved = view.status == "approved"
    return Outcome.model_validate(
        {
            "approval_id": view.id,
            "status": view.status,
            "digest": view.request.digest,
            "decision": view.decision,
            "edit": view.edit if approved else None,
            "explanation": view.explanation,
        }
    )


async def while_there(
    request: Request, stopping: asyncio.Event, work: Coroutine[Any, Any, T]
) -> T | None:
    """What ``work`` returns or raises; None where the client left first, or the server has to stop.

    Nothing of it goes on after that.
    """
    working = asyncio.ensure_future(work)
    ends = [asyncio.ensure_future(_left(request)), asyncio.ensure_future(stopping.wait())]
    try:
        await asyncio.wait([working, *ends], return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        for one in (working, *ends):
            one.cancel()
        await asyncio.wait([working, *ends])


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
