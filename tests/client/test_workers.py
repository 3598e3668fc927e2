"""Who works on a queue, and how patient a worker is."""

import asyncio
import time
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from temporalio import workflow
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from clearance import ApprovalClient
from clearance.workers import answered, patient
from cli.settings import EmbeddedServer, Settings
from tests.conftest import Serve
from tests.processes import kill, worker_process
from tests.raw import ask, history, is_taken, only
from tests.support import eventually, unique


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


async def test_a_killed_worker_is_waited_for_once_and_the_next_one_answers_at_once(
    temporal: Client, settings: Settings, server: EmbeddedServer, serve: Serve
) -> None:
    queue = settings.approvals_queue
    client = ApprovalClient(temporal, task_queue=queue, answer_timeout=timedelta(seconds=3))
    waiting = ApprovalClient(temporal, task_queue=queue, answer_timeout=timedelta(days=1))
    ids = [(await client.request(f"Pay {n}")).id for n in range(2)]
    forgetful = {"CLEARANCE_WORKFLOW_CACHE": "0"}  # so that no task waits for it in particular
    async with worker_process(settings, server.address, "approvals", **forgetful) as worker:
        for id in ids:
            await eventually(partial(is_taken, temporal.get_workflow_handle(id)))
        await kill(worker)

    assert not (await client.get(ids[0])).complete  # after three seconds
    async with asyncio.timeout(60):  # of the day that an answer may take
        receipts = [await waiting.approve(id, reviewer="ada") for id in ids]

    assert await client.is_served()  # as far as anybody knows
    assert [one.in_effect for one in receipts] == [False, False]
    async with serve():
        for id in ids:
            assert (await client.wait(id, timedelta(seconds=30))).approved
        assert (await client.approve((await client.request("Pay")).id, reviewer="ada")).in_effect


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
