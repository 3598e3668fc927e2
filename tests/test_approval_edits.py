"""Approving with changes, on a real server: what a reviewer wrote is what was approved, and no more."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from clearance import (
    ApprovalClient,
    ApprovalRequest,
    GrantTerms,
    InvalidRequest,
    Outcome,
    Refused,
    approved_arguments,
    contract,
)
from cli.settings import Settings

from .conftest import Serve
from .raw import Handle, ask, decision, impatient, refusals

ADA, BOB = "ada@example.com", "bob@example.com"
CHANGED = "the request changed since you read it: read it again, then decide"

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "to": {"type": "string"},
        "amount": {"type": "integer", "minimum": 1, "maximum": 1_000},
        "pin": {"type": "string", "pattern": "^[0-9]{4}-[0-9]{4}$"},
    },
    "required": ["to", "amount", "pin"],
    "additionalProperties": False,
}

PAY = ApprovalRequest(
    action="Pay 100 to Ada",
    tool="pay",
    arguments={"to": "Ada", "amount": 100, "pin": "0000-1111"},
    editable=True,
    arguments_schema=SCHEMA,
    description_template="Pay {amount} to {to}",
    expires_in=None,
)
PAY_BY_TWO = PAY.model_copy(
    update={"audience": (ADA, BOB), "quorum": 2, "self_approval": ("editor",)}
)

with_a_worker = pytest.mark.usefixtures("served")


@with_a_worker
async def test_the_changes_are_what_is_approved_and_both_versions_stay_on_record(
    approvals: ApprovalClient,
) -> None:
    asked = await approvals.request(PAY)

    receipt = await approvals.approve(asked.id, reviewer=ADA, changes={"amount": 80})

    assert (receipt.status, receipt.in_effect) == ("approved", True)
    outcome = await approvals.wait(asked.id)
    assert approved_arguments(PAY, outcome) == {"to": "Ada", "amount": 80, "pin": "0000-1111"}
    view = await approvals.get(asked.id)
    assert view.request.arguments == {"to": "Ada", "amount": 100, "pin": "[masked]"}
    assert view.current.arguments == {"to": "Ada", "amount": 80, "pin": "[masked]"}
    assert (view.request.action, view.current.action) == ("Pay 100 to Ada", "Pay 80 to Ada")
    assert view.edit == outcome.edit
    assert [event.kind for event in view.events] == ["created", "edited", "approved"]


@with_a_worker
async def test_temporals_own_page_shows_the_difference(approvals: ApprovalClient) -> None:
    asked = await approvals.request(PAY_BY_TWO)

    await approvals.approve(asked.id, reviewer=ADA, changes={"amount": 80})

    handle = approvals.temporal.get_workflow_handle(asked.id)
    page = (await handle.query("__temporal_workflow_metadata")).current_details
    assert "amount: 100 -> 80" in page
    assert "pin: [masked]" in page
    assert "0000" not in page


@with_a_worker
@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"to": "Ada", "amount": 0}, "amount: must be at least 1"),
        ({"to": "Ada", "amount": 1_001}, "amount: must be at most 1000"),
        ({"to": "Ada", "amount": "80"}, "amount: must be integer"),
        ({"to": "Ada", "amount": 80.5}, "amount: must be integer"),
        ({"to": "Ada", "amount": True}, "amount: must be integer"),
        ({"to": "Ada", "amount": None}, "amount: must be integer"),
        ({"amount": 80}, "to: is required"),
        ({"to": "Ada", "amount": 80, "more": 1}, "more: is not an argument"),
        (
            {"to": "Ada", "amount": 80, "pin": "2222-2222"},
            "the masked argument /pin can't be changed",
        ),
    ],
)
async def test_changes_that_do_not_fit_are_refused_and_it_goes_on_waiting(
    approvals: ApprovalClient, arguments: dict[str, Any], why: str
) -> None:
    asked = await approvals.request(PAY)

    with pytest.raises(Refused) as refused:
        await approvals.approve(asked.id, reviewer=ADA, arguments={"pin": "[masked]", **arguments})

    assert why in str(refused.value)
    view = await approvals.get(asked.id)
    assert (view.status, view.edit, view.digest) == ("pending", None, asked.digest)
    assert [event.kind for event in view.events] == ["created", "refused"]
    assert (await approvals.approve(asked.id, reviewer=ADA)).status == "approved"


@with_a_worker
async def test_a_huge_integer_and_odd_texts_arrive_exactly(approvals: ApprovalClient) -> None:
    request = ApprovalRequest(action="x", tool="t", arguments={"a": 1}, editable=True)
    wanted: dict[str, Any] = {
        "a": 2**64 + 1,
        "b": "e\u0301 \u202e 😀 \0",
        "c": [1.0, 1, -0.0, 1e300, None, {"": []}],
    }
    asked = await approvals.request(request)

    await approvals.approve(asked.id, reviewer=ADA, arguments=wanted)

    outcome = await approvals.wait(asked.id)
    assert repr(approved_arguments(request, outcome)) == repr(wanted)


@with_a_worker
async def test_all_arguments_may_go_where_nothing_says_otherwise(approvals: ApprovalClient) -> None:
    request = ApprovalRequest(action="x", tool="t", arguments={"a": 1}, editable=True)
    asked = await approvals.request(request)

    await approvals.approve(asked.id, reviewer=ADA, arguments={})

    outcome = await approvals.wait(asked.id)
    assert outcome.edit is not None
    assert approved_arguments(request, outcome) == {}


Send = Callable[[Handle, dict[str, Any]], Awaitable[Any]]


async def by_update(handle: Handle, sent: dict[str, Any]) -> None:
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await handle.execute_update(contract.UPDATE_DECIDE, sent)
    assert isinstance(refused.value.cause, ApplicationError)
    assert refused.value.cause.type == contract.ERROR_REFUSED


async def by_signal(handle: Handle, sent: dict[str, Any]) -> None:
    await handle.signal(contract.SIGNAL_DECIDE, sent)


@with_a_worker
@pytest.mark.parametrize("send", [by_update, by_signal])
async def test_a_stale_digest_is_refused_by_either_way(
    approvals: ApprovalClient, send: Send
) -> None:
    handle = await ask(approvals, PAY_BY_TWO)
    before = (await approvals.get(handle.id)).digest
    await approvals.approve(handle.id, reviewer=ADA, changes={"amount": 80})

    await send(handle, decision(PAY, reviewer=BOB, digest=before))

    assert await refusals(approvals, handle.id) == [CHANGED]
    assert (await approvals.get(handle.id)).status == "pending"


@with_a_worker
async def test_without_a_digest_a_decision_is_on_the_request_as_it_is_now(
    approvals: ApprovalClient,
) -> None:
    asked = await approvals.request(PAY_BY_TWO)
    await approvals.approve(asked.id, reviewer=ADA, changes={"amount": 80})

    receipt = await approvals.approve(asked.id, reviewer=BOB)

    assert (receipt.status, receipt.approvals) == ("approved", 2)
    assert (await approvals.wait(asked.id)).edit is not None


@with_a_worker
async def test_changes_are_merged_into_what_was_read_never_into_what_somebody_made_of_it(
    approvals: ApprovalClient,
) -> None:
    asked = await approvals.request(PAY_BY_TWO)
    await approvals.approve(asked.id, reviewer=ADA, changes={"amount": 80})

    for digest in (asked.digest, "0" * 64):
        with pytest.raises(Refused, match=CHANGED):
            await approvals.approve(asked.id, reviewer=BOB, digest=digest, changes={"to": "Bo"})
    await approvals.approve(asked.id, reviewer=BOB, changes={"to": "Bo"})

    assert (await approvals.get(asked.id)).current.arguments == {
        "to": "Bo",
        "amount": 80,
        "pin": "[masked]",
    }


async def test_an_edit_that_the_server_stored_takes_effect_later_and_once_if_it_fits(
    temporal: Client, settings: Settings, approvals: ApprovalClient, serve: Serve
) -> None:
    alone = impatient(temporal, settings)
    asked, misfit = await alone.request(PAY), await alone.request(PAY)
    how: dict[str, Any] = {"reviewer": ADA, "decision_id": "one"}

    stored = await alone.approve(asked.id, changes={"amount": 80}, **how)
    further = await asyncio.gather(
        alone.approve(asked.id, changes={"amount": 80}, **how),
        alone.approve(asked.id, reviewer=BOB, changes={"amount": 70}),
        alone.approve(misfit.id, reviewer=ADA, changes={"amount": "much"}),
    )

    assert {one.in_effect for one in (stored, *further)} == {False}
    async with serve():
        outcome = await approvals.wait(asked.id)
        view = await approvals.get(asked.id)
        late = await approvals.approve(asked.id, changes={"amount": 80}, **how)
        [why] = set(await refusals(approvals, misfit.id))
        assert (await approvals.get(misfit.id)).status == "pending"
    assert approved_arguments(PAY, outcome)["amount"] == 80
    assert outcome.decision is not None
    assert (outcome.decision.reviewer, late.recorded_at) == (ADA, outcome.decision.at)
    kinds = [event.kind for event in view.events]
    assert kinds[:3] == ["created", "edited", "approved"]
    assert set(kinds[3:]) == {"refused"}  # the other one, which came as an update too
    assert "amount: must be integer" in why


async def test_what_was_approved_with_changes_is_read_without_a_worker_too(
    temporal: Client, settings: Settings, approvals: ApprovalClient, serve: Serve
) -> None:
    async with serve():
        asked = await approvals.request(PAY)
        await approvals.approve(asked.id, reviewer=ADA, changes={"amount": 80})
        outcome = await approvals.wait(asked.id)

    view = await impatient(temporal, settings).get(asked.id)

    assert (view.complete, view.status, view.edit) == (False, "approved", outcome.edit)
    assert outcome.edit is not None
    assert view.digest == outcome.edit.digest


@with_a_worker
async def test_of_ten_edits_at_once_one_counts_and_the_others_are_refused(
    approvals: ApprovalClient,
) -> None:
    asked = await approvals.request(PAY)

    async def edit(number: int) -> Any:
        return await approvals.approve(
            asked.id, reviewer=f"reviewer-{number}", changes={"amount": 500 + number}
        )

    answers = await asyncio.gather(*(edit(n) for n in range(10)), return_exceptions=True)

    outcome = await approvals.wait(asked.id)
    assert outcome.decision is not None
    winner = int(str(outcome.decision.reviewer).rpartition("-")[2])
    assert approved_arguments(PAY, outcome)["amount"] == 500 + winner
    assert sum(isinstance(one, Refused) for one in answers) == 9


@with_a_worker
@pytest.mark.parametrize("editable", [False, ("to",)])
async def test_what_may_not_be_changed_is_not(
    approvals: ApprovalClient, editable: bool | tuple[str, ...]
) -> None:
    asked = await approvals.request(PAY.model_copy(update={"editable": editable}))

    with pytest.raises(Refused, match=r"takes no changes|amount can't be changed"):
        await approvals.approve(asked.id, reviewer=ADA, changes={"amount": 80})


async def test_arguments_and_changes_together_are_nothing_one_could_mean(
    approvals: ApprovalClient,
) -> None:
    with pytest.raises(InvalidRequest, match="either arguments, all of them, or changes"):
        await approvals.approve("any", reviewer=ADA, arguments={}, changes={})


@with_a_worker
@pytest.mark.parametrize(
    ("condition", "why"),
    [
        ("args.amount <= 100", None),
        ("true", None),
        ("tool == 'pay' && args.to == 'Ada'", None),
        ("args.amount > 100", "doesn't hold for this very call"),
        ("args.nothing == 1", "can't be evaluated for this very call"),
        ("args.amount <=", "is no CEL expression"),
        ("1", ""),
    ],
)
async def test_a_condition_for_further_calls_has_to_hold_for_this_one(
    approvals: ApprovalClient, condition: str, why: str | None
) -> None:
    asked = await approvals.request(PAY.model_copy(update={"grantable": True}))
    terms = GrantTerms(condition=condition, max_uses=3)

    if why is None:
        assert (await approvals.approve(asked.id, reviewer=ADA, grant=terms)).in_effect
        outcome: Outcome = await approvals.wait(asked.id)
        assert outcome.grant == terms
    else:
        with pytest.raises(Refused) as refused:
            await approvals.approve(asked.id, reviewer=ADA, grant=terms)
        assert why in str(refused.value)
        assert (await approvals.get(asked.id)).status == "pending"


@with_a_worker
async def test_a_condition_is_tried_on_the_changed_arguments(approvals: ApprovalClient) -> None:
    asked = await approvals.request(PAY.model_copy(update={"grantable": True}))
    terms = GrantTerms(condition="args.amount <= 80")

    with pytest.raises(Refused, match="doesn't hold"):
        await approvals.approve(asked.id, reviewer=ADA, grant=terms)
    receipt = await approvals.approve(asked.id, reviewer=ADA, grant=terms, changes={"amount": 80})

    assert receipt.status == "approved"
