"""Whoever may send decisions that don't count can't fill a request's history with them until it ends."""

import asyncio
from typing import Any

import pytest

from clearance import ApprovalClient, ApprovalRequest, Refused
from workflows import attempts
from workflows.attempts import TOO_LARGE, TOO_MANY, TOO_MUCH

from .raw import Handle, ask, refusals

pytestmark = pytest.mark.usefixtures("worker_running")

BIG = "x" * 250_000
PAY = ApprovalRequest(
    action="Pay",
    tool="pay",
    arguments={"amount": 1, "note": ""},
    editable=True,
    audience=("ada", "bob", "cy"),
    reject_quorum=2,
)
CHANGED = "the request changed since you read it: read it again, then decide"
NOT_EDITABLE = "this request takes no changes: approve or reject it as it is"


async def refused(approvals: ApprovalClient, id: str, who: str, **said: Any) -> str:
    """Approve, and the reason that it doesn't count."""
    with pytest.raises(Refused) as caught:
        await approvals.approve(id, reviewer=who, **said)
    return str(caught.value)


async def large(approvals: ApprovalClient, id: str, who: str, **said: Any) -> str:
    return await refused(approvals, id, who, arguments={"amount": 1, "note": BIG}, **said)


async def history_bytes(handle: Handle) -> int:
    info = (await handle.describe()).raw_info
    return info.history_size_bytes


async def test_large_changes_by_an_outsider_leave_it_small_and_to_be_decided(
    approvals: ApprovalClient,
) -> None:
    handle = await ask(approvals, PAY)

    told = [await large(approvals, handle.id, "mallory") for _ in range(30)]

    assert told[0] == "mallory is not in the audience (ada, bob, cy)"
    assert set(told[1:]) == {TOO_LARGE}
    assert await refusals(approvals, handle.id) == told[:1]
    assert await history_bytes(handle) < 1_000_000
    receipt = await approvals.approve(handle.id, reviewer="ada")
    assert receipt.status == "approved"


async def test_changes_that_nobody_may_make_leave_no_trace(approvals: ApprovalClient) -> None:
    handle = await ask(approvals, PAY.model_copy(update={"editable": False}))

    for who in ("mallory", "ada"):
        for _ in range(5):
            assert await large(approvals, handle.id, who) == NOT_EDITABLE

    assert await refusals(approvals, handle.id) == []
    assert await history_bytes(handle) < 50_000
    assert (await approvals.approve(handle.id, reviewer="ada")).status == "approved"


async def test_changes_of_something_else_leave_no_trace(approvals: ApprovalClient) -> None:
    handle = await ask(approvals, PAY)

    assert await large(approvals, handle.id, "ada", digest="0" * 64) == CHANGED
    assert await refusals(approvals, handle.id) == []
    assert await refused(approvals, handle.id, "ada", digest="0" * 64) == CHANGED
    assert await refusals(approvals, handle.id) == [CHANGED]
    assert await history_bytes(handle) < 50_000


async def test_a_change_of_a_change_that_arrives_twice_is_answered_twice(
    approvals: ApprovalClient,
) -> None:
    handle = await ask(approvals, PAY)
    first = {"amount": 2, "note": "a"}
    await approvals.approve(handle.id, reviewer="ada", arguments=first)
    digest = (await approvals.get(handle.id)).digest
    said: dict[str, Any] = {"arguments": {"amount": 3, "note": "b"}, "digest": digest}

    one, same = [
        await approvals.approve(handle.id, reviewer="bob", decision_id="d1", reason=reason, **said)
        for reason in ("", "again")  # another update, the same decision
    ]

    assert one.recorded_at == same.recorded_at is not None
    assert await refusals(approvals, handle.id) == []


async def test_after_very_many_attempts_of_an_outsider_the_audience_still_decides(
    approvals: ApprovalClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "MANY", 40)
    handle = await ask(approvals, PAY)

    told: list[str] = []
    for _ in range(7):
        told += await asyncio.gather(
            *(refused(approvals, handle.id, "mallory", reason="y" * 4_000) for _ in range(10))
        )

    recorded = await refusals(approvals, handle.id)
    assert 40 <= len(recorded) < 60  # some were under way together
    assert told.count(TOO_MANY) == 70 - len(recorded)
    with pytest.raises(Refused, match="too many attempts were refused"):
        await approvals.comment(handle.id, "Hello?", who="mallory")
    assert await refused(approvals, handle.id, "eve") == (
        "eve is not in the audience (ada, bob, cy)"  # who was never here is told why
    )
    assert await refused(approvals, handle.id, "eve") == TOO_MANY
    await approvals.comment(handle.id, "Who is that?", who="bob")
    await approvals.delegate(handle.id, to="mallory", who="cy")
    assert (await approvals.reject(handle.id, reviewer="mallory")).counted
    assert (await approvals.reject(handle.id, reviewer="ADA")).status == "rejected"


async def test_large_changes_under_ever_other_names_come_to_an_end(
    approvals: ApprovalClient,
) -> None:
    handle = await ask(approvals, PAY)

    told = [await large(approvals, handle.id, f"m{number}") for number in range(20)]

    assert told.count(TOO_LARGE) == 15
    assert len(await refusals(approvals, handle.id)) == 5
    small = "m30 is not in the audience (ada, bob, cy)"
    assert await refused(approvals, handle.id, "m30", reason="z" * 4_000) == small
    receipt = await approvals.approve(handle.id, reviewer="bob", changes={"note": BIG})
    assert receipt.in_effect  # theirs is taken, however large


async def test_one_of_the_audience_does_not_fill_it_either(approvals: ApprovalClient) -> None:
    handle = await ask(approvals, PAY.model_copy(update={"editable": ("amount",)}))

    told = [await large(approvals, handle.id, "ada") for _ in range(10)]

    assert told[:5] == ["note can't be changed here, only amount"] * 5
    assert set(told[5:]) == {TOO_MUCH}
    assert await history_bytes(handle) < 2_000_000
    assert (await approvals.approve(handle.id, reviewer="ada")).status == "approved"
