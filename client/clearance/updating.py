"""Something on its way to its request, by an update: sent again where it left no trace."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel
from temporalio.client import WorkflowHandle, WorkflowUpdateFailedError
from temporalio.service import RPCError, RPCStatusCode

from .away import lacks_namespace
from .refusing import again
from .views import ApprovalView

R = TypeVar("R", bound=BaseModel)

_AGAIN = (
    RPCStatusCode.RESOURCE_EXHAUSTED,  # ten updates are under way
    RPCStatusCode.UNAVAILABLE,  # the task it was in was given up
    RPCStatusCode.FAILED_PRECONDITION,  # it met another event, a cancellation for instance, in one task
)

_BUSY = 3.0
"""Seconds in which the directory has answered; it doesn't where its file is broken."""

USED_UP = "total number of distinct updates"
"""In the server's words: a workflow takes 2,000 of them, then none any more."""


@dataclass(frozen=True)
class Message(Generic[R]):
    """A decision or an act on its way."""

    key: str
    """Its id, by which it is one, however often it is sent."""
    payload: BaseModel
    update: str
    update_id: str
    """The server answers one that it knows with the stored result, unread: so it tells all of it."""
    signal: str
    stored: R
    """The answer as long as it is only stored."""
    find: Callable[[ApprovalView], R | None]
    """The answer that the record has; None where it has none. Raises Refused for a refused one."""
    is_new: bool
    """Whether it was never sent before: a request that has ended can't have it then."""


async def update(handle: WorkflowHandle[Any, Any], message: Message[R]) -> R:
    """Send it as often as the server has no room for it, or the request can't take it so.

    Raises:
        TimeoutError: the directory can't be asked. Stored, it waits for that.
    """
    known: list[Any] = []
    until = asyncio.get_running_loop().time() + _BUSY
    while True:
        try:
            receipt: R = await handle.execute_update(
                message.update,
                args=[message.payload, *known],
                id=message.update_id,
                result_type=type(message.stored),
            )
            return receipt
        except WorkflowUpdateFailedError as error:
            said = again(error)
            if said is None:
                raise
            if said and not known:
                known = said
                continue  # at once: what is wanted is known now
            known = said or known
            if asyncio.get_running_loop().time() > until:
                raise TimeoutError from error
        except RPCError as error:
            if not _comes_again(error, message.update_id):
                raise
        await a_moment()


def _comes_again(error: RPCError, update_id: str) -> bool:
    """Whether an update is to be sent again. A server that came back doesn't know one that was refused
    without a trace while nobody heard its answer, and says so as of a request that has ended."""
    if error.status == RPCStatusCode.NOT_FOUND:
        return update_id in error.message or lacks_namespace(error)
    return error.status in _AGAIN and USED_UP not in error.message


async def a_moment() -> None:
    """So that those who were refused together don't come back together."""
    await asyncio.sleep(random.uniform(0.02, 0.1))  # noqa: S311 - hides nothing
