"""While Temporal doesn't answer: what became of what was being sent, and waiting until it is back."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from datetime import timedelta
from typing import TypeVar

from temporalio.service import RPCError, RPCStatusCode

from .errors import NotRecorded, OutcomeUnknown

T = TypeVar("T")

PATIENCE = 10.0
"""Seconds that one step of sending may take: as long as Temporal's client tries on by itself."""

_AWAY = frozenset(
    {
        RPCStatusCode.UNAVAILABLE,  # nobody listens
        RPCStatusCode.DEADLINE_EXCEEDED,
        RPCStatusCode.CANCELLED,  # the server stops
        RPCStatusCode.ABORTED,
        RPCStatusCode.INTERNAL,  # the connection was cut in the middle of an answer
        RPCStatusCode.UNKNOWN,
    }
)


class Sending:
    """How far something on its way to Temporal has come, for whoever gives up waiting for it."""

    def __init__(self) -> None:
        """Nobody knows yet: not everything that is sent says so here."""
        self._prepared = False
        self._sent = False

    @property
    def nothing_sent(self) -> bool:
        """Whether it is certain that nothing was sent."""
        return self._prepared and not self._sent


_current: ContextVar[Sending | None] = ContextVar("sending", default=None)
_limit: ContextVar[asyncio.Timeout | None] = ContextVar("limit", default=None)


def watched() -> Sending:
    """What is sent from here on, in this task and those that it starts."""
    sending = Sending()
    _current.set(sending)
    return sending


def is_away(error: RPCError) -> bool:
    """Whether an error means that Temporal can't be reached, or can't read what it stores, and not that
    it has refused."""
    return error.status in _AWAY or lacks_namespace(error)


def is_unknown(error: RPCError) -> bool:
    """Whether Temporal knows nothing, or nothing any more, of what is asked for or written to."""
    return error.status == RPCStatusCode.NOT_FOUND and not lacks_namespace(error)


def lacks_namespace(error: RPCError) -> bool:
    """Whether Temporal says that there is no such namespace.

    There is one: ``connect`` has asked. A server whose storage doesn't keep up says so for a moment, and
    that must not look as if a request were gone.
    """
    return error.status == RPCStatusCode.NOT_FOUND and any(
        one.type_url.endswith(".NamespaceNotFoundFailure") for one in error.grpc_status.details
    )


@asynccontextmanager
async def before_sending() -> AsyncIterator[None]:
    """What Temporal has to tell before something is sent, within ten seconds.

    Raises:
        NotRecorded: Temporal doesn't answer.
    """
    if sending := _current.get():
        sending._prepared = True
    try:
        async with asyncio.timeout(PATIENCE) as limit:
            outer = _limit.set(limit)
            try:
                yield
            finally:
                _limit.reset(outer)
    except RPCError as error:
        if not is_away(error):
            raise
        raise NotRecorded() from error
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise NotRecorded() from error


@asynccontextmanager
async def by_worker(timeout: timedelta) -> AsyncIterator[None]:
    """What a worker answers: its silence isn't Temporal's, and takes nothing from the time that
    ``before_sending`` gives.

    Args:
        timeout: for all of it. Temporal's client tries a query again after it has had its own.

    Raises:
        TimeoutError: no worker has answered.
    """
    limit = _limit.get()
    if limit is not None:
        limit.reschedule(None)
    try:
        async with asyncio.timeout(timeout.total_seconds()):
            yield
    finally:
        if limit is not None:
            limit.reschedule(asyncio.get_running_loop().time() + PATIENCE)


@contextmanager
def on_its_way(approval_id: str, key: str) -> Iterator[None]:
    """Something is being sent.

    Args:
        approval_id: to this request.
        key: by which it is one, however often it is sent.

    Raises:
        OutcomeUnknown: Temporal stopped answering: it may have been recorded or not.
    """
    if sending := _current.get():
        sending._sent = True
    try:
        yield
    except RPCError as error:
        if not is_away(error):
            raise
        raise OutcomeUnknown(approval_id, key) from error


async def persistently(ask: Callable[[], Awaitable[T]]) -> T:
    """What Temporal answers, asked again for as long as it is away: until the caller gives up."""
    while True:
        try:
            return await ask()
        except RPCError as error:
            if not is_away(error):
                raise
        # Its client has tried for ten seconds; not everybody who waits comes back together.
        await asyncio.sleep(random.uniform(0.2, 1))  # noqa: S311 - hides nothing
