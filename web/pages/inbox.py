"""The inbox: what waits for somebody, live."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Collection
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent

from clearance.errors import InvalidRequest
from clearance.filters import fits
from clearance.text import some
from clearance.views import ApprovalSummary
from policy.reading import BrokenPolicy
from web.context import Context, Here
from web.templating import page
from web.who import Person, Who

from . import inbox_view
from .inbox_asked import understood
from .inbox_view import Asked, Found, Names

router = APIRouter(include_in_schema=False)

_STREAM_LASTS = 600
"""Seconds; then the browser asks anew, and has to be signed in still."""


async def names_of(context: Context, who: Who) -> tuple[Names, str]:
    """Who looks, and what is wrong with ``reviewers.toml``: they are then known by their name only."""
    try:
        return Names(who.name, await context.names_of(who.name, who.groups)), ""
    except BrokenPolicy as error:
        return Names(who.name, (who.name,)), str(error)


@router.get("/")
async def inbox(request: Request, context: Here, who: Person) -> HTMLResponse:
    """The list; for htmx only the part of the page that changes."""
    asked, ignored = understood(Asked, request.query_params)
    try:
        return await listed(request, context, who, asked, ignored=ignored)
    except InvalidRequest:
        if not asked.cursor:
            raise
        asked = asked.model_copy(update={"cursor": ""})
        ignored += ("That page isn't there any more: this is the first one.",)
        return await listed(request, context, who, asked, ignored=ignored)


async def listed(
    request: Request,
    context: Context,
    who: Who,
    asked: Asked,
    *,
    ignored: tuple[str, ...] = (),
    refused: str = "",
    picked: Collection[str] = (),
    reason: str = "",
) -> HTMLResponse:
    """The inbox as a page.

    Args:
        ignored: what of its address was left out.
        refused: why a selection was not decided; the page then has the status 422.
        picked: the boxes that are ticked, each by its value.
        reason: what is in the field beside them.

    Raises:
        InvalidRequest: the cursor is of another list.
    """
    names, broken = await names_of(context, who)
    client = context.approvals
    is_mine = asked.view == "mine" and not asked.narrowed
    found, mine, served = await asyncio.gather(
        inbox_view.found(client, asked, names),
        _nothing() if is_mine else inbox_view.found(client, Asked(), names),
        client.is_served(),
    )
    if mine is None:
        mine = found if not found.newer else await inbox_view.found(client, Asked(), names)
    others = 0 if found.items else await client.count()
    if asked.view == "mine":
        others = max(0, others - len(mine.items))
    part = "hx-request" in request.headers and "hx-history-restore-request" not in request.headers
    return page(
        request,
        "_inbox_live.html" if part else "inbox.html",
        422 if refused else 200,
        who=who,
        asked=asked,
        found=found,
        served=served,
        mine=mine.waiting,
        others=others,
        broken=broken,
        ignored=ignored,
        refused=refused,
        picked=picked,
        reason=reason,
        batch=token_hex(16),
        **_words(found, names),
    )


async def _nothing() -> None:
    return None


def _words(found: Found, names: Names) -> dict[str, Any]:
    """What the templates say things with."""
    now = datetime.now(UTC)
    items = found.items
    return {
        "views": inbox_view.VIEWS,
        "dues": inbox_view.DUE,
        "sorts": inbox_view.SORTS,
        "risks": inbox_view.RISKS,
        "looked_at": inbox_view.LOOKED_AT,
        "groups": names.groups,
        "known": {
            field: sorted({value for one in items if (value := getattr(one, field))})
            for field in ("tool", "requester", "run_id")
        },
        "stage": _stage,
        "has_approved": names.has_approved,
        # Whether an answer or a phrase is asked for no list tells: the form is refused then.
        "several": {
            one.id
            for one in items
            if one.risk == "low" and one.checkpoint and one.readable and not names.has_approved(one)
        },
        "voters": lambda one: some([vote.who for vote in one.approvals], 3),
        "urgency": lambda one: urgency(one.deadline, now),
        "key": _key,
    }


def _stage(one: ApprovalSummary) -> str:
    """The name of the stage that is asked."""
    return one.stages[min(one.stage or 1, len(one.stages)) - 1]


def _key(id: str) -> str:
    """A name of a row that fits an HTML id, whatever the request's own is."""
    return hashlib.sha256(id.encode(errors="replace")).hexdigest()[:16]


def urgency(deadline: datetime | None, now: datetime) -> str:
    """How pressing a deadline is: ``soon`` in the last hour, ``near`` in the last day."""
    if deadline is None or deadline - now > timedelta(days=1):
        return ""
    return "soon" if deadline - now <= timedelta(hours=1) else "near"


@router.get("/inbox/stream", response_class=EventSourceResponse)
async def stream(request: Request, context: Here, who: Person) -> AsyncIterator[ServerSentEvent]:
    """An event ``changed`` whenever the list may be another one, ``away`` when Temporal can't tell;
    nothing of a request."""
    asked, _ = understood(Asked, request.query_params)
    names, _ = await names_of(context, who)
    # Not ``waits_for``: who has approved something hears of its end, which takes it off their page.
    narrowed = {} if asked.view == "all" else names.may_decide
    ends = asyncio.get_running_loop().time() + _STREAM_LASTS
    async with aclosing(context.live.changes()) as changes:
        while True:
            try:
                async with asyncio.timeout_at(ends):
                    change = await anext(changes)
            except (TimeoutError, StopAsyncIteration):
                return
            if change.kind == "away":
                yield ServerSentEvent(event="away", data=change.kind)
            elif change.request is None or fits(change.request, **narrowed):
                yield ServerSentEvent(event="changed", data=change.kind)
