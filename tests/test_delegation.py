"""Deciding for somebody else: handed over for one request, or standing in the directory with dates."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from clearance import ApprovalClient, ApprovalRequest, Refused, Stage, attributes
from cli.settings import Settings

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
    kinds,
    listed,
    replays,
    reviewed,
    rewrite,
    stand_in,
)
from .raw import ask, decision
from .support import eventually

PAY = ApprovalRequest(
    action="Pay", tool="pay", arguments={"cents": 100}, editable=True, audience=(ADA, BOB)
)

with_a_worker = pytest.mark.usefixtures("served")


@pytest.fixture(scope="module")
def lasting(lasting: Settings) -> Settings:
    return reviewed(lasting)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return reviewed(settings)


def having(**terms: Any) -> ApprovalRequest:
    return PAY.model_copy(update=terms)


@with_a_worker
async def test_whom_it_was_handed_to_decides_and_the_record_says_for_whom(
    approvals: ApprovalClient,
) -> None:
    asked = await approvals.request(PAY)
    with pytest.raises(Refused, match="not in the audience"):
        await approvals.approve(asked.id, reviewer=GRACE)

    handed = await approvals.delegate(asked.id, to=GRACE, who="ada", reason="on leave")
    receipt = await approvals.approve(asked.id, reviewer="gh")

    assert (handed.status, handed.in_effect, receipt.status) == ("pending", True, "approved")
    view = await approvals.get(asked.id)
    assert kinds(view) == ["created", "refused", "delegated", "approved"]
    delegated, approved = view.events[2:]
    assert (delegated.who, delegated.to, delegated.reason) == ("ada", GRACE, "on leave")
    assert (approved.who, approved.on_behalf_of) == ("gh", ADA)
    [one] = view.delegations
    assert (one.principal, one.to, one.by) == (ADA, GRACE, "ada")
    assert view.decision is not None
    assert view.decision.by == f"gh for {ADA}"
    outcome = await approvals.wait(asked.id)
    assert outcome.decision is not None
    assert outcome.decision.on_behalf_of == ADA
    await replays(approvals.temporal.get_workflow_handle(asked.id))


@with_a_worker
async def test_of_the_two_only_one_counts_and_who_handed_it_over_keeps_their_right(
    approvals: ApprovalClient,
) -> None:
    asked = await approvals.request(having(quorum=2))
    other = await approvals.request(having(quorum=2))
    for id in (asked.id, other.id):
        await approvals.delegate(id, to=GRACE, who=ADA)

    await approvals.approve(asked.id, reviewer=GRACE)
    with pytest.raises(Refused, match=f"{ADA} has approved already, through {GRACE} for {ADA}"):
        await approvals.approve(asked.id, reviewer=ADA)
    await approvals.approve(other.id, reviewer=ADA)
    with pytest.raises(Refused, match=f"{ADA} has approved already"):
        await approvals.approve(other.id, reviewer=GRACE)

    for id in (asked.id, other.id):
        assert len((await approvals.get(id)).approvals) == 1
        assert (await approvals.approve(id, reviewer=BOB)).status == "approved"


@with_a_worker
async def test_what_was_handed_over_can_be_handed_on_but_not_back(
    approvals: ApprovalClient,
) -> None:
    asked = await approvals.request(having(audience=(ADA,)))
    await approvals.delegate(asked.id, to=GRACE, who=ADA)

    await approvals.delegate(asked.id, to=MARY, who=GRACE)
    with pytest.raises(Refused, match=f"{GRACE} decides for {ADA}: handing it back makes a circle"):
        await approvals.delegate(asked.id, to=ADA, who=GRACE)

    view = await approvals.get(asked.id)
    assert [(one.principal, one.to, one.by) for one in view.delegations] == [
        (ADA, GRACE, ADA),
        (ADA, MARY, GRACE),
    ]
    assert view.events[2].on_behalf_of == ADA
    await approvals.approve(asked.id, reviewer=MARY)
    outcome = await approvals.wait(asked.id)
    assert outcome.decision is not None
    assert outcome.decision.by == f"{MARY} for {ADA}"


@with_a_worker
@pytest.mark.parametrize(
    ("who", "to", "why"),
    [
        (CLEO, GRACE, f"{CLEO} is not in the audience, and has nothing to hand over"),
        (ADA, EVE, f"reviewers.toml does not list {EVE}: is it misspelt?"),
        (ADA, "group:finance", "group:finance is a group: hand it to a person"),
        (ADA, "Ada", "can't hand it over to themselves"),
        (ADA, MARY, f"{MARY} asked for this: somebody else has to approve it"),
    ],
)
async def test_what_cannot_be_handed_over_is_refused_and_recorded(
    approvals: ApprovalClient, who: str, to: str, why: str
) -> None:
    asked = await approvals.request(having(requester=MARY))

    with pytest.raises(Refused) as raised:
        await approvals.delegate(asked.id, to=to, who=who)

    assert why in str(raised.value)
    view = await approvals.get(asked.id)
    assert (kinds(view), view.delegations) == (["created", "refused"], [])
    assert view.events[-1].reason == str(raised.value)


@with_a_worker
async def test_where_anyone_may_decide_there_is_nothing_to_hand_over(
    approvals: ApprovalClient,
) -> None:
    asked = await approvals.request("Pay")

    with pytest.raises(Refused, match="there is nothing to hand over"):
        await approvals.delegate(asked.id, to=GRACE, who=ADA)


async def test_without_a_directory_it_is_handed_to_anybody(
    approvals: ApprovalClient, settings: Settings, serve: Serve
) -> None:
    settings.reviewers = None
    async with serve():
        asked = await approvals.request(PAY)
        await approvals.delegate(asked.id, to="Eve@Example.com", who=ADA.upper())
        await approvals.approve(asked.id, reviewer=EVE)
        outcome = await approvals.wait(asked.id)
    assert outcome.decision is not None
    assert outcome.decision.by == f"{EVE} for {ADA}"


def day(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).date().isoformat()


@with_a_worker
async def test_a_standing_delegation_holds_in_its_days_alone(
    approvals: ApprovalClient, settings: Settings
) -> None:
    text = PEOPLE + stand_in(ADA, GRACE, day(-2), day(2)) + stand_in(BOB, MARY, day(-9), day(-3))
    rewrite(settings, text + stand_in(CLEO, MARY, day(3), day(9)))
    asked = await approvals.request(having(audience=("group:board",), quorum=2))

    for name in (MARY, EVE):
        with pytest.raises(Refused, match=f"{name} is not in the audience"):
            await approvals.approve(asked.id, reviewer=name)
    receipt = await approvals.approve(asked.id, reviewer=GRACE)

    assert (receipt.status, receipt.approvals) == ("pending", 1)
    view = await approvals.get(asked.id)
    assert [one.by for one in view.approvals] == [f"{GRACE} for {ADA}"]
    assert view.delegations == [], "those of the directory are nobody's doing here"
    with pytest.raises(Refused, match=f"ada has approved already, through {GRACE} for {ADA}"):
        await approvals.approve(asked.id, reviewer="ada")
    assert (await approvals.approve(asked.id, reviewer=CLEO)).status == "approved"


@with_a_worker
async def test_who_stands_in_for_several_counts_once(
    approvals: ApprovalClient, settings: Settings
) -> None:
    rewrite(settings, PEOPLE + always(ADA, GRACE) + always(BOB, GRACE) + always(GRACE, MARY))
    asked = await approvals.request(having(quorum=2))

    await approvals.approve(asked.id, reviewer=GRACE)
    with pytest.raises(Refused, match=f"{GRACE} has approved already"):
        await approvals.approve(asked.id, reviewer=GRACE)

    receipt = await approvals.approve(asked.id, reviewer=MARY)  # for Grace, and so for Bob
    assert (receipt.status, receipt.approvals) == ("approved", 2)
    assert [one.on_behalf_of for one in (await approvals.get(asked.id)).approvals] == [ADA, BOB]


@with_a_worker
async def test_who_stands_in_for_somebody_hands_that_over_on_their_behalf(
    approvals: ApprovalClient, settings: Settings
) -> None:
    rewrite(settings, PEOPLE + always(ADA, GRACE))
    asked = await approvals.request(having(audience=("ada",)))

    await approvals.delegate(asked.id, to=MARY, who=GRACE)

    [one] = (await approvals.get(asked.id)).delegations
    assert (one.principal, one.to, one.by) == (ADA, MARY, GRACE)
    assert (await approvals.approve(asked.id, reviewer=MARY)).status == "approved"


@with_a_worker
async def test_who_changed_the_arguments_does_not_approve_them_through_somebody_else(
    approvals: ApprovalClient, settings: Settings
) -> None:
    rewrite(settings, PEOPLE + always(ADA, GRACE))
    asked = await approvals.request(having(audience=("group:board",)))

    edited = await approvals.approve(asked.id, reviewer=GRACE, changes={"cents": 50})
    assert not edited.counted
    for name in (ADA, GRACE):
        with pytest.raises(Refused, match="changed the arguments: somebody else has to"):
            await approvals.approve(asked.id, reviewer=name)
    assert (await approvals.approve(asked.id, reviewer=BOB)).status == "approved"


@pytest.mark.usefixtures("worker_running")  # nothing else waits there
async def test_what_was_handed_over_is_found_by_whom_it_was_handed_to(
    approvals: ApprovalClient,
) -> None:
    asked = await approvals.request(PAY)
    handle = approvals.temporal.get_workflow_handle(asked.id)
    await eventually(lambda: listed(approvals, reviewer=ADA))
    assert await listed(approvals, reviewer=GRACE) == set()

    await approvals.delegate(asked.id, to=GRACE, who=ADA)

    await eventually(lambda: listed(approvals, reviewer=GRACE))
    assert await listed(approvals, reviewer="nobody", also=("Grace@example.com",)) == {asked.id}
    assert await listed(approvals, audience=GRACE) == {asked.id}
    [line] = [one async for one in approvals.pending()]
    assert (line.audience, line.delegates) == ((ADA, BOB), (GRACE,))
    described = (await handle.describe()).typed_search_attributes
    assert list(described.get(attributes.AUDIENCE) or ()) == [ADA, BOB, GRACE]


@with_a_worker
async def test_what_was_handed_over_in_one_stage_counts_where_the_principal_is_asked_again(
    approvals: ApprovalClient,
) -> None:
    stages = (
        Stage(name="lead", audience=(ADA,)),
        Stage(name="director", audience=(BOB,)),
        Stage(name="second look", audience=(ADA,)),
    )
    asked = await approvals.request(ApprovalRequest(action="Pay", stages=stages))
    await approvals.delegate(asked.id, to=GRACE, who=ADA)

    await approvals.approve(asked.id, reviewer=GRACE)
    with pytest.raises(Refused, match=f"{GRACE} is not in the audience"):
        await approvals.approve(asked.id, reviewer=GRACE)
    await approvals.approve(asked.id, reviewer=BOB)

    assert (await approvals.approve(asked.id, reviewer=GRACE)).status == "approved"


async def test_a_delegation_and_a_decision_that_the_server_stored_count_in_their_order(
    approvals: ApprovalClient, serve: Serve
) -> None:
    handle = await ask(approvals, PAY)
    act = {"kind": "delegated", "who": ADA, "to": GRACE, "act_id": "one"}
    await handle.signal("record_decision", decision(PAY, reviewer=GRACE))
    await handle.signal("record_act", act)
    await handle.signal("record_act", act)
    await handle.signal("record_decision", decision(PAY, reviewer=GRACE))

    async with serve():
        assert (await approvals.wait(handle.id)).approved
        view = await approvals.get(handle.id)
    assert kinds(view) == ["created", "refused", "delegated", "approved"]
    await replays(handle)
