"""Talking about a request, and ending it undecided: comments, questions, answers, withdrawals."""

import asyncio
import json

import pytest
from temporalio.client import Client

from clearance import (
    AlreadyDecided,
    ApprovalClient,
    ApprovalRequest,
    InvalidRequest,
    Refused,
    Stage,
    contract,
)
from cli.settings import Settings

from .agent_runs import played, told
from .conftest import Serve
from .directory import (
    ADA,
    BOB,
    CLEO,
    EVE,
    GRACE,
    MARY,
    PEOPLE,
    always,
    forgetful,
    kinds,
    replays,
    reviewed,
    rewrite,
)
from .directory import told as record
from .office import done, policed
from .raw import ask, impatient, refusals
from .support import call, eventually

OTTO = "otto@example.com"
PAY = ApprovalRequest(action="Pay", audience=("group:finance",), requester=MARY)
STAGED = ApprovalRequest(
    action="Pay",
    requester=MARY,
    stages=(
        Stage(name="lead", audience=(ADA,)),
        Stage(name="director", audience=(BOB,), escalate_to=(CLEO,)),
    ),
)

with_a_worker = pytest.mark.usefixtures("worker_running")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return reviewed(settings)


@with_a_worker
async def test_a_question_is_answered_by_who_asked_and_nothing_is_decided(
    approvals: ApprovalClient,
) -> None:
    asked = await approvals.request(PAY)

    await approvals.comment(asked.id, "Looks like last month's.", who="ada", channel="inbox")
    await approvals.ask(asked.id, "With tax?", who=BOB)
    await approvals.answer(asked.id, "Yes.", who=MARY.upper())
    receipt = await approvals.answer(asked.id, "It is.", who=OTTO)

    assert (receipt.status, receipt.in_effect) == ("pending", True)
    view = await approvals.get(asked.id)
    assert [(one.kind, one.who, one.reason, one.channel) for one in view.events[1:]] == [
        ("commented", "ada", "Looks like last month's.", "inbox"),
        ("asked", BOB, "With tax?", "client"),
        ("answered", MARY.upper(), "Yes.", "client"),
        ("answered", OTTO, "It is.", "client"),
    ]
    assert (await approvals.approve(asked.id, reviewer=BOB)).status == "approved"
    await replays(approvals.temporal.get_workflow_handle(asked.id))


@with_a_worker
async def test_only_those_it_concerns_talk_about_it(approvals: ApprovalClient) -> None:
    asked = await approvals.request(PAY)

    for who in (CLEO, EVE):
        with pytest.raises(Refused, match=f"{who} is not in the audience"):
            await approvals.comment(asked.id, "Me too!", who=who)
    with pytest.raises(Refused, match=f"{BOB} did not ask for this: only who did answers"):
        await approvals.answer(asked.id, "Yes.", who=BOB)

    view = await approvals.get(asked.id)
    assert kinds(view) == ["created"] + ["refused"] * 3
    assert all("Me too" not in event.reason for event in view.events)


@with_a_worker
@pytest.mark.parametrize("who", [ADA, BOB, CLEO, MARY, GRACE])
async def test_those_of_every_stage_and_who_stands_in_for_them_talk_from_the_first_on(
    approvals: ApprovalClient, settings: Settings, who: str
) -> None:
    rewrite(settings, PEOPLE + always(BOB, GRACE))
    asked = await approvals.request(STAGED)

    assert (await approvals.comment(asked.id, "Later.", who=who)).in_effect


@with_a_worker
async def test_the_same_comment_sent_again_is_one(approvals: ApprovalClient) -> None:
    handle = await ask(approvals, PAY)
    act = {"kind": "commented", "who": ADA, "text": "Hm.", "act_id": "one"}

    first = await approvals.comment(handle.id, "Hm.", who=ADA, act_id="one")
    again = await approvals.comment(handle.id, "Hm.", who=ADA, act_id="one", channel="cli")
    await handle.signal(contract.SIGNAL_ACT, act)
    with pytest.raises(Refused, match="another act had this id"):
        await approvals.comment(handle.id, "Something else.", who=ADA, act_id="one")

    assert first == again
    assert kinds(await approvals.get(handle.id)) == ["created", "commented", "refused"]


@with_a_worker
async def test_what_says_nothing_is_not_sent(approvals: ApprovalClient) -> None:
    asked = await approvals.request(PAY)

    for text in ("", " \n", "x" * 4_001):
        with pytest.raises(InvalidRequest):
            await approvals.comment(asked.id, text, who=ADA)

    assert kinds(await approvals.get(asked.id)) == ["created"]


async def test_what_is_said_while_no_worker_is_there_is_kept(
    temporal: Client, settings: Settings, approvals: ApprovalClient, serve: Serve
) -> None:
    alone = impatient(temporal, settings)
    handle = await ask(alone, ApprovalRequest(action="Pay", audience=(ADA,), requester=MARY))
    receipts = await asyncio.gather(
        alone.comment(handle.id, "Hm.", who="ada"), alone.comment(handle.id, "No.", who=EVE)
    )
    assert not any(one.in_effect for one in receipts)
    await handle.signal(contract.SIGNAL_ACT, {"kind": "commented"})
    await handle.signal(contract.SIGNAL_ACT, 7)

    async with serve():

        async def all_there() -> bool:
            reasons = await refusals(approvals, handle.id)
            return sum(one.startswith("malformed act: ") for one in reasons) == 2

        await eventually(all_there)
        view = await approvals.get(handle.id)
    # The update may have reached the server, too: what counts is once there all the same.
    assert kinds(view).count("commented") == 1
    assert {who for kind, who in record(view) if kind == "refused"} == {EVE, None}
    assert view.status == "pending"


@with_a_worker
@pytest.mark.parametrize("who", [MARY, MARY.upper(), OTTO])
async def test_who_asked_or_an_operator_withdraws_it(approvals: ApprovalClient, who: str) -> None:
    asked = await approvals.request(PAY)

    receipt = await approvals.withdraw(asked.id, who=who, reason="not needed")

    assert (receipt.status, receipt.in_effect) == ("withdrawn", True)
    outcome = await approvals.wait(asked.id)
    assert (outcome.status, outcome.approved) == ("withdrawn", False)
    assert outcome.reason == f"withdrawn by {who}: not needed"
    with pytest.raises(AlreadyDecided, match="already withdrawn"):
        await approvals.approve(asked.id, reviewer=ADA)
    view = await approvals.get(asked.id)
    assert (view.status, kinds(view)) == ("withdrawn", ["created", "withdrawn"])

    async def in_the_history() -> list[str]:
        return [one.reason async for one in approvals.history(status="withdrawn")]

    assert await eventually(in_the_history) == [outcome.reason]
    await replays(approvals.temporal.get_workflow_handle(asked.id))


@with_a_worker
@pytest.mark.parametrize("who", [ADA, CLEO, "group:desk", ""])
async def test_nobody_else_withdraws_it(approvals: ApprovalClient, who: str) -> None:
    asked = await approvals.request(PAY)

    with pytest.raises((Refused, InvalidRequest)):
        await approvals.withdraw(asked.id, who=who)

    assert (await approvals.get(asked.id)).status == "pending"


@with_a_worker
async def test_what_nobody_is_known_to_have_asked_anybody_withdraws_who_might_decide_it(
    approvals: ApprovalClient,
) -> None:
    anyone, named = (
        await approvals.request("Pay"),
        await approvals.request(ApprovalRequest(action="Pay", audience=(ADA,))),
    )

    assert (await approvals.withdraw(anyone.id, who=EVE)).status == "withdrawn"
    with pytest.raises(Refused, match=f"{ADA} neither asked for this nor is an operator"):
        await approvals.withdraw(named.id, who=ADA)


@with_a_worker
async def test_a_withdrawal_in_the_middle_of_its_stages_ends_it(approvals: ApprovalClient) -> None:
    asked = await approvals.request(STAGED)
    await approvals.approve(asked.id, reviewer=ADA)

    await approvals.withdraw(asked.id, who=MARY)

    view = await approvals.get(asked.id)
    assert [one.status for one in view.stages] == ["done", "ended"]
    assert (await approvals.wait(asked.id)).reason == f"withdrawn by {MARY}"


@pytest.mark.parametrize("decided", [True, False], ids=["decided first", "cancelled first"])
async def test_a_decision_that_waited_for_a_worker_beside_a_cancellation_counts(
    approvals: ApprovalClient, serve: Serve, decided: bool
) -> None:
    """Both are in the request's very first task."""
    handle = await ask(approvals, "Pay")
    for is_decision in (decided, not decided):
        await (handle.signal("approve", True) if is_decision else handle.cancel())

    async with serve():
        assert (await approvals.wait(handle.id)).approved
        assert kinds(await approvals.get(handle.id)) == ["created", "approved"]
    await replays(handle)


async def test_who_read_it_and_who_was_told_is_kept_once_each(
    temporal: Client, settings: Settings, approvals: ApprovalClient
) -> None:
    """Also by a worker that keeps nothing in memory."""
    async with forgetful(temporal, settings):
        asked = await approvals.request(PAY)
        for who in (ADA, ADA.upper(), EVE):
            assert not (await approvals.viewed(asked.id, who=who)).in_effect
        await approvals.notified(asked.id, who=BOB, reason="by mail")

        async def kept() -> bool:
            return len((await approvals.get(asked.id)).events) == 4

        await eventually(kept)
        view = await approvals.get(asked.id)
    assert [(one.kind, one.who, one.reason) for one in view.events[1:]] == [
        ("viewed", ADA, ""),
        ("viewed", EVE, ""),
        ("notified", BOB, "by mail"),
    ]


POLICY = """
    [[checkpoint]]
    checkpoint_id = "payments"
    action_pattern = "^pay$"
    audience = ["group:finance"]
    on_reject = "stop"
"""


@pytest.mark.parametrize("who", ["mary@example.com", OTTO])
async def test_the_agent_is_told_who_withdrew_it_and_why_and_goes_on(
    settings: Settings, approvals: ApprovalClient, serve: Serve, who: str
) -> None:
    with_policy = policed(settings, POLICY)
    settings.policy, settings.agents = with_policy.policy, with_policy.agents
    turn = [call("pay", json.dumps({"to": "Ada", "cents": 100}))]
    play = played(settings, serve)
    async with play(turn, agent="payer", requester=MARY) as (run, model):
        [waiting] = await run.waits_for()
        await approvals.withdraw(waiting.id, who=who, reason="she kept it")
        result = await run.result()
    assert told(model) == {"call_1": f"Withdrawn: withdrawn by {who}: she kept it"}
    assert (result.output, done(run.handle.id)) == ("Finished.", [])
