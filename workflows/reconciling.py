"""``ReconcileWorkflow``: what the schedule starts that keeps the ledger complete."""

from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from clearance import contract


@workflow.defn(name=contract.RECONCILE_WORKFLOW)
class ReconcileWorkflow:
    """One reconciliation."""

    @workflow.run
    async def run(self) -> Any:
        """Have the ledger reconciled; returns what was done, and fails where it is away."""
        return await workflow.execute_activity(
            contract.ACTIVITY_RECONCILE,
            start_to_close_timeout=timedelta(hours=1),
            heartbeat_timeout=timedelta(minutes=2),
            retry_policy=RetryPolicy(maximum_attempts=3),  # then comes the next one anyway
        )
