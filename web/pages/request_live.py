"""Telling an open page that its request is not any more what it shows."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError

from clearance import ApprovalView
from clearance.away import is_unknown
from web.context import Context, Here
from web.live import Live
from web.who import Person

router = APIRouter(include_in_schema=False)

_EVERY = 1.0
"""Seconds between two looks at one request; its end is told by what everybody listens to."""

_AFTERWARDS = (30, 150)
"""Looks at an approved request whose run goes on: after the first so many they become fewer, after the
second they end, some ten minutes later."""

_SELDOM = 5.0
"""Seconds between two of those."""

_SILENT = ("viewed", "notified", "reminded")
"""Events that change nothing of what somebody decides about."""


def live_path(view: ApprovalView, *, over: bool = False) -> str:
    """Where the page of a request listens, naming what it shows."""
    return f"/live/requests/{quote(view.id, safe='')}?seen={stamp(view, over=over)}"


def stamp(view: ApprovalView, *, over: bool = False) -> str:
    """Says of two readings of a request, and of its run, whether a reader would see the same."""
    told = [one.sequence for one in view.events if one.kind not in _SILENT]
    last = told[-1] if told else 0
    what = (view.status, view.digest, view.stage, len(told), last, view.complete, over)
    return hashlib.sha256(repr(what).encode()).hexdigest()[:16]


def settled(view: ApprovalView, *, over: bool = False) -> bool:
    """Whether nothing is to be expected any more; ``over`` is what ``run_over`` says."""
    if view.status == "approved" and view.request.run_id is not None:
        return over
    return view.status != "pending"


async def run_over(temporal: Client, view: ApprovalView) -> bool:
    """Whether the run that asked has ended after the approval, so that nothing more comes of it."""
    if view.status != "approved" or view.request.run_id is None:
        return False
    try:
        run = await temporal.get_workflow_handle(view.request.run_id).describe()
    except RPCError as error:  # no run that Temporal knows: then all that is told is that it ran
        ran = any(one.kind == "executed" for one in view.events)
        return ran and is_unknown(error)
    return run.status != WorkflowExecutionStatus.RUNNING


async def _whole_id(id: str, context: Here) -> str:
    return (await context.approvals.summary(id)).id


Whole = Annotated[str, Depends(_whole_id)]


@router.get("/live/requests/{id:path}", response_class=EventSourceResponse)
async def live(
    _: Person,
    context: Here,
    id: Whole,
    seen: Annotated[str, Query(max_length=64)] = "",
) -> AsyncIterator[ServerSentEvent]:
    """``changed`` whenever it is another than what was seen; ``settled`` when it will stay so."""
    async with contextlib.aclosing(_readings(context, id)) as readings:
        async for view in readings:
            over = await run_over(context.approvals.temporal, view)
            if (now := stamp(view, over=over)) != seen:
                seen = now
                yield ServerSentEvent(event="changed", raw_data=seen)
            if settled(view, over=over):
                break
    if not context.stopping.is_set():
        yield ServerSentEvent(event="settled", raw_data=seen)


async def _readings(context: Context, id: str) -> AsyncGenerator[ApprovalView, None]:
    """The record whenever there may be something new in it, until the inbox stops or the end is old."""
    handle = context.approvals.temporal.get_workflow_handle(id)
    nudged = asyncio.Event()
    listening = asyncio.create_task(_listen(context.live, id, nudged))
    known: object = None
    looks = 0
    try:
        while not listening.done():
            view = None
            with contextlib.suppress(RPCError):  # Temporal is away: it may be back at the next look
                now = await handle.describe()
                # Whatever happens to it makes its history longer; asking that disturbs no worker.
                state = (now.run_id, now.status, now.history_length)
                over = now.close_time is not None
                looks += over
                if looks > _AFTERWARDS[1]:
                    return
                if state != known or over:
                    view, known = await context.approvals.get(id), state
            if view is not None:
                yield view
            nudged.clear()
            with contextlib.suppress(TimeoutError):
                pause = _EVERY if looks < _AFTERWARDS[0] else _SELDOM
                await asyncio.wait_for(nudged.wait(), pause)
    finally:
        listening.cancel()


async def _listen(live: Live, id: str, nudged: asyncio.Event) -> None:
    try:
        async for change in live.changes():
            if change.request is not None and change.request.id == id:
                nudged.set()
    finally:
        nudged.set()
