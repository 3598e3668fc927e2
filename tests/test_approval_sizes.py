"""Nothing that a request, a decision or a stored signal may hold makes its workflow task too slow.

A task that takes more than two seconds is tried again for ever, and no decision counts any more.
"""

from datetime import timedelta
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

from clearance import ApprovalClient, ApprovalRequest, Outcome
from cli.settings import Settings

from .conftest import Serve
from .raw import Handle, ask, decision, history, impatient, only

ADA = "ada@example.com"
LONG = timedelta(seconds=40)

with_a_worker = pytest.mark.usefixtures("served")


async def answered(approvals: ApprovalClient, handle: Handle) -> Outcome:
    """The outcome, of a workflow none of whose tasks has failed."""
    outcome = await approvals.wait(handle.id, LONG)
    assert not only(await history(handle), EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED)
    assert not only(await history(handle), EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT)
    return outcome


async def page(handle: Handle) -> str:
    """What Temporal's own page shows of it."""
    return str((await handle.query("__temporal_workflow_metadata")).current_details)


def edits(part: int) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """What is asked and what it is changed to, of this part of the size that a request may have."""
    rows = [f"row {n},{'kept' if n % 2 else 'old'}" for n in range(8_000)]
    deep: list[Any] = [0] * (100_000 // part)
    for _ in range(98):
        deep = [deep]
    texts, numbers, lists = (range(count // part) for count in (5_000, 15_000, 60_000))
    return {
        "every second line of 8,000": (
            {"body": "\n".join(rows)},
            {"body": "\n".join(rows).replace("old", "new")},
        ),
        "one line of 250 KB": ({"body": "x" * 250_000}, {"body": "y" * 250_000}),
        "nothing but line ends": ({"body": "\n" * 120_000}, {"body": "\n" * 119_999}),
        "nothing but control characters": (
            {"body": "\u202e" * 80_000},
            {"body": "\x1b" * 40_000},
        ),
        "5,000 texts of several lines": (
            {f"n{n}": "a\nb\nc\n" for n in texts},
            {f"n{n}": "c\nb\na\n" for n in texts},
        ),
        "60,000 lists": ({"body": [[0] for _ in lists]}, {"body": [[1] for _ in lists]}),
        "15,000 numbers": ({f"n{n}": 0 for n in numbers}, {f"n{n}": 1 for n in numbers}),
        "a list 99 deep": ({"body": deep}, {"body": [deep[0], 1]}),
    }


PART = 8
"""On a busy machine no task of the true size has the time that it needs alone."""


@pytest.mark.parametrize(
    ("name", "part"),
    [
        *((name, PART) for name in edits(PART)),
        *(pytest.param(name, 1, marks=pytest.mark.true_size) for name in edits(PART)),
    ],
)
@with_a_worker
async def test_changes_of_any_size_count_and_are_what_is_approved(
    approvals: ApprovalClient, name: str, part: int
) -> None:
    asked, changed = edits(part)[name]
    request = ApprovalRequest(action="Send", tool="send", arguments=asked, editable=True)
    handle = await ask(approvals, request)
    patient = ApprovalClient(approvals.temporal, answer_timeout=LONG)

    receipt = await patient.approve(handle.id, reviewer=ADA, changes=changed)

    assert receipt.status == "approved"
    outcome = await answered(approvals, handle)
    assert outcome.edit is not None
    assert outcome.edit.arguments == changed
    shown = await page(handle)
    assert "approved with changes by ada@example.com" in shown
    assert f"(cut here: `clearance show {handle.id}` has all of it)" in shown
    assert len(shown) < 25_000


async def test_refusals_stored_for_a_large_request_leave_it_to_be_decided(
    temporal: Client, approvals: ApprovalClient, settings: Settings, serve: Serve
) -> None:
    request = ApprovalRequest(
        action="Send", tool="send", arguments={"body": "x\u202e" * 60_000}, audience=(ADA,)
    )
    handle = await ask(impatient(temporal, settings), request)
    for _ in range(25):
        await handle.signal("approve", True)
    await handle.signal("record_decision", decision(request))

    async with serve():
        outcome = await answered(approvals, handle)
        view = await approvals.get(handle.id)

        assert outcome.approved
        kinds = [event.kind for event in view.events]
        assert kinds == ["created", *["refused"] * 25, "approved"]
        assert "approved by ada@example.com" in await page(handle)


async def test_what_arrives_while_it_waits_is_shown_though_nothing_was_decided(
    approvals: ApprovalClient, serve: Serve
) -> None:
    trade = ApprovalRequest(action="Trade", audience=("ada", "bob", "cy"), quorum=3)
    handle = await ask(approvals, trade)

    async with serve():
        for count, person in enumerate(("ada", "bob"), 1):
            await approvals.approve(handle.id, reviewer=person)
            assert f"Status: ` pending ({count} of 3) `" in await page(handle)

    async with serve():  # on another worker, from the history
        assert "Status: ` pending (2 of 3) `" in await page(handle)
        assert (await approvals.approve(handle.id, reviewer="cy")).status == "approved"
        assert (await answered(approvals, handle)).approved


@pytest.mark.parametrize(
    "arguments",
    [
        {"secrets": [f"same{n:06}" for n in range(20_000)]},
        {"password": "ab" * 120_000},
        {"a_" * 100_000: 1, "password": "hunter2"},
        {f"pin{n}": n for n in range(500)},
    ],
    ids=["many in one", "one that is long", "a long name", "as many as there may be"],
)
@with_a_worker
async def test_secrets_of_any_size_are_masked_and_the_request_is_decided(
    approvals: ApprovalClient, arguments: dict[str, Any]
) -> None:
    details = "all the same " * 4_000
    request = ApprovalRequest(action="Log in", details=details, tool="t", arguments=arguments)
    handle = await ask(approvals, request.concealed())

    await approvals.approve(handle.id, reviewer=ADA)

    assert (await answered(approvals, handle)).digest == request.digest


@pytest.mark.parametrize(
    "templates",
    [{"confirm_phrase": "{a}" * 600}, {"description_template": "Send\n" + "{a}" * 3_000}],
    ids=["phrase", "description"],
)
@with_a_worker
async def test_a_template_that_repeats_a_long_value_is_cut(
    approvals: ApprovalClient, templates: dict[str, str]
) -> None:
    arguments: dict[str, Any] = {"a": "x" * 200_000}
    request = ApprovalRequest(
        action="Send", tool="t", arguments=arguments, editable=True, **templates
    )
    handle = await ask(approvals, request)

    await approvals.decide(
        handle.id,
        approved=True,
        reviewer=ADA,
        changes={"a": "y" * 200_000},
        confirmation="y" * 200 if "confirm_phrase" in templates else None,
    )

    assert (await answered(approvals, handle)).approved
