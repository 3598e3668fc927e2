"""The ledger, as a request writes to it: once, at its end."""

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from activities.measuring import ledger_failed
    from clearance import contract
    from clearance.kept import Kept
    from clearance.record import Record


class Keeping:
    """Writes a request to the ledger. Never in its way: what fails, the reconciliation does later."""

    def __init__(self, record: Record, *, keeps: bool) -> None:
        """For this record."""
        self._record = record
        self.keeps = keeps

    async def keep(self) -> None:
        """Write all of it, by a local activity: one event in the history."""
        if not self.keeps:
            return
        info = workflow.info()
        kept = Kept(execution=info.run_id, queue=info.task_queue, view=self._record.view())
        writing = workflow.start_local_activity(
            contract.ACTIVITY_KEEP,
            kept,
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
