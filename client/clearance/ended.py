"""Requests that have ended, for whoever keeps a record of them beside Temporal's own."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus
from temporalio.service import RPCError

from . import attributes, contract, reading, stored
from .away import is_unknown
from .errors import InvalidRequest, NotFound, NoWorker
from .executions import carried
from .filters import instant, quoted
from .kept import Kept
from .models import Outcome, Status
from .record import Record
from .resuming import requested_at, resume
from .views import ApprovalView
from .workers import has_worker


class Ended:
    """The requests of one queue that have ended, as long as Temporal keeps them."""

    def __init__(
        self, client: Client, queue: str, answer_timeout: timedelta = timedelta(seconds=10)
    ) -> None:
        """Read them by this client."""
        self._client = client
        self.queue = queue
        self._timeout = answer_timeout

    async def is_served(self) -> bool:
        """Whether a worker is there, without which no whole record is to be had."""
        return await has_worker(self._client, self.queue)

    async def executions(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        approved: bool = False,
        limit: int | None = None,
    ) -> AsyncIterator[WorkflowExecution]:
        """Those that ended in this time, the latest first; malformed ones, which have failed, aside.

        Args:
            since: this time or later.
            until: before this time.
            approved: only what was approved.
            limit: at most this many.
        """
        status = attributes.STATUS.name
        parts = [
            f"WorkflowType = {quoted(contract.APPROVAL_WORKFLOW)}",
            f"TaskQueue = {quoted(self.queue)}",
            f"ExecutionStatus = 'Completed' AND {status} = 'approved'"
            if approved
            else "ExecutionStatus IN ('Completed', 'Terminated', 'Canceled', 'TimedOut')",
        ]
        parts += [f"CloseTime >= {quoted(instant('since', since))}"] if since else []
        parts += [f"CloseTime < {quoted(instant('until', until))}"] if until else []
        size = 1_000 if limit is None else min(limit, 1_000)
        query = " AND ".join(parts)
        async for one in self._client.list_workflows(query, limit=limit, page_size=size):
            yield one

    def status_of(self, execution: WorkflowExecution) -> Status | None:
        """How one of them ended; None where the list doesn't tell, as of old ones."""
        tells = execution.typed_search_attributes.get(attributes.STATUS) is not None
        completed = execution.status == WorkflowExecutionStatus.COMPLETED
        return stored.status_of(execution) if tells or not completed else None

    async def read(self, execution: WorkflowExecution) -> Kept:
        """The whole record of one, with what came of it.

        Raises:
            InvalidRequest: it was malformed, and asked nobody.
            InvalidKeys: it is encrypted by a key that is missing here.
            NoWorker: none has told it, or what it was to go on from is of another build's shape.
            NotFound: Temporal has forgotten it meanwhile.
            temporalio.service.RPCError: Temporal fails.
        """
        try:
            return await self._read(execution)
        except RPCError as error:
            if not is_unknown(error):
                raise
            raise NotFound(f"Temporal has forgotten {execution.id}") from error

    async def _read(self, execution: WorkflowExecution) -> Kept:
        handle = self._client.get_workflow_handle(execution.id, run_id=execution.run_id)
        view = await reading.view(handle, self._timeout)
        if not view.complete:
            if await self._was_begun(execution):
                raise NoWorker(f"no worker has told the record of {execution.id}")
            view = await self._never_begun(execution)
        if view.status == "approved" and not await self._is_latest(execution):
            # What ran is told under the id: it is what was asked later.
            events = [one for one in view.events if one.kind not in ("consumed", "executed")]
            view = view.model_copy(update={"events": events})
        return Kept(execution=execution.run_id, queue=self.queue, view=view)

    async def _is_latest(self, execution: WorkflowExecution) -> bool:
        latest = await self._client.get_workflow_handle(execution.id).describe()
        return latest.run_id == execution.run_id

    async def _was_begun(self, execution: WorkflowExecution) -> bool:
        """Whether a worker has ever seen this execution."""
        handle = self._client.get_workflow_handle(execution.id, run_id=execution.run_id)
        done = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
        async for event in handle.fetch_history_events():
            if event.event_type == done:
                return True
        return False

    async def _never_begun(self, execution: WorkflowExecution) -> ApprovalView:
        """The record of what was over before any worker saw it: it was asked, and withdrawn; or went on
        from an execution before, with all that was said in that."""
        handle = self._client.get_workflow_handle(execution.id, run_id=execution.run_id)
        request = await stored.request_of(handle)
        plain = request.model_copy(update={"grant": None})  # which would answer it
        try:
            state = await carried(self._client, execution.id, execution.run_id)
            began = execution.start_time if state is None else requested_at(state)
            record = Record(plain, approval_id=execution.id, requested_at=began)
            if state is not None:
                resume(record, state["record"])
        except (AttributeError, KeyError, TypeError, ValueError):
            raise NoWorker(f"what {execution.id} was to go on from can't be read here") from None
        outcome: Outcome = await stored.ended(self._client, execution, request.digest)
        if execution.close_time is None:
            raise InvalidRequest(f"{execution.id} has not ended")
        view = record.view().model_copy(update={"request": request})
        return reading.withdrawn(view, execution.close_time, outcome.explanation)
