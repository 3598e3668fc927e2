"""Bringing something to its request: at once if a worker answers, stored by the server if not."""

import asyncio
from datetime import timedelta
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from pydantic import BaseModel
from temporalio.client import (
    Client,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.service import RPCError, RPCStatusCode

from . import contract, reading, rules, stored
from .away import PATIENCE, is_unknown, on_its_way
from .errors import OutcomeUnknown, Refused
from .ids import described, exactly
from .refusing import already_decided, is_cut_off, refusal
from .updating import USED_UP, Message, a_moment, update
from .views import ApprovalView
from .workers import Served, answered

R = TypeVar("R", bound=BaseModel)

_AT_ONCE = 3
"""Updates that one client has under way for one request. The server takes ten in all; one more, and
it gives up the task that the others are in, too, and all have to be tried again."""

_OPEN = WorkflowExecutionStatus.RUNNING


class _Lane:
    """What messages for one request share that are under way at the same time."""

    def __init__(self) -> None:
        self.slots = asyncio.Semaphore(_AT_ONCE)
        self.ended: ApprovalView | None = None
        """The record, which stays as it is from the request's end on."""


class Delivering:
    """What the methods that bring something to a request have in common."""

    def __init__(
        self, client: Client, queue: str, answer_timeout: timedelta, *, whole_ids: bool
    ) -> None:
        """With a connected client, the approvals queue, and how long a worker may take to answer."""
        self.temporal = client
        self._whole_ids = whole_ids
        self._queue = queue
        self._answer_timeout = answer_timeout
        self._served = Served(client)
        self._lanes: WeakValueDictionary[str, _Lane] = WeakValueDictionary()

    async def _described(self, id: str) -> WorkflowExecutionDescription:
        """The request that an id, or a beginning or end of one, means. Raises NotFound, Ambiguous."""
        if self._whole_ids:
            return await exactly(self.temporal, id)
        return await described(self.temporal, id)

    async def _handle(self, id: str) -> WorkflowHandle[Any, Any]:
        return self.temporal.get_workflow_handle((await self._described(id)).id)

    def _lane(self, id: str) -> _Lane:
        return self._lanes.setdefault(id, _Lane())

    async def _deliver(self, handle: WorkflowHandle[Any, Any], message: Message[R]) -> R:
        """Send an update; if nobody answers in time, leave the same message with the server, and look
        for a moment whether it was taken.

        Both may arrive: the id of the decision or the act makes them one.

        Raises:
            AlreadyDecided, Refused: it does not count, and why.
            OutcomeUnknown: Temporal stopped answering.
        """
        with on_its_way(handle.id, message.key):
            return await self._brought(handle, message)

    async def _brought(self, handle: WorkflowHandle[Any, Any], message: Message[R]) -> R:
        lane = self._lane(handle.id)  # kept until all is known: others may be under way, too
        try:
            async with asyncio.timeout(self._answer_timeout.total_seconds()), lane.slots:
                return await answered(handle, update(handle, message))
        except WorkflowUpdateFailedError as error:
            if is_cut_off(error):
                return await self._of_closed(handle, message, is_new=False)
            raise refusal(error) from error
        except WorkflowUpdateRPCTimeoutOrCancelledError:
            if (task := asyncio.current_task()) and task.cancelling():
                raise asyncio.CancelledError from None  # by the caller, not by the time
        except TimeoutError:
            pass
        except RPCError as error:
            if is_unknown(error):
                return await self._of_closed(handle, message, is_new=message.is_new)
            if error.status != RPCStatusCode.DEADLINE_EXCEEDED and USED_UP not in error.message:
                raise
        receipt = await self._leave(handle, message)
        if receipt is message.stored:
            return await self._find(handle, message) or receipt
        return receipt

    async def _leave(self, handle: WorkflowHandle[Any, Any], message: Message[R]) -> R:
        """Leave a message with the server, which stores it for the next worker.

        Raises:
            AlreadyDecided, Refused: the request takes nothing any more.
        """
        try:
            async with asyncio.timeout(PATIENCE):
                await handle.signal(message.signal, message.payload)
        except TimeoutError as error:
            raise OutcomeUnknown(handle.id, message.key) from error
        except RPCError as error:
            if is_unknown(error):
                return await self._of_closed(handle, message, is_new=False)
            if error.status == RPCStatusCode.INVALID_ARGUMENT:  # 10,000 signals: none any more
                raise Refused(f"{handle.id} takes nothing more: {error.message}") from error
            raise
        return message.stored

    async def _find(self, handle: WorkflowHandle[Any, Any], message: Message[R]) -> R | None:
        """What became of a stored message. None: nobody knows yet.

        Readings wait for what the server has stored before them: the first that is answered
        usually knows.

        Raises:
            AlreadyDecided: it was ended before a worker could read it.
        """
        try:
            async with asyncio.timeout(self._answer_timeout.total_seconds()):
                while True:
                    async with self._lane(handle.id).slots:
                        view = await _read(handle, self._answer_timeout / 4)
                    if view is not None and view.status != "pending":  # Temporal may know better
                        view = await reading.record(handle, self._answer_timeout)
                    if view is not None and (found := message.find(view)):
                        return found
                    if view is not None and (await handle.describe()).status != _OPEN:
                        break
                    await a_moment()
        except (TimeoutError, _NobodyAnswers):
            pass
        try:
            if (await handle.describe()).status == _OPEN:
                return None
            return await self._of_closed(handle, message, is_new=False)
        except (OutcomeUnknown, RPCError):  # it is stored, whatever became of it
            return None

    async def _of_closed(
        self,
        handle: WorkflowHandle[Any, Any],
        message: Message[R],
        *,
        is_new: bool,
    ) -> R:
        """The answer to what a closed request had taken before, coming another way.

        Raises:
            AlreadyDecided: it had not.
            OutcomeUnknown: no worker tells the record, and this may be in it.
        """
        if is_new:  # a worker would only read the whole history again, to say the same
            view = await stored.view_of(handle, await handle.describe())
        else:
            view = await self._ended(handle)
        if view.status == "pending":
            raise Refused(rules.CHANGED)  # its parent was reset, and asks anew under the same id
        if found := message.find(view):
            return found
        # None counts in what expired or was withdrawn.
        if not is_new and not view.complete and view.status in ("approved", "rejected"):
            raise OutcomeUnknown(handle.id, message.key, "no worker tells what became of this on")
        raise already_decided(view)

    async def _ended(self, handle: WorkflowHandle[Any, Any]) -> ApprovalView:
        """The record of a closed request, read once for all who ask for it together."""
        lane = self._lane(handle.id)
        async with lane.slots:
            view = lane.ended or await reading.record(handle, self._answer_timeout)
        if view.complete and view.status != "pending":
            lane.ended = view
        return view


class _NobodyAnswers(Exception):
    """No worker answers a reading."""


async def _read(handle: WorkflowHandle[Any, Any], timeout: timedelta) -> ApprovalView | None:
    """The record as a worker tells it; None where too many ask at once.

    Raises:
        _NobodyAnswers: no worker does, in that time.
    """
    try:
        asked = handle.query(contract.QUERY_VIEW, result_type=ApprovalView, rpc_timeout=timeout)
        found: ApprovalView = await answered(handle, asked)
    except RPCError as error:
        if error.status == RPCStatusCode.RESOURCE_EXHAUSTED:
            return None
        raise _NobodyAnswers from error
    except (TimeoutError, WorkflowQueryFailedError) as error:
        raise _NobodyAnswers from error
    return found
