"""The bare pattern that everything is compared with, and its worker: ``python -m benchmarks.bare``.

A parent, a child that waits for a boolean, and a signal or an update that brings it: no record, no
deadline, no digest, no attributes. The child ends with its parent.
"""

import asyncio
import signal
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.worker import Worker

with workflow.unsafe.imports_passed_through():
    from benchmarks.measuring import moment

QUEUE = "bare"


@workflow.defn
class BareApproval:
    """Wait for a decision, answer it, end."""

    def __init__(self) -> None:
        self._approved: bool | None = None

    @workflow.run
    async def run(self, action: str) -> bool:
        await workflow.wait_condition(lambda: self._approved is not None)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._approved is True

    @workflow.signal
    def approve(self, approved: bool) -> None:
        """Decide, without an answer."""
        self._approved = approved

    @workflow.update
    def decide(self, decision: dict[str, Any]) -> bool:
        """Answer it. Returns that it counted."""
        self._approved = decision["approved"] is True
        return True

    @workflow.query
    def waits(self) -> bool:
        """Whether it does."""
        return self._approved is None


@activity.defn
async def act() -> int:
    """What is done after the approval, where that is an activity; returns when it began."""
    return moment()


@workflow.defn
class BareParent:
    """Ask, and go on."""

    @workflow.run
    async def run(self, acts: bool) -> int:
        """The ``moment`` at which it goes on, or at which its activity does. Raises unless approved."""
        approved = await workflow.execute_child_workflow(
            BareApproval.run,
            "Deploy?",
            id=f"{workflow.info().workflow_id}.1",
            parent_close_policy=workflow.ParentClosePolicy.TERMINATE,
        )
        assert approved is True
        if not acts:
            return moment()
        return await workflow.execute_activity(act, start_to_close_timeout=timedelta(minutes=1))


async def main() -> None:
    """Serve it until told to stop."""
    from clearance import connect

    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    kinds: dict[str, Any] = {"workflows": [BareApproval, BareParent], "activities": [act]}
    async with Worker(await connect(), task_queue=QUEUE, **kinds):
        print("ready", flush=True)
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main())
