"""Asking, reading and deciding from a service, with a worker there and without."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.common import WorkflowIDReusePolicy

from clearance import (
    ApprovalClient,
    ApprovalRequest,
    InvalidRequest,
    Outcome,
    WaitTimeout,
    contract,
)
from cli.settings import Settings
from tests.conftest import Serve
from tests.support import unique

ADA = {"reviewer": "ada@example.com"}
SECONDS = timedelta(seconds=60)
"""For what comes at once: longer than any machine should need."""

with_a_worker = pytest.mark.usefixtures("worker_running")

WHOLE = ApprovalRequest(
    action="é" * 500,
    details="é" * (contract.MAX_DETAILS_BYTES // 2),
    tool="t" * 200,
    arguments={"text": "x" * (contract.MAX_ARGUMENTS_BYTES - len('{"text":""}'))},
    run_id="r" * 200,
    requester="ü" * 200,
    checkpoint="c" * 200,
    risk="critical",
    audience=("a" * 200,) * 10,
    expires_in=None,
)
"""At every limit at once."""


@pytest.fixture
def alone(temporal: Client, settings: Settings) -> ApprovalClient:
    """For tests without a worker: doesn't wait long for an answer that can't come."""
    return ApprovalClient(
        temporal,
        task_queue=settings.approvals_queue,
        answer_timeout=timedelta(milliseconds=200),
    )


async def start(approvals: ApprovalClient, request: Any, **how: Any) -> str:
    """An approval as a foreign program starts it: no attributes, no memo."""
    description = await approvals.temporal.get_workflow_handle(
        (await approvals.request("only to learn the queue")).id
    ).describe()
    handle = await approvals.temporal.start_workflow(
        *(contract.APPROVAL_WORKFLOW, request),
        **{"id": unique("foreign"), "task_queue": description.task_queue, **how},
    )
    return handle.id


async def terminate(approvals: ApprovalClient, id: str) -> None:
    await approvals.temporal.get_workflow_handle(id).terminate()


async def test_a_bare_string_asks_for_its_action(alone: ApprovalClient) -> None:
    asked = await alone.request("Deploy")

    assert asked.id.startswith("approval-")
    assert (asked.action, asked.status) == ("Deploy", "pending")
    assert asked.digest == ApprovalRequest(action="Deploy").digest
    assert asked.deadline == asked.requested_at + contract.DEFAULT_EXPIRY


async def test_a_request_at_every_limit_reaches_its_reader_whole(alone: ApprovalClient) -> None:
    asked = await alone.request(WHOLE)

    view = await alone.get(asked.id)
    assert view.request == WHOLE.sent()
    assert (view.digest, view.deadline) == (WHOLE.digest, None)
    assert view.digest == asked.digest


@pytest.mark.parametrize("action", ["", " ", "x" * 501, None, 5])
async def test_a_malformed_string_is_no_request(alone: ApprovalClient, action: Any) -> None:
    with pytest.raises(InvalidRequest, match="action: "):
        await alone.request(action)

    assert [one async for one in alone.pending()] == []


@with_a_worker
async def test_a_pending_request_is_read_whole(approvals: ApprovalClient) -> None:
    asked = await approvals.request(WHOLE)

    view = await approvals.get(asked.id)

    assert (view.status, view.complete, view.request) == ("pending", True, WHOLE.sent())
    assert [event.kind for event in view.events] == ["created"]


async def test_without_a_worker_the_server_alone_is_read(alone: ApprovalClient) -> None:
    id = await start(alone, {"action": "Deploy", "audience": ["ada"]})

    view = await alone.get(id)

    assert (view.status, view.complete, view.events) == ("pending", False, [])
    assert view.request == ApprovalRequest(action="Deploy", audience=("ada",))
    assert view.deadline == view.requested_at + contract.DEFAULT_EXPIRY


async def test_a_decided_request_is_read_with_and_without_a_worker(
    alone: ApprovalClient, approvals: ApprovalClient, serve: Serve
) -> None:
    asked = await alone.request("Deploy")
    async with serve():
        await approvals.reject(asked.id, reason="no", **ADA)
        await approvals.wait(asked.id, SECONDS)
        view = await approvals.get(asked.id)

    stored = await alone.get(asked.id)

    assert view.complete
    assert [event.kind for event in view.events] == ["created", "rejected"]
    assert not stored.complete
    assert stored.status == view.status == "rejected"
    assert stored.decision == view.decision
    assert view.decision is not None
    assert (view.decision.by, view.decision.reason) == ("ada@example.com", "no")


async def test_a_withdrawn_request_is_read_with_and_without_a_worker(
    alone: ApprovalClient, approvals: ApprovalClient, serve: Serve
) -> None:
    asked = await alone.request("Deploy")
    await terminate(alone, asked.id)

    assert (await alone.get(asked.id)).status == "withdrawn"
    async with serve():
        assert (await approvals.get(asked.id)).status == "withdrawn"


async def test_what_is_no_request_says_so_with_and_without_a_worker(
    alone: ApprovalClient, approvals: ApprovalClient, serve: Serve
) -> None:
    id = await start(alone, {"action": ""})

    with pytest.raises(InvalidRequest, match=f"{id} is no valid request"):
        await alone.get(id)
    async with serve():
        with pytest.raises(InvalidRequest, match="action: String should have at least 1 char"):
            await approvals.wait(id, SECONDS)
        for reading in (approvals.get(id), approvals.approve(id, **ADA)):
            with pytest.raises(InvalidRequest, match=f"{id} is no valid request"):
                await reading


@with_a_worker
async def test_waiting_returns_the_outcome_to_everybody(approvals: ApprovalClient) -> None:
    asked = await approvals.request("Deploy")
    waiting = [asyncio.create_task(approvals.wait(asked.id, SECONDS)) for _ in range(3)]

    await approvals.approve(asked.id, **ADA)

    outcomes = await asyncio.gather(*waiting)
    assert all(isinstance(one, Outcome) and one.approved for one in outcomes)
    assert await approvals.wait(asked.id) == outcomes[0]


@pytest.mark.parametrize("timeout", [timedelta(0), timedelta(milliseconds=200)])
async def test_waiting_gives_up_and_the_request_waits_on(
    alone: ApprovalClient, timeout: timedelta
) -> None:
    asked = await alone.request("Deploy")

    with pytest.raises(WaitTimeout) as caught:
        await alone.wait(asked.id, timeout)

    assert isinstance(caught.value, TimeoutError)
    assert str(caught.value) == f"{asked.id} still waits for a decision"
    assert (await alone.get(asked.id)).status == "pending"


async def test_waiting_for_a_request_that_is_terminated_ends_withdrawn(
    alone: ApprovalClient,
) -> None:
    asked = await alone.request("Deploy")
    waiting = asyncio.create_task(alone.wait(asked.id, SECONDS))

    await terminate(alone, asked.id)

    outcome = await waiting
    assert (outcome.status, outcome.approval_id) == ("withdrawn", asked.id)
    assert (outcome.digest, outcome.decision) == (asked.digest, None)
    assert outcome.reason == "the request was withdrawn"


@with_a_worker
async def test_waiting_goes_on_when_a_request_is_replaced_under_its_id(
    approvals: ApprovalClient,
) -> None:
    id = await start(approvals, "Deploy")
    waiting = asyncio.create_task(approvals.wait(id, SECONDS))
    await approvals.get(id)

    policy = WorkflowIDReusePolicy.TERMINATE_IF_RUNNING
    assert await start(approvals, "Deploy", id=id, id_reuse_policy=policy) == id
    await approvals.approve(id, **ADA)

    assert (await waiting).approved
