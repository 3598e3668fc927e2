"""Groups that a sign-in vouches for: they count where the directory says so, and nowhere else."""

from typing import Any

import pytest

from clearance import ApprovalClient, ApprovalRequest, InvalidRequest, Refused, Stage
from cli.settings import Settings

from .conftest import Serve
from .directory import ADA, BOB, EVE, GRACE, MARY, PEOPLE, always, kinds, replays, reviewed, rewrite
from .raw import decision

SIGNED = PEOPLE + '\n[sign_in]\ngroups = ["sre", "Finance"]\n'
"""``eve`` is no more in this file than in the other."""

NESTED = SIGNED.replace(
    'board = ["group:finance", "cleo@example.com"]', 'board = ["group:sre", "cleo@example.com"]'
)

PAY = ApprovalRequest(
    action="Pay", tool="pay", arguments={"cents": 100}, editable=True, audience=("group:finance",)
)
FINANCE, SRE = ("group:finance",), ("GROUP:Sre",)

with_a_worker = pytest.mark.usefixtures("worker_running")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return reviewed(settings, SIGNED)


def having(**terms: Any) -> ApprovalRequest:
    return ApprovalRequest.model_validate({**dict(PAY), **terms})


@with_a_worker
async def test_whom_a_sign_in_vouches_for_decides_and_the_record_says_as_one_of_whom(
    approvals: ApprovalClient,
) -> None:
    asked = await approvals.request(PAY)
    with pytest.raises(Refused, match=r"eve@example.com is not in the audience \(group:finance\)"):
        await approvals.approve(asked.id, reviewer=EVE)

    receipt = await approvals.approve(asked.id, reviewer=EVE, groups=["Group:FINANCE", "group:x"])

    assert (receipt.status, receipt.in_effect) == ("approved", True)
    events = (await approvals.get(asked.id)).events
    assert [(one.kind, one.who, one.through) for one in events] == [
        ("created", None, None),
        ("refused", EVE, None),
        ("approved", EVE, "group:finance"),
    ]
    await replays(approvals.temporal.get_workflow_handle(asked.id))


@with_a_worker
async def test_whom_the_directory_lists_needs_nobody_to_vouch(approvals: ApprovalClient) -> None:
    asked = await approvals.request(PAY)

    await approvals.approve(asked.id, reviewer="ada", groups=FINANCE)

    assert (await approvals.get(asked.id)).events[-1].through is None


@with_a_worker
@pytest.mark.parametrize(
    "groups", [(), ("group:board",), ("group:desk",), ("group:nobody", "group:sre"), ("group:ops",)]
)
async def test_a_group_that_is_not_declared_or_not_asked_counts_for_nothing(
    approvals: ApprovalClient, groups: tuple[str, ...]
) -> None:
    board = having(audience=("group:board", "group:desk", "group:nobody"))
    asked = await approvals.request(board)

    with pytest.raises(Refused, match=f"{EVE} is not in the audience"):
        await approvals.approve(asked.id, reviewer=EVE, groups=groups)

    assert (await approvals.get(asked.id)).status == "pending"


async def test_without_a_directory_a_sign_in_vouches_for_nothing(
    settings: Settings, approvals: ApprovalClient, serve: Serve
) -> None:
    settings.reviewers = None
    async with serve():
        with pytest.raises(InvalidRequest, match="there are no groups without"):
            await approvals.wait((await approvals.request(PAY)).id)
        asked = await approvals.request(having(audience=(ADA,)))
        with pytest.raises(Refused, match="not in the audience"):
            await approvals.approve(asked.id, reviewer=EVE, groups=FINANCE)


@with_a_worker
async def test_a_group_inside_another_reaches_upward(
    settings: Settings, approvals: ApprovalClient
) -> None:
    rewrite(settings, NESTED)
    asked = await approvals.request(having(audience=("group:board",), quorum=2))

    await approvals.approve(asked.id, reviewer=EVE, groups=SRE)
    await approvals.approve(asked.id, reviewer=MARY, groups=SRE)

    events = (await approvals.get(asked.id)).events
    assert [one.through for one in events[1:]] == ["group:board"] * 2


@with_a_worker
async def test_a_group_with_members_that_nobody_can_list_is_enough_for_any_quorum(
    approvals: ApprovalClient,
) -> None:
    asked = await approvals.request(having(audience=("group:sre",), quorum=3, requester=EVE))

    for who in (MARY, GRACE, "new@example.com"):
        receipt = await approvals.approve(asked.id, reviewer=who, groups=SRE)

    assert receipt.status == "approved"
    for nobody in ("group:nobody", "group:ops"):
        with pytest.raises(InvalidRequest):
            await approvals.wait((await approvals.request(having(audience=(nobody,)))).id)


@with_a_worker
async def test_nobody_approves_their_own_or_twice_whoever_vouches_for_them(
    approvals: ApprovalClient,
) -> None:
    asked = await approvals.request(having(quorum=2, requester="eve@example.com"))
    with pytest.raises(Refused, match="asked for this"):
        await approvals.approve(asked.id, reviewer="EVE@example.com", groups=FINANCE)
    await approvals.approve(asked.id, reviewer="gh", groups=FINANCE)

    with pytest.raises(Refused, match="has approved already"):
        await approvals.approve(asked.id, reviewer=GRACE, groups=FINANCE)


@with_a_worker
async def test_who_changes_the_arguments_leaves_others_to_approve_them(
    approvals: ApprovalClient,
) -> None:
    asked = await approvals.request(having(audience=("group:sre",)))

    receipt = await approvals.approve(asked.id, reviewer=EVE, groups=SRE, changes={"cents": 50})
    assert not receipt.counted
    with pytest.raises(Refused, match="changed the arguments"):
        await approvals.approve(asked.id, reviewer=EVE, groups=SRE)
    receipt = await approvals.approve(asked.id, reviewer=MARY, groups=SRE)

    assert receipt.status == "approved"
    events = (await approvals.get(asked.id)).events
    edited = next(one for one in events if one.kind == "edited")
    assert (edited.who, edited.through) == (EVE, "group:sre")


@with_a_worker
async def test_somebody_vouched_for_hands_it_over_for_as_long_as_the_group_is_declared(
    settings: Settings, approvals: ApprovalClient
) -> None:
    asked = await approvals.request(having(quorum=2))
    with pytest.raises(Refused, match="not in the audience, and has nothing to hand over"):
        await approvals.delegate(asked.id, to=GRACE, who=EVE, groups=SRE)
    await approvals.delegate(asked.id, to=GRACE, who=EVE, groups=FINANCE)
    await approvals.delegate(asked.id, to=MARY, who=GRACE)  # Eve's right, once more

    receipt = await approvals.approve(asked.id, reviewer=MARY)

    assert (receipt.status, receipt.approvals) == ("pending", 1)
    view = await approvals.get(asked.id)
    assert [(one.principal, one.to, one.by) for one in view.delegations] == [
        (EVE, GRACE, EVE),
        (EVE, MARY, GRACE),
    ]
    assert (view.events[-1].on_behalf_of, view.events[-1].through) == (EVE, "group:finance")
    with pytest.raises(Refused, match="has approved already, through"):
        await approvals.approve(asked.id, reviewer=GRACE)
    other = await approvals.request(PAY)
    await approvals.delegate(other.id, to=GRACE, who=EVE, groups=FINANCE)
    rewrite(settings, PEOPLE)
    with pytest.raises(Refused, match="not in the audience"):
        await approvals.approve(other.id, reviewer=GRACE)


@with_a_worker
async def test_a_standing_delegation_of_somebody_nobody_vouches_for_gives_nothing(
    settings: Settings, approvals: ApprovalClient
) -> None:
    rewrite(settings, SIGNED + always(MARY, GRACE))
    asked = await approvals.request(PAY)

    with pytest.raises(Refused, match="not in the audience"):
        await approvals.approve(asked.id, reviewer=GRACE)
    await approvals.approve(asked.id, reviewer=MARY, groups=FINANCE)


@with_a_worker
async def test_an_operators_group_may_be_one_that_a_sign_in_vouches_for(
    settings: Settings, approvals: ApprovalClient
) -> None:
    rewrite(settings, SIGNED.replace('["group:desk"]', '["group:sre"]'))
    asked = await approvals.request(having(requester=MARY))
    with pytest.raises(Refused, match="neither asked for this nor is an operator"):
        await approvals.withdraw(asked.id, who=EVE, groups=FINANCE)

    receipt = await approvals.withdraw(asked.id, who=EVE, groups=SRE, reason="not needed")

    assert receipt.status == "withdrawn"


@with_a_worker
async def test_whom_a_sign_in_vouches_for_comments_and_the_same_act_twice_is_one(
    approvals: ApprovalClient,
) -> None:
    asked = await approvals.request(PAY)
    with pytest.raises(Refused, match="not in the audience"):
        await approvals.comment(asked.id, "Hm", who=EVE)

    for groups in (FINANCE, (*FINANCE, *SRE)):
        await approvals.comment(asked.id, "Hm", who=EVE, groups=groups, act_id="one")
        stored = {"kind": "commented", "who": EVE, "text": "Hm", "act_id": "one"}
        handle = approvals.temporal.get_workflow_handle(asked.id)
        await handle.signal("record_act", {**stored, "groups": list(groups)})

    assert kinds(await approvals.get(asked.id)) == ["created", "refused", "commented"]


@with_a_worker
async def test_the_same_decision_with_another_sign_in_is_the_same_decision(
    approvals: ApprovalClient,
) -> None:
    asked = await approvals.request(having(quorum=2))
    how: dict[str, Any] = {"reviewer": EVE, "decision_id": "one"}

    first = await approvals.approve(asked.id, groups=FINANCE, **how)
    again = await approvals.approve(asked.id, groups=(*FINANCE, *SRE), **how)
    handle = approvals.temporal.get_workflow_handle(asked.id)
    await handle.signal("record_decision", decision(PAY, **how))

    assert first == again
    assert kinds(await approvals.get(asked.id)) == ["created", "approved"]


async def test_a_decision_that_was_stored_brings_its_groups_along(
    settings: Settings, approvals: ApprovalClient, serve: Serve
) -> None:
    async with serve():
        asked = await approvals.request(PAY)
    handle = approvals.temporal.get_workflow_handle(asked.id)
    await handle.signal("record_decision", decision(PAY, reviewer=EVE, groups=["group:sre"]))
    await handle.signal("record_decision", decision(PAY, reviewer=EVE, groups=["finance"]))
    await handle.signal("record_decision", decision(PAY, reviewer=EVE, groups=["group:finance"]))

    async with serve():
        assert (await approvals.wait(asked.id)).approved
        events = (await approvals.get(asked.id)).events

    assert [one.kind for one in events] == ["created", "refused", "refused", "approved"]
    assert events[2].reason.startswith("malformed decision: groups: 'finance' names no group")
    await replays(handle)


@with_a_worker
async def test_stages_ask_different_groups_of_the_same_sign_in(approvals: ApprovalClient) -> None:
    stages = (
        Stage(name="on call", audience=("group:sre",)),
        Stage(name="money", audience=("group:finance", BOB)),
    )
    asked = await approvals.request(ApprovalRequest(action="Pay", stages=stages))

    await approvals.approve(asked.id, reviewer=EVE, groups=SRE)
    with pytest.raises(Refused, match="not in the audience"):
        await approvals.approve(asked.id, reviewer=MARY, groups=SRE)
    await approvals.approve(asked.id, reviewer=MARY, groups=FINANCE)

    events = (await approvals.get(asked.id)).events
    said = [(one.stage, one.through) for one in events if one.kind == "approved"]
    assert said == [("on call", "group:sre"), ("money", "group:finance")]


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        (["finance"], "groups: 'finance' names no group: write group:finance"),
        (["group:"], "groups: 'group:' names no group"),
        (["group:a", ""], r"groups\.1: String should have at least 1 character"),
        (["group:a\x1b"], r"groups\.0: contains the control character"),
        ([f"group:{n}" for n in range(201)], "groups: Tuple should have at most 200 items"),
        ([None], r"groups\.0: Input should be a valid string"),
    ],
)
async def test_malformed_groups_are_refused_and_nothing_is_sent(
    approvals: ApprovalClient, groups: Any, said: str
) -> None:
    asked = await approvals.request("Deploy")

    with pytest.raises(InvalidRequest, match=said):
        await approvals.approve(asked.id, reviewer=EVE, groups=groups)
    with pytest.raises(InvalidRequest, match=said):
        await approvals.comment(asked.id, "Hm", who=EVE, groups=tuple(groups))
