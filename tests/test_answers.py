"""More than yes or no: what a request asks for arrives as the model it was asked with."""

from datetime import date
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field, JsonValue, ValidationError
from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import Worker

from clearance import ApprovalClient, ApprovalRequest, InvalidRequest, Refused, Stage
from cli.settings import Settings

from .directory import ADA, BOB, EVE, kinds, replays
from .raw import ask, refusals
from .support import eventually, unique

with workflow.unsafe.imports_passed_through():
    from clearance import request_approval


class Choice(BaseModel):
    """What a buyer wants to know."""

    supplier: Literal["ACME", "Initech"]
    quantity: int = Field(ge=1, le=100)
    by: date | None = None


CHOOSE = ApprovalRequest(
    action="Choose a supplier", response_schema=Choice.model_json_schema(), audience=(ADA, BOB)
)
GOOD: JsonValue = {"supplier": "ACME", "quantity": 3, "by": "2026-12-24"}

pytestmark = pytest.mark.usefixtures("served")


async def test_an_answer_arrives_as_the_model_it_was_asked_with(approvals: ApprovalClient) -> None:
    asked = await approvals.request(CHOOSE)

    await approvals.approve(asked.id, reviewer=ADA, response=GOOD)

    outcome = await approvals.wait(asked.id)
    assert outcome.answer(Choice) == Choice(supplier="ACME", quantity=3, by=date(2026, 12, 24))
    assert outcome.response == GOOD
    view = await approvals.get(asked.id)
    assert view.decision is not None
    assert view.decision.response == GOOD
    await replays(approvals.temporal.get_workflow_handle(asked.id))


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (None, "this request asks for an answer: approve it with one"),
        ({"supplier": "Hooli", "quantity": 1}, "the answer doesn't fit what was asked: supplier"),
        ({"supplier": "ACME", "quantity": 0}, "quantity: must be at least 1"),
        ({"supplier": "ACME", "quantity": "3"}, "quantity: must be integer"),
        ({"supplier": "ACME", "quantity": True}, "quantity: must be integer"),
        ({"supplier": "ACME"}, "quantity"),
        ("ACME", "must be object"),
        (True, "must be object"),
    ],
)
async def test_an_approval_with_another_answer_or_none_does_not_count(
    approvals: ApprovalClient, answer: JsonValue, why: str
) -> None:
    asked = await approvals.request(CHOOSE)

    with pytest.raises(Refused) as raised:
        await approvals.approve(asked.id, reviewer=ADA, response=answer)

    assert why in str(raised.value)
    view = await approvals.get(asked.id)
    assert (view.status, kinds(view)) == ("pending", ["created", "refused"])


async def test_a_rejection_needs_no_answer_and_takes_none(approvals: ApprovalClient) -> None:
    asked = await approvals.request(CHOOSE)

    with pytest.raises(InvalidRequest, match="a rejection carries no response"):
        await approvals.reject(asked.id, reviewer=ADA, response=GOOD)
    await approvals.reject(asked.id, reviewer=ADA, reason="Neither")

    outcome = await approvals.wait(asked.id)
    assert (outcome.status, outcome.response) == ("rejected", None)
    with pytest.raises(ValidationError):
        outcome.answer(Choice)


async def test_an_answer_that_nobody_asked_for_is_refused(approvals: ApprovalClient) -> None:
    asked = await approvals.request("Pay")

    with pytest.raises(Refused, match="this request asks for no answer: approve it without"):
        await approvals.approve(asked.id, reviewer=ADA, response=True)


async def test_an_answer_of_more_than_16_kb_is_not_sent(approvals: ApprovalClient) -> None:
    asked = await approvals.request(CHOOSE)

    with pytest.raises(InvalidRequest, match="at most 16,384"):
        await approvals.approve(asked.id, reviewer=ADA, response="x" * 17_000)


async def test_an_answer_counts_only_of_who_may_decide_and_a_bare_signal_has_none(
    approvals: ApprovalClient,
) -> None:
    handle = await ask(approvals, CHOOSE.model_copy(update={"audience": ()}))
    asked = await approvals.request(CHOOSE)

    await handle.signal("approve", True)
    with pytest.raises(Refused, match="not in the audience"):
        await approvals.approve(asked.id, reviewer=EVE, response=GOOD)

    async def refused() -> list[str]:
        return await refusals(approvals, handle.id)

    assert await eventually(refused) == [
        "an answer has to be given to approve, and a bare signal carries none"
    ]


async def test_in_stages_the_last_one_answers(approvals: ApprovalClient) -> None:
    stages = (Stage(name="lead", audience=(ADA,)), Stage(name="buyer", audience=(BOB,)))
    asked = await approvals.request(CHOOSE.model_copy(update={"audience": (), "stages": stages}))

    with pytest.raises(Refused, match="the last stage gives the answer: approve this one without"):
        await approvals.approve(asked.id, reviewer=ADA, response=GOOD)
    await approvals.approve(asked.id, reviewer=ADA)
    with pytest.raises(Refused, match="this request asks for an answer"):
        await approvals.approve(asked.id, reviewer=BOB)
    await approvals.approve(asked.id, reviewer=BOB, response=GOOD)

    assert (await approvals.wait(asked.id)).answer(Choice).quantity == 3


@pytest.mark.parametrize(
    ("terms", "why"),
    [
        ({"audience": (ADA, BOB), "quorum": 2}, "one person answers, so the quorum is 1"),
        ({"response_schema": {"type": "strange"}}, "response_schema"),
        ({"response_schema": {"pattern": "(?=a)"}}, "response_schema"),
    ],
)
async def test_a_question_that_nobody_could_answer_is_refused(
    approvals: ApprovalClient, terms: dict[str, Any], why: str
) -> None:
    fields: dict[str, Any] = {"action": "Choose", "response_schema": {"type": "string"}, **terms}
    with pytest.raises((InvalidRequest, ValidationError), match=why):
        await approvals.wait((await approvals.request(ApprovalRequest(**fields))).id)


@workflow.defn(sandboxed=False)
class Buys:
    """Somebody else's workflow, as the documentation has it."""

    @workflow.run
    async def run(self, queue: str) -> str:
        outcome = await request_approval(CHOOSE, task_queue=queue)
        if not outcome.approved:
            return f"nothing: {outcome.reason}"
        choice = outcome.answer(Choice)
        return f"{choice.quantity} of {choice.supplier} by {choice.by}"


async def test_a_workflow_of_somebody_elses_gets_the_typed_answer(
    temporal: Client, settings: Settings, approvals: ApprovalClient
) -> None:
    queue = unique("buyers")
    async with Worker(temporal, task_queue=queue, workflows=[Buys]):
        handle = await temporal.start_workflow(
            Buys.run, settings.approvals_queue, id=unique("buys"), task_queue=queue
        )

        async def waits() -> bool:
            return bool([one async for one in approvals.pending(run=handle.id)])

        await eventually(waits)
        await approvals.approve(f"{handle.id}.1", reviewer=BOB, response=GOOD)
        assert await handle.result() == "3 of ACME by 2026-12-24"
