"""Who works on a queue, and how patient a worker is."""

import asyncio
import time
from datetime import timedelta
from typing import Any

import pytest
from temporalio import workflow
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from clearance import ApprovalClient
from clearance.workers import answered, patient
from cli.settings import Settings
from tests.raw import ask, history, only
from tests.support import unique


@workflow.defn
class Slow:
    """Its only task takes longer than the SDK's own two seconds."""

    @workflow.run
    async def run(self) -> str:
        time.sleep(2.2)  # noqa: ASYNC251 - what a busy machine does to any task
        return "done"


async def test_a_task_that_takes_seconds_is_not_taken_for_stuck(temporal: Client) -> None:
    queue = unique("slow")
    worker = Worker(
        temporal, task_queue=queue, workflows=[Slow], workflow_runner=UnsandboxedWorkflowRunner()
    )

    async with patient(worker):
        handle = await temporal.start_workflow(Slow.run, id=queue, task_queue=queue)
        assert await handle.result() == "done"

    events = await history(handle)
    assert not only(events, EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED)


async def test_nobody_waits_for_an_answer_where_nobody_works(
    temporal: Client, settings: Settings
) -> None:
    client = ApprovalClient(
        temporal, task_queue=settings.approvals_queue, answer_timeout=timedelta(days=1)
    )
    asked = await client.request("Deploy")

    receipt = await client.approve(asked.id, reviewer="ada")

    assert not receipt.in_effect
    assert not (await client.get(asked.id)).complete


async def test_who_stops_waiting_stops_asking(approvals: ApprovalClient) -> None:
    handle = await ask(approvals, "Deploy")
    begun, ended = asyncio.Event(), asyncio.Event()

    async def asking() -> Any:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    waiting = asyncio.create_task(answered(handle, asking()))
    await begun.wait()
    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert ended.is_set()
