"""What is asked and what ends, as it happens."""

from collections.abc import AsyncIterator
from contextlib import aclosing

from fastapi import APIRouter
from fastapi.sse import EventSourceResponse, ServerSentEvent

from web.context import Here

from .auth import CanRead
from .document import problems

router = APIRouter(tags=["requests"])


@router.get(
    "/events",
    summary="What happens, as it happens",
    response_class=EventSourceResponse,
    responses={
        200: {"description": "A stream of server-sent events; a comment every 15 seconds."},
        **problems(),
    },
)
async def events(_: CanRead, context: Here) -> AsyncIterator[ServerSentEvent]:
    """`created` and `ended`, each with the request as a list shows it; and `resync`, the first of all
    and wherever something was missed: look at the lists again."""
    async with aclosing(context.live.changes()) as changes:
        async for change in changes:
            # What has no data is not told to who listens in a browser.
            yield ServerSentEvent(event=change.kind, data=change.request or {})
