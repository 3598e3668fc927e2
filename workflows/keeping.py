"""The ledger, as a request comes to it: once, at its end."""

import asyncio
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from activities.measuring import ledger_failed
    from clearance import contract
    from clearance.kept import HAND_OVER, Kept
    from clearance.record import Record
    from clearance.requests import ApprovalRequest
    from clearance.views import ApprovalView
    from workflows.patches import REQUESTS_ARE_HANDED_OVER, REQUESTS_ARE_KEPT


class Keeping:
    """Has a request kept in the ledger. Never in its way: what fails, the reconciliation does later."""

    def __init__(self, request: ApprovalRequest, record: Record) -> None:
        """For this record. Who asks by this version or a later one says so, which costs no event."""
        self._record = record
        self.hands = request.version >= 3 or (
            request.version == 1 and workflow.patched(REQUESTS_ARE_HANDED_OVER)
        )
        """Whether it is handed over after its end, and its end marked for that."""
        self.keeps = self.hands or request.version >= 2 or workflow.patched(REQUESTS_ARE_KEPT)
        """Whether it comes to the ledger at all by itself, and tells its audience."""
        self._ended: tuple[datetime, ApprovalView] | None = None

    async def keep(self, view: ApprovalView) -> None:
        """It has ended so. Before version 3: write all of it, by a local activity, one event more."""
        if self.hands:
            self._ended = workflow.now(), view
        elif self.keeps:
            await self._write(view)

    def hand_over(self) -> None:
        """Give the record to the worker, which writes it once the server has taken this task.

        To be called last of all. The record is that of the task that marked the end: the server's mark
        tells that this one counted, not whether a later one did. Where somebody tried something after it,
        while people were told, the reconciliation brings all of it.
        """
        taker = workflow.extern_functions().get(HAND_OVER)
        if self._ended is None or taker is None or workflow.unsafe.is_replaying():
            return
        at, view = self._ended
        if len(self._record.log.events) > len(view.events):
            if workflow.now() != at:
                return
            view = self._record.view()
        taker(self._kept(view), at)

    def _kept(self, view: ApprovalView) -> Kept:
        info = workflow.info()
        return Kept(execution=info.run_id, queue=info.task_queue, view=view)

    async def _write(self, view: ApprovalView) -> None:
        writing = workflow.start_local_activity(
            contract.ACTIVITY_KEEP,
            self._kept(view),
            start_to_close_timeout=timedelta(seconds=10),  # it takes a second or two at the most
            retry_policy=RetryPolicy(maximum_attempts=1),
        )
        try:
            try:
                await asyncio.shield(writing)
            except asyncio.CancelledError:  # comes once, and too late: it has ended
                await writing
        except FailureError:  # a local activity's own error comes as it is
            ledger_failed(workflow.metric_meter())
            workflow.logger.warning("the ledger has not taken this request yet")
