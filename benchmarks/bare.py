"""The bare pattern that decisions are compared with, and its worker: ``python -m benchmarks.bare``."""

import asyncio
import signal
from typing import Any

from temporalio import workflow
from temporalio.worker import Worker

QUEUE = "bare"


@workflow.defn
class BareApproval:
    """Wait for a decision, answer it, end: no record, no deadline, no digest, no attributes."""

    def __init__(self) -> None:
        self._approved: bool | None = None

    @workflow.run
    async def run(self, action: str) -> bool:
        await workflow.wait_condition(lambda: self._approved is not None)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._approved is True

    @workflow.update
    def decide(self, decision: dict[str, Any]) -> bool:
        """Answer it. Returns that it counted."""
        self._approved = decision["approved"] is True
        return True

    @workflow.query
    def waits(self) -> bool:
        """Whether it does."""
        return self._approved is None


async def main() -> None:
    """Serve it until told to stop."""
    from clearance import connect

    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with Worker(await connect(), task_queue=QUEUE, workflows=[BareApproval]):
        print("ready", flush=True)
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main())
