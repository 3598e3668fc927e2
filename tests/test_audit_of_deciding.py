"""What somebody hostile tries with a request: to open it, or to wedge it so that nobody can."""

import asyncio
from typing import Any

import pytest
from temporalio.client import Client

import worker
from clearance import ApprovalClient, ApprovalRequest, Stage
from cli.settings import Settings

from .directory import reviewed
from .raw import ask, decision, impatient

with_a_worker = pytest.mark.usefixtures("worker_running")


@with_a_worker
async def test_names_of_many_bytes_handed_a_request_do_not_wedge_it(
    approvals: ApprovalClient,
) -> None:
    asked = await approvals.request(ApprovalRequest(action="Pay", audience=("ada",)))

    await approvals.delegate(asked.id, to="\N{GRINNING FACE}" * 200, who="ada")

    async with asyncio.timeout(20):
        receipt = await approvals.approve(asked.id, reviewer="ada")
        assert receipt.status == "approved"


@with_a_worker
async def test_quotes_in_names(approvals: ApprovalClient) -> None:
    asked = await approvals.request(ApprovalRequest(action="Pay", audience=("ada",)))
    for one in "abcdef":
        await approvals.delegate(asked.id, to=one + '"' * 199, who="ada")
    async with asyncio.timeout(20):
        receipt = await approvals.approve(asked.id, reviewer="ada")
        assert receipt.status == "approved"


@with_a_worker
@pytest.mark.parametrize("deep", [150, 185, 190, 193, 195, 196, 197])
async def test_deep(approvals: ApprovalClient, deep: int) -> None:
    request = ApprovalRequest(action="Pay", response_schema={"type": "array"})
    handle = await ask(approvals, request)
    answer: Any = []
    for _ in range(deep - 1):
        answer = [answer]
    try:
        print(deep, await asyncio.wait_for(handle.execute_update("decide", decision(request, response=answer)), 10))
    except Exception as error:
        print("update", repr(error), repr(error.__cause__))
    try:
        print(deep, (await asyncio.wait_for(approvals.get(handle.id), 10)).status)
    except Exception as error:
        print("get", repr(error)[:300])
    try:
        print(deep, (await asyncio.wait_for(approvals.wait(handle.id), 10)).status)
    except Exception as error:
        print("wait", repr(error)[:300])
    try:
        print(deep, [one.status async for one in approvals.history()])
    except Exception as error:
        print("history", repr(error)[:300])


async def test_a_worker_without_the_directory_does_not_forget_who_asked(
    settings: Settings, connection: dict[str, Any], temporal: Client, approvals: ApprovalClient
) -> None:
    listing = reviewed(settings)
    request = ApprovalRequest(
        action="Pay", audience=("ada@example.com", "bob@example.com"), requester="ada"
    )
    async with worker.running(listing, connection):
        asked = await approvals.request(request)
        await approvals.get(asked.id)

    async with worker.running(settings, connection):
        sender = impatient(temporal, settings)
        try:
            receipt = await sender.approve(asked.id, reviewer="ada@example.com")
            print(receipt)
        except Exception as error:
            print(repr(error))
        assert (await approvals.get(asked.id)).status == "pending"


async def test_many_stored_changes_of_large_arguments_do_not_wedge_a_request(
    settings: Settings, connection: dict[str, Any], approvals: ApprovalClient
) -> None:
    arguments: dict[str, Any] = {"amount": 1, "numbers": [1] * 100_000, "password": "secret-word"}
    stages = [Stage(name=f"s{one}", audience=("ada", "bob"), when=f"args.amount > {one + 1000}") for one in range(9)]
    request = ApprovalRequest(
        action="Pay",
        tool="pay",
        arguments=arguments,
        editable=True,
        stages=(*stages, Stage(name="last", audience=("ada", "bob"))),
    ).concealed()
    handle = await ask(approvals, request)
    for one in range(12):
        changed = {**request.arguments, "amount": one + 2}
        now = request.with_arguments({**request.arguments, "amount": one + 1}) if one else request
        await handle.signal("record_decision", decision(now, arguments=changed, reviewer="ada", stage=10))
    async with worker.running(settings, connection), asyncio.timeout(40):
        view = await approvals.get(handle.id)
        print(view.status, view.complete, len(view.events))
        while not view.complete:
            view = await approvals.get(handle.id)
            await asyncio.sleep(0.5)
        print([e.kind + e.reason for e in view.events])


async def test_malformed_and_approved(
    settings: Settings, connection: dict[str, Any], temporal: Client, approvals: ApprovalClient
) -> None:
    handle = await temporal.start_workflow(
        "ApprovalWorkflow", {"action": ""}, id="mal-" + settings.approvals_queue, task_queue=settings.approvals_queue,
        start_signal="approve", start_signal_args=[True],
    )
    async with worker.running(settings, connection):
        try:
            await handle.result()
        except Exception as error:
            print(repr(error.__cause__))
        print(await handle.query("view"))
        try:
            print((await approvals.get(handle.id)).status)
        except Exception as error:
            print(repr(error))
