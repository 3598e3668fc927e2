"""Commenting, asking, handing over and withdrawing from a service, with a worker there and without."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from clearance import (
    ActReceipt,
    AlreadyDecided,
    ApprovalClient,
    ApprovalRequest,
    Event,
    InvalidRequest,
    Refused,
    contract,
)
from cli.settings import Settings
from tests.conftest import Serve
from tests.raw import impatient
from tests.support import eventually, unique

ADA, BOB, EVE, GRACE = "ada@example.com", "bob@example.com", "eve@example.com", "grace@example.com"

PAY = ApprovalRequest(action="Pay", audience=(ADA, BOB), requester=GRACE)

with_a_worker = pytest.mark.usefixtures("worker_running")


async def events(approvals: ApprovalClient, id: str) -> list[Event]:
    """All but the first, which is the same of every request."""
    created, *others = (await approvals.get(id)).events
    assert created.kind == "created"
    return others


@with_a_worker
async def test_what_is_said_is_recorded_in_order_and_decides_nothing(
    approvals: ApprovalClient,
) -> None:
    asked = await approvals.request(PAY)

    receipts = [
        await approvals.comment(asked.id, "Looks fine.", who=ADA, channel="cli"),
        await approvals.ask(asked.id, "Why now?", who=BOB),
        await approvals.answer(asked.id, "It is due.", who=GRACE, channel="inbox", act_id="one"),
    ]

    view = await approvals.get(asked.id)
    said = [(one.kind, one.who, one.reason, one.channel) for one in view.events[1:]]
    assert view.status == "pending"
    assert said == [
        ("commented", ADA, "Looks fine.", "cli"),
        ("asked", BOB, "Why now?", "client"),
        ("answered", GRACE, "It is due.", "inbox"),
    ]
    assert [one.recorded_at for one in receipts] == [one.at for one in view.events[1:]]
    assert all(one.in_effect and one.status == "pending" for one in receipts)
    assert [one.act_id for one in receipts] == [one.key for one in view.events[1:]]


@with_a_worker
async def test_whoever_it_is_handed_to_decides_for_them(approvals: ApprovalClient) -> None:
    asked = await approvals.request(PAY)
    with pytest.raises(Refused, match="is not in the audience"):
        await approvals.approve(asked.id, reviewer=EVE)

    await approvals.delegate(asked.id, to=EVE, who=ADA, reason="on leave")

    async def is_listed() -> bool:
        return [one.id async for one in approvals.pending(reviewer=EVE)] == [asked.id]

    await eventually(is_listed)
    receipt = await approvals.approve(asked.id, reviewer=EVE)

    view = await approvals.get(asked.id)
    assert receipt.status == "approved"
    assert view.decision is not None
    assert (view.decision.reviewer, view.decision.on_behalf_of) == (EVE, ADA)
    [handed] = view.delegations
    assert (handed.principal, handed.to, handed.by) == (ADA, EVE, ADA)
    [event] = [one for one in view.events if one.kind == "delegated"]
    assert (event.who, event.to, event.reason) == (ADA, EVE, "on leave")


@with_a_worker
async def test_a_withdrawn_request_is_over(approvals: ApprovalClient) -> None:
    asked = await approvals.request(PAY)

    receipt = await approvals.withdraw(asked.id, who=GRACE, reason="paid already")

    assert (receipt.status, receipt.in_effect) == ("withdrawn", True)
    outcome = await approvals.wait(asked.id)
    assert (outcome.status, outcome.reason) == (
        "withdrawn",
        "withdrawn by grace@example.com: paid already",
    )
    for late in (
        approvals.approve(asked.id, reviewer=ADA),
        approvals.comment(asked.id, "Too late", who=ADA),
        approvals.viewed(asked.id, who=ADA),
    ):
        with pytest.raises(AlreadyDecided, match="is already withdrawn") as caught:
            await late
        assert caught.value.status == "withdrawn"


@with_a_worker
async def test_who_was_told_and_who_has_read_it_is_recorded_once_each(
    approvals: ApprovalClient,
) -> None:
    asked = await approvals.request(PAY)

    stored = await approvals.notified(asked.id, who=ADA, reason="by mail")
    for _ in range(2):
        await approvals.viewed(asked.id, who=ADA, channel="inbox")

    assert (stored.status, stored.in_effect) == ("pending", False)
    seen = await events(approvals, asked.id)
    assert [(one.kind, one.who, one.reason) for one in seen] == [
        ("notified", ADA, "by mail"),
        ("viewed", ADA, ""),
    ]


Act = Callable[[ApprovalClient, str], Awaitable[ActReceipt]]

REFUSED: dict[str, tuple[Act, str]] = {
    "a stranger's comment": (
        lambda client, asked: client.comment(asked, "Hi", who=EVE),
        "eve@example.com is not in the audience",
    ),
    "a stranger's answer": (
        lambda client, asked: client.answer(asked, "Hi", who=ADA),
        "ada@example.com did not ask for this",
    ),
    "a withdrawal by a reviewer": (
        lambda client, asked: client.withdraw(asked, who=ADA),
        "ada@example.com neither asked for this nor is an operator",
    ),
    "a delegation by a stranger": (
        lambda client, asked: client.delegate(asked, to=ADA, who=EVE),
        "eve@example.com is not in the audience",
    ),
    "a delegation to who asked": (
        lambda client, asked: client.delegate(asked, to=GRACE, who=ADA),
        "grace@example.com asked for this",
    ),
}


@with_a_worker
@pytest.mark.parametrize("name", REFUSED)
async def test_what_somebody_may_not_do_is_refused_and_recorded(
    approvals: ApprovalClient, name: str
) -> None:
    act, why = REFUSED[name]
    asked = await approvals.request(PAY)

    with pytest.raises(Refused, match=why) as caught:
        await act(approvals, asked.id)

    assert not isinstance(caught.value, AlreadyDecided)
    [refused] = await events(approvals, asked.id)
    assert (refused.kind, refused.reason) == ("refused", str(caught.value))


MALFORMED: dict[str, tuple[Callable[..., Awaitable[ActReceipt]], dict[str, Any], str]] = {
    "nothing said": (ApprovalClient.comment, {"text": " ", "who": ADA}, "the text is empty"),
    "too much said": (ApprovalClient.ask, {"text": "x" * 4_001, "who": ADA}, "text: String should"),
    "nobody": (ApprovalClient.answer, {"text": "x", "who": ""}, "who: String should"),
    "a name of two lines": (ApprovalClient.viewed, {"who": "a\nb"}, "who: contains the control"),
    "to a name too long": (ApprovalClient.delegate, {"to": "x" * 201, "who": ADA}, "to: String"),
    "an unknown channel": (ApprovalClient.withdraw, {"who": ADA, "channel": "fax"}, "channel: "),
    "a malformed id": (ApprovalClient.notified, {"who": ADA, "act_id": "a b"}, "act_id: String"),
    "an empty id": (ApprovalClient.notified, {"who": ADA, "act_id": ""}, "act_id: String"),
}


@with_a_worker
@pytest.mark.parametrize("name", MALFORMED)
async def test_a_malformed_act_is_not_sent(approvals: ApprovalClient, name: str) -> None:
    act, said, why = MALFORMED[name]
    asked = await approvals.request(PAY)

    with pytest.raises(InvalidRequest, match=why):
        await act(approvals, asked.id, **said)

    assert await events(approvals, asked.id) == []


@with_a_worker
async def test_the_same_act_sent_again_is_one_also_after_the_end(
    approvals: ApprovalClient,
) -> None:
    asked = await approvals.request(PAY)
    handle = approvals.temporal.get_workflow_handle(asked.id)
    act = {"kind": "commented", "who": ADA, "text": "Fine.", "act_id": "one"}
    await handle.signal(contract.SIGNAL_ACT, act)

    again = [await approvals.comment(asked.id, "Fine.", who=ADA, act_id="one") for _ in range(2)]
    await approvals.approve(asked.id, reviewer=ADA)
    # Under another channel it is another update, to which the server has no stored answer.
    late = await approvals.comment(asked.id, "Fine.", who=ADA, act_id="one", channel="cli")

    [commented, _] = await events(approvals, asked.id)
    assert {one.recorded_at for one in [*again, late]} == {commented.at}
    with pytest.raises(AlreadyDecided, match="approved by ada"):
        await approvals.comment(asked.id, "Not fine.", who=ADA, act_id="one")


async def test_without_a_worker_an_act_is_stored_and_takes_effect_later(
    temporal: Client, settings: Settings, approvals: ApprovalClient, serve: Serve
) -> None:
    alone = impatient(temporal, settings)
    asked = await alone.request(PAY)

    stored = [
        await alone.comment(asked.id, "Fine.", who=ADA),
        await alone.delegate(asked.id, to=EVE, who=BOB),
        await alone.withdraw(asked.id, who=EVE),
    ]

    assert not any(one.in_effect for one in stored)
    async with serve():

        async def are_recorded() -> bool:  # once it is known who they are
            kinds = {one.kind for one in await events(approvals, asked.id)}
            return kinds == {"commented", "delegated", "refused"}

        await eventually(are_recorded)
        assert (await approvals.get(asked.id)).status == "pending"


@with_a_worker
async def test_feedback_rejects_and_says_what_to_change(approvals: ApprovalClient) -> None:
    asked = await approvals.request(PAY)

    with pytest.raises(InvalidRequest, match="changes are requested by a rejection whose reason"):
        await approvals.request_changes(asked.id, reviewer=ADA, feedback=" ")
    receipt = await approvals.request_changes(asked.id, reviewer=ADA, feedback="Pay half.")

    assert receipt.status == "rejected"
    outcome = await approvals.wait(asked.id)
    assert (outcome.changes_requested, outcome.reason) == (True, "Pay half.")


@with_a_worker
async def test_what_ends_while_somebody_is_looked_up_is_told_as_ended(
    temporal: Client, settings: Settings, approvals: ApprovalClient
) -> None:
    """A decision waits for the directory; its run ends meanwhile, and takes the request with it."""
    file = settings.reviewers
    assert file is not None
    asked = await approvals.request(PAY)
    await approvals.comment(asked.id, "All is well.", who=ADA)
    file.write_text("broken [")
    handle = temporal.get_workflow_handle(asked.id)
    deciding = asyncio.create_task(approvals.approve(asked.id, reviewer=ADA))

    async def is_stored() -> bool:
        kinds = [event.WhichOneof("attributes") async for event in handle.fetch_history_events()]
        return any("signaled" in (kind or "") for kind in kinds)

    await eventually(is_stored)
    await handle.terminate(reason="the run was stopped")

    with pytest.raises(AlreadyDecided, match="is already withdrawn"):
        await deciding


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    """With a directory of nobody: everybody is who they say."""
    file = tmp_path / "reviewers.toml"
    file.write_text(f'[groups]\n{unique("nobodys")} = ["{ADA}"]\n')
    return settings.model_copy(update={"reviewers": file})
