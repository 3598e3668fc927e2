"""What one approval costs in history events, beside the bare pattern it grew from.

``python -m benchmarks.history_events`` starts a server of its own, in memory. The bare pattern is
a parent, a child that blocks on a condition, and a signal with a boolean: no deadline, no record,
no attributes. The parent's share is what its history has more than that of a parent that asks
nobody.
"""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from typing import Any

from temporalio import workflow
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker

with workflow.unsafe.imports_passed_through():
    import worker
    from clearance import ApprovalClient, ApprovalRequest, request_approval
    from cli import embedded
    from cli.settings import Settings

ROUNDS = 5
"""How workflow tasks fall together differs from run to run; the median is shown."""

PEOPLE = ("ada@example.com", "grace@example.com", "mary@example.com")

Decide = Callable[[Client, str], Awaitable[Any]]


@workflow.defn
class BareApproval:
    """The seed: wait for a signal."""

    def __init__(self) -> None:
        self._approved: bool | None = None

    @workflow.run
    async def run(self, action: str) -> bool:
        await workflow.wait_condition(lambda: self._approved is not None)
        return self._approved is True

    @workflow.signal
    def approve(self, approved: bool) -> None:
        self._approved = approved


@workflow.defn
class Parent:
    """Asks in one of several ways, then ends."""

    @workflow.run
    async def run(self, way: str, queue: str) -> None:
        child = f"{workflow.info().workflow_id}.1"
        if way == "bare":
            await workflow.execute_child_workflow(
                BareApproval.run,
                "Deploy?",
                id=child,
                parent_close_policy=workflow.ParentClosePolicy.TERMINATE,
            )
        elif way == "clearance":
            await request_approval("Deploy?", task_queue=queue)
        elif way == "clearance, no deadline":
            request = ApprovalRequest(action="Deploy?", expires_in=None)
            await request_approval(request, task_queue=queue)
        elif way == "clearance, audience":
            request = ApprovalRequest(action="Deploy?", audience=PEOPLE)
            await request_approval(request, task_queue=queue)
        elif way == "clearance, two of three":
            request = ApprovalRequest(action="Deploy?", audience=PEOPLE, quorum=2)
            await request_approval(request, task_queue=queue)


async def by_signal(client: Client, id: str) -> None:
    """The bare ``approve(bool)``."""
    await client.get_workflow_handle(id).signal("approve", True)


async def by_update(client: Client, id: str) -> None:
    """A whole decision, answered at once."""
    receipt = await ApprovalClient(client).approve(id, reviewer="ada@example.com")
    assert receipt.in_effect


async def by_two_updates(client: Client, id: str) -> None:
    """Two people's decisions."""
    for person in PEOPLE[:2]:
        assert (await ApprovalClient(client).approve(id, reviewer=person)).in_effect


async def events(handle: WorkflowHandle[Any, Any]) -> list[int]:
    """The types of all events so far."""
    return [event.event_type async for event in handle.fetch_history_events()]


async def waits(client: Client, id: str) -> bool:
    """Whether the child has run its first workflow task and the parent knows of its start."""
    done = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    parent = await events(client.get_workflow_handle(id.removesuffix(".1")))
    if EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED not in parent or parent[-1] != done:
        return False
    return done in await events(client.get_workflow_handle(id))


async def one(client: Client, way: str, decide: Decide | None, queue: str) -> tuple[int, int]:
    """Run one parent; the number of events of its child and of its own."""
    id = f"parent-{asyncio.get_running_loop().time()}"
    handle = await client.start_workflow(
        Parent.run, args=[way, queue], id=id, task_queue="benchmark"
    )
    if decide is None:
        await handle.result()
        return 0, len(await events(handle))
    child = client.get_workflow_handle(f"{id}.1")
    while not await waits(client, child.id):
        await asyncio.sleep(0.02)
    await decide(client, child.id)
    await handle.result()
    return len(await events(child)), len(await events(handle))


async def measure(client: Client, queue: str) -> list[tuple[str, str, int, int]]:
    """Way, decided by, events of the child, parent's share."""
    empty = min([(await one(client, "nobody", None, queue))[1] for _ in range(ROUNDS)])
    rows = []
    for way, name, decide in (
        ("bare", "signal", by_signal),
        ("clearance", "signal", by_signal),
        ("clearance", "update", by_update),
        ("clearance, no deadline", "signal", by_signal),
        ("clearance, no deadline", "update", by_update),
        ("clearance, audience", "update", by_update),
        ("clearance, two of three", "2 updates", by_two_updates),
    ):
        counts = [await one(client, way, decide, queue) for _ in range(ROUNDS)]
        child, parent = (int(median(column)) for column in zip(*counts, strict=True))
        rows.append((way, name, child, parent - empty))
    return rows


async def main() -> None:
    """Measure and print the table."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(state=Path(folder))
        async with (
            embedded.server(settings.state, in_memory=True, ports=(0, 0)) as server,
            worker.running(settings, {"target_host": server.address}) as serving,
            Worker(serving.client, task_queue="benchmark", workflows=[Parent, BareApproval]),
        ):
            rows = await measure(serving.client, settings.approvals_queue)
    base = rows[0][2] + rows[0][3]
    print(f"{'pattern':24}{'decided by':12}{'child':>6}{'parent':>8}{'total':>7}{'ratio':>7}")
    for way, name, child, parent in rows:
        total = child + parent
        print(f"{way:24}{name:12}{child:>6}{parent:>8}{total:>7}{total / base:>7.2f}")


if __name__ == "__main__":
    asyncio.run(main())
