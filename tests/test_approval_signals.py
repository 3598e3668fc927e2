"""Whatever arrives that is not plainly a decision leaves the gate shut, and doesn't wedge it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import WorkflowUpdateFailedError
from temporalio.common import RawValue

from clearance import ApprovalClient, contract

from .raw import ask, decision, refusals

ASKED = "Deploy?"


def payload(data: bytes, encoding: bytes = b"json/plain") -> RawValue:
    """One argument exactly as some other program encoded it."""
    return RawValue(Payload(metadata={"encoding": encoding}, data=data))


def depth(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


def too_long() -> list[Any]:
    return ["x" * 1_000_000]


BARE: dict[str, tuple[list[Any], str]] = {
    "a word": (["rejected"], "a string"),
    "the word true": (["true"], "a string"),
    "a string of 1 MB": (too_long(), "a string"),
    "an object": ([{"ok": False}], "an object"),
    "an empty object": ([{}], "an object"),
    "two": ([2], "a number"),
    "one": ([1], "a number"),
    "zero": ([0], "a number"),
    "one as a fraction": ([1.0], "a number"),
    "not a number": ([payload(b"NaN")], "a number"),
    "null": ([None], "null"),
    "no argument": ([], "null"),
    "a list of true": ([[True]], "a list of values"),
    "two arguments": ([True, True], "a list of values"),
    "three arguments": ([True, None, "x"], "a list of values"),
    "bytes": ([payload(b"true", b"binary/plain")], "bytes"),
}


@pytest.mark.parametrize(("arguments", "kind"), BARE.values(), ids=BARE.keys())
@pytest.mark.usefixtures("served")
async def test_a_malformed_bare_signal_is_kept_as_refused_and_the_next_good_one_counts(
    approvals: ApprovalClient, arguments: list[Any], kind: str
) -> None:
    handle = await ask(approvals, ASKED)

    await handle.signal("approve", args=arguments)

    assert await refusals(approvals, handle.id) == [f"approve takes true or false, not {kind}"]
    assert (await approvals.get(handle.id)).status == "pending"
    await handle.signal("approve", True)
    assert (await approvals.wait(handle.id, timedelta(seconds=20))).approved


# The SDK can't decode these, logs that and drops them before any code of ours runs. They stay in
# the workflow's history, not in the record.
UNREADABLE: dict[str, tuple[str, list[Any]]] = {
    "json that is none": ("approve", [payload(b"{true")]),
    "nothing at all": ("approve", [payload(b"")]),
    "text that is not UTF-8": ("approve", [payload(b'"\xff\xfe"')]),
    "half a surrogate pair": ("approve", [payload(b'"\\ud800"')]),
    "an encoding of their own": ("approve", [payload(b"true", b"binary/theirs")]),
    "no encoding": ("approve", [payload(b"true", b"")]),
    "an unknown protobuf": ("approve", [payload(b"{}", b"json/protobuf")]),
    "lists 10,000 deep": ("approve", [payload(depth(10_000))]),
    "a decision that is no json": ("record_decision", [payload(b'{"approved": true')]),
}


@pytest.mark.parametrize(("signal", "arguments"), UNREADABLE.values(), ids=UNREADABLE.keys())
@pytest.mark.usefixtures("served")
async def test_an_unreadable_signal_is_dropped_and_the_next_good_one_counts(
    approvals: ApprovalClient, signal: str, arguments: list[Any]
) -> None:
    handle = await ask(approvals, ASKED)

    await handle.signal(signal, args=arguments)

    view = await approvals.get(handle.id)
    assert (view.status, [event.kind for event in view.events]) == ("pending", ["created"])
    await handle.signal("approve", True)
    assert (await approvals.wait(handle.id, timedelta(seconds=20))).approved


@pytest.mark.parametrize("name", ["Approve", "approve ", "approved", "reject", "decide", "view"])
@pytest.mark.usefixtures("served")
async def test_a_signal_of_another_name_means_nothing(approvals: ApprovalClient, name: str) -> None:
    handle = await ask(approvals, ASKED)

    await handle.signal(name, True)

    view = await approvals.get(handle.id)
    assert (view.status, [event.kind for event in view.events]) == ("pending", ["created"])
    await handle.signal("approve", False)
    assert (await approvals.wait(handle.id, timedelta(seconds=20))).status == "rejected"


MALFORMED: dict[str, tuple[dict[str, Any], str]] = {
    "no verdict": ({"approved": None}, "approved"),
    "the word true": ({"approved": "true"}, "approved"),
    "one": ({"approved": 1}, "approved"),
    "an object as verdict": ({"approved": {"ok": True}}, "approved"),
    "no reviewer": ({"reviewer": None}, "reviewer"),
    "an empty reviewer": ({"reviewer": "  "}, "reviewer"),
    "a reviewer of 201 characters": ({"reviewer": "x" * 201}, "reviewer"),
    "a reviewer with an escape code": ({"reviewer": "ada\x1b[2K"}, "reviewer"),
    "a reviewer on two lines": ({"reviewer": "ada\nbob"}, "reviewer"),
    "a reviewer written backwards": ({"reviewer": "ada\u202etset"}, "reviewer"),
    "no digest": ({"digest": None}, "digest"),
    "a short digest": ({"digest": "abc"}, "digest"),
    "a digest in capitals": ({"digest": "A" * 64}, "digest"),
    "no id": ({"decision_id": None}, "decision_id"),
    "an empty id": ({"decision_id": ""}, "decision_id"),
    "an id with a space": ({"decision_id": "a b"}, "decision_id"),
    "no time": ({"decided_at": None}, "decided_at"),
    "a time without a zone": ({"decided_at": "2026-11-21T10:00:00"}, "decided_at"),
    "a time that is none": ({"decided_at": "soon"}, "decided_at"),
    "a time beyond all calendars": ({"decided_at": 1e300}, "decided_at"),
    "a reason of 4,001 characters": ({"reason": "x" * 4_001}, "reason"),
    "an unknown channel": ({"channel": "pigeon"}, "channel"),
    "an unknown field": ({"override": True}, "override"),
}


@pytest.mark.parametrize(("changes", "field"), MALFORMED.values(), ids=MALFORMED.keys())
@pytest.mark.usefixtures("served")
async def test_a_malformed_stored_decision_is_kept_as_refused_and_a_good_one_counts(
    approvals: ApprovalClient, changes: dict[str, Any], field: str
) -> None:
    handle = await ask(approvals, ASKED)

    await handle.signal("record_decision", decision(ASKED, **changes))

    [reason] = await refusals(approvals, handle.id)
    assert reason.startswith(f"malformed decision: {field}")
    await handle.signal("record_decision", decision(ASKED))
    assert (await approvals.wait(handle.id, timedelta(seconds=20))).approved


@pytest.mark.parametrize(("changes", "field"), MALFORMED.values(), ids=MALFORMED.keys())
@pytest.mark.usefixtures("served")
async def test_a_malformed_update_is_refused_without_a_trace_and_a_good_one_counts(
    approvals: ApprovalClient, changes: dict[str, Any], field: str
) -> None:
    handle = await ask(approvals, ASKED)

    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await handle.execute_update("decide", decision(ASKED, **changes))

    assert field in str(refused.value.cause)
    view = await approvals.get(handle.id)
    assert (view.status, [event.kind for event in view.events]) == ("pending", ["created"])
    receipt = await handle.execute_update("decide", decision(ASKED, approved=False))
    assert receipt["status"] == "rejected"


ODD: dict[str, list[Any]] = {
    "nothing": [],
    "null": [None],
    "true": [True],
    "a word": ["approve"],
    "a string of 1 MB": too_long(),
    "a list": [[decision(ASKED)]],
    "two decisions": [decision(ASKED), decision(ASKED)],
    "a decision and true": [decision(ASKED), True],
    "bytes": [payload(b"true", b"binary/plain")],
}


@pytest.mark.parametrize("arguments", ODD.values(), ids=ODD.keys())
@pytest.mark.usefixtures("served")
async def test_arguments_that_are_no_decision_are_refused_by_update_and_by_signal(
    approvals: ApprovalClient, arguments: list[Any]
) -> None:
    handle = await ask(approvals, ASKED)

    with pytest.raises(WorkflowUpdateFailedError):
        await handle.execute_update("decide", args=arguments)
    await handle.signal("record_decision", args=arguments)

    [reason] = await refusals(approvals, handle.id)
    assert reason.startswith("malformed decision: ")
    assert len(reason) < 500
    assert (await approvals.approve(handle.id, reviewer="ada@example.com")).in_effect


@pytest.mark.usefixtures("served")
async def test_an_update_that_cannot_be_decoded_is_refused_and_a_good_one_counts(
    approvals: ApprovalClient,
) -> None:
    handle = await ask(approvals, ASKED)

    for unreadable in (payload(b"{"), payload(b"x", b"binary/theirs"), payload(depth(10_000))):
        with pytest.raises(WorkflowUpdateFailedError):
            await handle.execute_update("decide", unreadable)

    assert (await approvals.approve(handle.id, reviewer="ada@example.com")).in_effect


@pytest.mark.usefixtures("served")
async def test_a_decision_of_another_request_is_refused_and_kept(
    approvals: ApprovalClient,
) -> None:
    handle = await ask(approvals, ASKED)
    stale = decision("Delete everything?")

    with pytest.raises(WorkflowUpdateFailedError, match="failed") as refused:
        await handle.execute_update("decide", stale)
    await handle.signal("record_decision", {**stale, "decision_id": "again"})

    reason = "the request changed since you read it: read it again, then decide"
    assert refused.value.cause is not None
    assert reason in str(refused.value.cause)
    assert await refusals(approvals, handle.id) == [reason, reason]
    kept = (await approvals.get(handle.id)).events[-1]
    assert (kept.who, kept.digest) == ("ada@example.com", stale["digest"])
    assert (await approvals.approve(handle.id, reviewer="ada@example.com")).in_effect


@pytest.mark.usefixtures("served")
async def test_more_refusals_than_are_listed_are_counted_and_the_gate_still_works(
    approvals: ApprovalClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contract, "MAX_RECORDED_REFUSALS", 3)
    handle = await ask(approvals, ASKED)

    for _ in range(5):
        await handle.signal("approve", 1)

    view = await approvals.get(handle.id)
    assert [event.kind for event in view.events] == ["created", *["refused"] * 3]
    assert view.refusals_uncounted == 2
    assert (await approvals.approve(handle.id, reviewer="ada@example.com")).in_effect
    assert [event.sequence for event in (await approvals.get(handle.id)).events] == [1, 2, 3, 4, 5]


@pytest.mark.usefixtures("served")
async def test_a_decision_dated_in_the_future_counts_as_made_now(
    approvals: ApprovalClient,
) -> None:
    handle = await ask(approvals, ASKED)

    tomorrow = (datetime.now(UTC) + timedelta(days=30)).isoformat()
    await handle.signal("record_decision", decision(ASKED, decided_at=tomorrow))

    assert (await approvals.wait(handle.id, timedelta(seconds=20))).approved
