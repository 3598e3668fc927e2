"""What is asked and what ends, as it happens."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from fastapi import APIRouter
from fastapi.sse import EventSourceResponse, ServerSentEvent

from web.context import Here
from web.live import Changed

from .auth import CanRead
from .document import problems

router = APIRouter(tags=["requests"])

_CHECKED_EVERY = 15.0
"""Seconds after which a token that is listening is looked at again, where nothing happens."""


@router.get(
    "/events",
    summary="What happens, as it happens",
    response_class=EventSourceResponse,
    responses={
        200: {"description": "A stream of server-sent events; a comment every 15 seconds."},
        **problems(),
    },
)
async def events(service: CanRead, context: Here) -> AsyncIterator[ServerSentEvent]:
    """`created` and `ended`, each with the request as a list shows it; and `resync`, the first of all
    and wherever something was missed: look at the lists again. Ends when the token does."""
    async with aclosing(context.live.changes()) as changes:
        waiting = asyncio.ensure_future(_next(changes))
        try:
            while True:
                done, _ = await asyncio.wait({waiting}, timeout=_CHECKED_EVERY)
                if not await context.store.tokens.still_holds(service.token_id):
                    return
                if not done:
                    continue
                if (change := waiting.result()) is None:
                    return  # the inbox stops
                waiting = asyncio.ensure_future(_next(changes))
                if change.kind != "away":
                    # What has no data is not told to who listens in a browser. That Temporal is away
                    # a program learns from its own calls; what it missed, from the resync.
                    yield ServerSentEvent(event=change.kind, data=change.request or {})
        finally:
            waiting.cancel()
            await asyncio.wait({waiting})


async def _next(changes: AsyncGenerator[Changed, None]) -> Changed | None:
    return await anext(changes, None)
