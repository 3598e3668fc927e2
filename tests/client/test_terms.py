"""Asking and deciding where groups and stages are named."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio import workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

with workflow.unsafe.imports_passed_through():
    from clearance import (
        ApprovalClient,
        ApprovalRequest,
        InvalidRequest,
        Refused,
        Stage,
        contract,
        request_approval,
    )
    from cli.settings import Settings
    from tests.conftest import Serve
    from tests.raw import impatient
    from tests.support import eventually, unique

ADA, BOB, EVE = "ada@example.com", "bob@example.com", "eve@example.com"

CHAIN = ApprovalRequest(
    action="Buy",
    stages=(
        Stage(name="manager", audience=(ADA, BOB), quorum=2),
        Stage(name="cfo", audience=(EVE, ADA)),
    ),
)

with_a_worker = pytest.mark.usefixtures("worker_running")


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    """With a directory of one group."""
    file = tmp_path / "reviewers.toml"
    file.write_text(f'[groups]\nfinance = ["{ADA}", "{BOB}"]\n')
    return settings.model_copy(update={"reviewers": file})


@pytest.fixture
def approvals(temporal: Client, settings: Settings) -> ApprovalClient:
    """With the patience to hear what a busy worker says of a new request."""
    queue, patience = settings.approvals_queue, timedelta(seconds=30)
    return ApprovalClient(temporal, task_queue=queue, answer_timeout=patience)


UNSATISFIABLE: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown group": (
        {"audience": ("group:finanse",)},
        "group:finanse: reviewers.toml has no such group",
    ),
    "an unknown group to escalate to": (
        {"audience": (ADA,), "escalate_to": ("group:none",)},
        "group:none: reviewers.toml has no such group",
    ),
    "a group that is too small": (
        {"audience": ("group:finance",), "quorum": 3},
        "quorum is 3, but only 2 may decide",
    ),
}


@with_a_worker
@pytest.mark.parametrize("name", UNSATISFIABLE)
async def test_what_the_directory_shows_to_be_impossible_is_told_to_whoever_asks(
    approvals: ApprovalClient, name: str
) -> None:
    terms, why = UNSATISFIABLE[name]
    own_id = unique("own")
    request = ApprovalRequest.model_validate({"action": "Pay", **terms})

    with pytest.raises(InvalidRequest, match=why):
        await approvals.request(request, id=own_id)

    for reading in (approvals.get(own_id), approvals.wait(own_id)):
        with pytest.raises(InvalidRequest, match=why):
            await reading
    assert [one async for one in approvals.history()] == []


@workflow.defn
class AsksTwo:
    """Asks for two approvals, of nobody in particular."""

    @workflow.run
    async def run(self, queue: str) -> None:
        await request_approval(ApprovalRequest(action="Pay", quorum=2), task_queue=queue)


async def test_what_nobody_could_ever_approve_is_not_asked_by_a_workflow_either(
    temporal: Client, approvals: ApprovalClient
) -> None:
    queue = unique("parents")
    runner = UnsandboxedWorkflowRunner()
    async with Worker(temporal, task_queue=queue, workflows=[AsksTwo], workflow_runner=runner):
        with pytest.raises(WorkflowFailureError) as caught:
            await temporal.execute_workflow(
                AsksTwo.run, queue, id=unique("parent"), task_queue=queue
            )

    cause = caught.value.cause
    assert isinstance(cause, ApplicationError)
    assert (cause.type, cause.message) == (
        contract.ERROR_INVALID_REQUEST,
        "a quorum of 2 needs an audience: name who may decide",
    )


@with_a_worker
async def test_somebody_of_a_group_decides(approvals: ApprovalClient) -> None:
    asked = await approvals.request(ApprovalRequest(action="Pay", audience=("group:Finance",)))

    assert (await approvals.approve(asked.id, reviewer=BOB)).status == "approved"


async def test_without_a_worker_a_group_is_asked_all_the_same(
    temporal: Client, settings: Settings, approvals: ApprovalClient, serve: Serve
) -> None:
    request = ApprovalRequest(action="Pay", audience=("group:finance",))
    asked = await impatient(temporal, settings).request(request)

    assert asked.status == "pending"
    async with serve():
        assert (await approvals.approve(asked.id, reviewer=BOB)).status == "approved"


@with_a_worker
async def test_a_decision_that_names_no_stage_is_of_the_one_that_is_asked(
    approvals: ApprovalClient,
) -> None:
    asked = await approvals.request(CHAIN)

    receipts = [await approvals.approve(asked.id, reviewer=who) for who in (ADA, BOB, EVE)]

    told = [(one.status, one.approvals, one.quorum, one.stage) for one in receipts]
    assert told == [
        ("pending", 1, 2, "manager"),
        ("pending", 2, 2, "manager"),
        ("approved", 1, 1, "cfo"),
    ]
    assert [one.next_stage for one in receipts] == [None, "cfo", None]


@with_a_worker
async def test_what_was_decided_of_a_stage_that_is_over_is_not_taken_for_the_next(
    approvals: ApprovalClient,
) -> None:
    asked = await approvals.request(CHAIN)
    for who in (ADA, BOB):
        await approvals.approve(asked.id, reviewer=who)

    with pytest.raises(Refused, match="stage 1 is not asked: it is stage 2 now, cfo"):
        await approvals.approve(asked.id, reviewer=ADA, stage=1)
    with pytest.raises(InvalidRequest, match="stage: Input should be greater than or equal to 1"):
        await approvals.approve(asked.id, reviewer=ADA, stage=0)

    assert (await approvals.get(asked.id)).status == "pending"


@with_a_worker
async def test_an_approval_sent_again_by_another_way_is_told_as_it_was_counted(
    approvals: ApprovalClient,
) -> None:
    asked = await approvals.request(CHAIN)
    first = await approvals.approve(asked.id, reviewer=ADA, decision_id="one", stage=1)
    await approvals.approve(asked.id, reviewer=BOB)
    await approvals.approve(asked.id, reviewer=EVE)

    # Under another update id, so that the server has no stored answer to it.
    again = await approvals.approve(
        asked.id, reviewer=ADA, decision_id="one", stage=1, reason="sure"
    )

    assert (again.status, again.recorded_at) == ("approved", first.recorded_at)
    assert (again.stage, again.approvals, again.quorum, again.counted) == ("manager", 2, 2, True)
    assert again.next_stage == "cfo"


async def test_a_stored_decision_names_the_stage_that_was_asked(
    temporal: Client, settings: Settings, approvals: ApprovalClient, serve: Serve
) -> None:
    alone = impatient(temporal, settings)
    asked = await alone.request(CHAIN)
    for who in (ADA, BOB):
        assert not (await alone.approve(asked.id, reviewer=who)).in_effect

    async with serve():

        async def is_counted() -> bool:  # once it is known who they are
            return (await approvals.get(asked.id)).stage == 2

        await eventually(is_counted)
        assert (await approvals.reject(asked.id, reviewer=EVE)).stage == "cfo"


@with_a_worker
async def test_a_typed_answer_reaches_whoever_asked(approvals: ApprovalClient) -> None:
    schema = {"type": "object", "properties": {"days": {"type": "integer"}}, "required": ["days"]}
    asked = await approvals.request(
        ApprovalRequest(action="How long?", response_schema=schema, expires_in=timedelta(days=1))
    )

    with pytest.raises(Refused, match="asks for an answer"):
        await approvals.approve(asked.id, reviewer=ADA)
    with pytest.raises(Refused, match="days"):
        await approvals.approve(asked.id, reviewer=ADA, response={"days": "three"})
    await approvals.approve(asked.id, reviewer=ADA, response={"days": 3})

    assert (await approvals.wait(asked.id)).response == {"days": 3}
