"""Who decides: people, groups of the directory, and never who asked for it or changed it."""

from datetime import timedelta
from typing import Any

import pytest

from clearance import ApprovalClient, ApprovalRequest, InvalidRequest, Refused, Stage
from cli.settings import Settings

from .conftest import Serve
from .directory import (
    ADA,
    BOB,
    CLEO,
    EVE,
    GRACE,
    PEOPLE,
    always,
    kinds,
    reviewed,
    rewrite,
    stand_in,
)
from .raw import ask, decision, refusals
from .support import eventually, unique

FINANCE = ApprovalRequest(action="Pay", audience=("group:Finance",))
PAY = ApprovalRequest(
    action="Pay", tool="pay", arguments={"cents": 100}, editable=True, audience=("group:board",)
)

with_a_worker = pytest.mark.usefixtures("served")


@pytest.fixture(scope="module")
def lasting(lasting: Settings) -> Settings:
    return reviewed(lasting)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return reviewed(settings)


def having(request: ApprovalRequest, **terms: Any) -> ApprovalRequest:
    return request.model_copy(update=terms)


@with_a_worker
async def test_who_is_in_the_group_decides_and_nobody_else(approvals: ApprovalClient) -> None:
    asked = await approvals.request(FINANCE)

    with pytest.raises(Refused, match=rf"{CLEO} is not in the audience \(group:Finance\)"):
        await approvals.approve(asked.id, reviewer=CLEO, reason="I say so")
    with pytest.raises(Refused, match="group:finance is not in the audience"):
        await approvals.approve(asked.id, reviewer="group:finance")
    receipt = await approvals.approve(asked.id, reviewer=ADA)

    assert receipt.status == "approved"
    view = await approvals.get(asked.id)
    assert kinds(view) == ["created", "refused", "refused", "approved"]
    assert [(one.who, one.digest) for one in view.events[1:3]] == [
        (CLEO, view.digest),
        ("group:finance", view.digest),
    ]


@with_a_worker
@pytest.mark.parametrize("name", [BOB, BOB.upper(), CLEO])
async def test_a_group_in_a_group_is_in_it_and_capitals_do_not_matter(
    approvals: ApprovalClient, name: str
) -> None:
    asked = await approvals.request(having(FINANCE, audience=("GROUP:board",)))

    assert (await approvals.approve(asked.id, reviewer=name)).status == "approved"


@with_a_worker
async def test_all_names_of_a_person_are_one_person(approvals: ApprovalClient) -> None:
    asked = await approvals.request(having(FINANCE, quorum=2))

    first = await approvals.approve(asked.id, reviewer="Ada")
    with pytest.raises(Refused, match=f"{ADA} has approved already, through Ada"):
        await approvals.approve(asked.id, reviewer=ADA)
    last = await approvals.approve(asked.id, reviewer=BOB)

    assert (first.status, first.approvals, last.status) == ("pending", 1, "approved")


@with_a_worker
async def test_an_audience_may_name_somebody_by_any_of_their_names(
    approvals: ApprovalClient,
) -> None:
    asked = await approvals.request(having(FINANCE, audience=("gh",)))

    assert (await approvals.approve(asked.id, reviewer=GRACE)).status == "approved"


@with_a_worker
async def test_who_is_in_the_group_counts_as_it_is_when_they_decide(
    approvals: ApprovalClient, settings: Settings
) -> None:
    asked = await approvals.request(having(FINANCE, quorum=2))
    with pytest.raises(Refused, match="not in the audience"):
        await approvals.approve(asked.id, reviewer=CLEO)
    await approvals.approve(asked.id, reviewer=ADA)

    rewrite(
        settings,
        PEOPLE.replace(
            '[groups]\nfinance = ["ada@example.com", "bob@example.com"]',
            '[groups]\nfinance = ["cleo@example.com"]',
        ),
    )

    with pytest.raises(Refused, match=f"{BOB} is not in the audience"):
        await approvals.approve(asked.id, reviewer=BOB)
    receipt = await approvals.approve(asked.id, reviewer=CLEO)
    assert (receipt.status, receipt.approvals) == ("approved", 2)
    assert kinds(await approvals.get(asked.id)) == [
        *("created", "refused", "approved", "refused", "approved")
    ]


@with_a_worker
@pytest.mark.parametrize(
    ("terms", "why"),
    [
        ({"audience": ("group:legal",)}, "group:legal: reviewers.toml has no such group"),
        (
            {"audience": (ADA,), "escalate_to": ("Group:Law",)},
            "group:law: reviewers.toml has no such group",
        ),
        ({"audience": ("group:nobody",)}, "there is nobody in group:nobody"),
        ({"audience": ("group:finance", "ada"), "quorum": 3}, "quorum is 3, but only 2 may decide"),
        ({"audience": ("group:finance",), "reject_quorum": 3}, "only 2 may decide"),
        (
            {"audience": ("group:finance",), "quorum": 2, "reject_quorum": 2},
            "2 people who each decide once could leave it undecided",
        ),
        (
            {"audience": ("group:finance",), "quorum": 2, "requester": "ada"},
            "ada asked for it and may not approve it: without them, 1 may decide, and 2 have to",
        ),
        ({"audience": ("gh",), "requester": GRACE}, "grace@example.com asked for it"),
        (
            {
                "stages": (
                    Stage(name="one", audience=(ADA,)),
                    Stage(name="two", audience=("group:x",)),
                )
            },
            "group:x: reviewers.toml has no such group",
        ),
        (
            {"stages": (Stage(name="two", audience=("group:board",), quorum=4),)},
            "stage two: quorum is 4, but only 3 may decide",
        ),
    ],
)
async def test_what_nobody_could_ever_approve_is_refused_when_it_is_asked(
    approvals: ApprovalClient, terms: dict[str, Any], why: str
) -> None:
    request = ApprovalRequest(action=unique("Pay"), **terms)
    with pytest.raises(InvalidRequest) as raised:
        # One of people alone looks fine: that two names are one person's, only a worker knows.
        await approvals.wait((await approvals.request(request)).id)
    assert why in str(raised.value)
    assert request.action not in [one.action async for one in approvals.pending()]


async def test_without_a_directory_there_are_no_groups_to_ask(
    approvals: ApprovalClient, settings: Settings, serve: Serve
) -> None:
    settings.reviewers = None
    async with serve():
        with pytest.raises(InvalidRequest, match="there are no groups without a reviewers"):
            await approvals.wait((await approvals.request(FINANCE)).id)


@with_a_worker
async def test_those_it_is_escalated_to_are_enough_for_a_quorum(approvals: ApprovalClient) -> None:
    terms = {"quorum": 3, "escalate_to": (CLEO,)}
    asked = await approvals.request(ApprovalRequest(**{**dict(FINANCE), **terms}))

    assert (await approvals.get(asked.id)).status == "pending"


@with_a_worker
@pytest.mark.parametrize("asker", ["ada", ADA, ADA.upper()])
async def test_who_asked_does_not_approve_by_any_of_their_names_nor_does_who_stands_in_for_them(
    approvals: ApprovalClient, settings: Settings, asker: str
) -> None:
    rewrite(settings, PEOPLE + always(ADA, GRACE))
    asked = await approvals.request(having(FINANCE, requester=asker))

    for name in (ADA, "ada", GRACE, "gh"):
        with pytest.raises(Refused, match="asked for this: somebody else has to approve it"):
            await approvals.approve(asked.id, reviewer=name)

    assert (await approvals.approve(asked.id, reviewer=BOB)).status == "approved"


@with_a_worker
async def test_who_asked_may_reject_it_and_where_it_is_said_approve_it(
    approvals: ApprovalClient,
) -> None:
    own = having(FINANCE, requester=ADA)
    rejected = await approvals.request(own)
    allowed = await approvals.request(having(own, self_approval=("requester",)))

    assert (await approvals.reject(rejected.id, reviewer="ada")).status == "rejected"
    assert (await approvals.approve(allowed.id, reviewer="ada")).status == "approved"


@with_a_worker
async def test_where_anyone_may_decide_who_asked_may_unless_it_is_said_otherwise(
    approvals: ApprovalClient,
) -> None:
    anyone = await approvals.request(ApprovalRequest(action="Pay", requester=ADA))
    others = await approvals.request(ApprovalRequest(action="Pay", requester=ADA, self_approval=()))

    assert (await approvals.approve(anyone.id, reviewer=ADA)).status == "approved"
    with pytest.raises(Refused, match="ada asked for this"):
        await approvals.approve(others.id, reviewer="ada")
    assert (await approvals.approve(others.id, reviewer=EVE)).status == "approved"


@with_a_worker
async def test_whoever_dates_a_decision_back_does_not_get_what_they_had_then(
    approvals: ApprovalClient, settings: Settings
) -> None:
    rewrite(settings, PEOPLE + stand_in(ADA, GRACE, "2020-01-01", "2020-12-31"))
    handle = await ask(approvals, FINANCE)
    then = "2020-06-01T12:00:00Z"

    await handle.signal("record_decision", decision(FINANCE, reviewer=GRACE, decided_at=then))

    async def refused() -> list[str]:
        return await refusals(approvals, handle.id)

    assert await eventually(refused) == [f"{GRACE} is not in the audience (group:Finance)"]


@with_a_worker
async def test_who_closes_it_may_have_a_name_that_no_index_takes(approvals: ApprovalClient) -> None:
    name = "\U0001f98a" * 200
    asked = await approvals.request(ApprovalRequest(action="Pay", self_approval=()))

    assert (await approvals.approve(asked.id, reviewer=name)).status == "approved"
    assert (await approvals.wait(asked.id, timedelta(seconds=30))).approved

    async def found() -> list[str]:
        return [one.id async for one in approvals.history(reviewer=name)]

    assert await eventually(found) == [asked.id]


@with_a_worker
async def test_who_changed_the_arguments_does_not_approve_them_by_another_name(
    approvals: ApprovalClient,
) -> None:
    asked = await approvals.request(PAY)

    edited = await approvals.approve(asked.id, reviewer="ada", changes={"cents": 50})
    assert (edited.status, edited.counted) == ("pending", False)
    with pytest.raises(Refused, match=f"{ADA} changed the arguments: somebody else has to"):
        await approvals.approve(asked.id, reviewer=ADA)
    assert (await approvals.approve(asked.id, reviewer=CLEO)).status == "approved"

    outcome = await approvals.wait(asked.id)
    assert outcome.edit is not None
    assert outcome.edit.arguments == {"cents": 50}


@with_a_worker
@pytest.mark.parametrize(
    ("terms", "why"),
    [
        ({"audience": (ADA,)}, "an audience is named"),
        ({"audience": (ADA, BOB), "quorum": 2}, "an audience is named"),
        ({"stages": (Stage(name="one"),)}, "stages are named"),
        ({"self_approval": ()}, "not everybody may decide this"),
        ({"self_approval": ("requester",)}, "not everybody may decide this"),
    ],
)
async def test_a_bare_signal_never_counts_where_anything_is_said_of_who_decides(
    approvals: ApprovalClient, terms: dict[str, Any], why: str
) -> None:
    handle = await ask(approvals, ApprovalRequest(action="Pay", **terms))

    await handle.signal("approve", True)
    await handle.signal("approve", False)

    async def refused() -> bool:
        return len(await refusals(approvals, handle.id)) == 2

    await eventually(refused)
    assert all(one.startswith(why) for one in await refusals(approvals, handle.id))
    assert (await approvals.get(handle.id)).status == "pending"
