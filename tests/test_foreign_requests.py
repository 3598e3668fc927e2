"""Requests started by programs that know nothing of our client, well formed or not."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from clearance import ApprovalClient, ApprovalRequest, InvalidRequest, attributes, contract
from cli.settings import EmbeddedServer, Settings

from .conftest import Serve
from .processes import temporal_cli
from .raw import Handle, decision, impatient
from .support import eventually, unique

WIRE = ApprovalRequest(
    action="Wire 4,200.00 to ACME",
    details="Invoice 77",
    tool="wire_money",
    arguments={"cents": 420_000, "to": "ACME"},
    requester="bob@example.com",
    risk="critical",
    audience=("ada@example.com", "eve@example.com"),
    expires_in=timedelta(hours=2),
)


async def status_attribute(handle: Handle) -> str | None:
    found = (await handle.describe()).typed_search_attributes
    return found.get(attributes.STATUS)


async def test_a_bare_string_started_by_a_foreign_program_is_listed_readable_and_decidable(
    approvals: ApprovalClient, settings: Settings, server: EmbeddedServer, serve: Serve
) -> None:
    id = unique("foreign")
    await temporal_cli(
        server.address,
        *("workflow", "start", "--type", "ApprovalWorkflow", "--workflow-id", id),
        *("--task-queue", settings.approvals_queue, "--input", '"Deploy?"'),
    )

    async def listed() -> list[tuple[str, str]]:
        return [(one.id, one.action) async for one in approvals.pending()]

    # Nobody has introduced it to the lists yet, and no worker ever ran.
    assert await eventually(listed) == [(id, "Deploy?")]
    unread = await impatient(approvals.temporal, settings).get(id)
    assert (unread.request.action, unread.status, unread.complete) == ("Deploy?", "pending", False)

    async with serve():
        view = await eventually(lambda: complete(approvals, id))
        assert view.request == ApprovalRequest(action="Deploy?")
        assert await listed() == [(id, "Deploy?")]
        receipt = await approvals.approve(id, reviewer="ada@example.com")
        assert receipt.status == "approved"
        assert (await approvals.wait(id)).approved


async def complete(approvals: ApprovalClient, id: str) -> Any:
    view = await approvals.get(id)
    return view if view.complete else None


async def test_a_request_started_without_attributes_and_memo_gets_them_from_the_workflow(
    temporal: Client, settings: Settings, serve: Serve
) -> None:
    handle = await temporal.start_workflow(
        "ApprovalWorkflow",
        WIRE.model_dump(mode="json"),
        id=unique("foreign"),
        task_queue=settings.approvals_queue,
    )
    assert await status_attribute(handle) is None

    async with serve():
        assert await eventually(lambda: status_attribute(handle)) == "pending"
        description = await handle.describe()
        assert await description.memo() == {contract.MEMO_APPROVAL: WIRE.memo()}
        assert WIRE.expires_in is not None
        assert description.start_time is not None
        expected = attributes.of(
            WIRE, status="pending", deadline=description.start_time + WIRE.expires_in
        )
        assert dict(pairs(description.typed_search_attributes)) == dict(pairs(expected))


def pairs(found: Any) -> list[tuple[str, Any]]:
    def plain(value: Any) -> Any:
        if hasattr(value, "timestamp"):  # the server keeps milliseconds
            return int(value.timestamp() * 1_000)
        return list(value) if isinstance(value, list | tuple) else value

    ours = {key.name for key in attributes.KEYS}
    return [(p.key.name, plain(p.value)) for p in found.search_attributes if p.key.name in ours]


MALFORMED_REQUESTS: dict[str, list[Any]] = {
    "nothing": [],
    "null": [None],
    "a number": [7],
    "a list": [["Deploy?"]],
    "an empty action": [""],
    "501 characters": ["x" * 501],
    "no action": [{"details": "Deploy?"}],
    "an unknown field": [{"action": "Deploy?", "verdict": 2}],
    "a group in the audience": [{"action": "Deploy?", "audience": ["group:finance"]}],
    "a deadline in the past": [{"action": "Deploy?", "expires_in": -1}],
    "two arguments": ["Deploy?", "now"],
}


@pytest.mark.parametrize("arguments", MALFORMED_REQUESTS.values(), ids=MALFORMED_REQUESTS.keys())
@pytest.mark.usefixtures("served")
async def test_a_malformed_request_fails_at_once_and_says_why(
    temporal: Client, settings: Settings, arguments: list[Any]
) -> None:
    handle = await temporal.start_workflow(
        "ApprovalWorkflow",
        args=arguments,
        id=unique("malformed"),
        task_queue=settings.approvals_queue,
    )

    async with asyncio.timeout(10):
        with pytest.raises(WorkflowFailureError) as failure:
            await handle.result()

    assert isinstance(failure.value.cause, ApplicationError)
    assert failure.value.cause.type == contract.ERROR_INVALID_REQUEST
    assert failure.value.cause.message


async def test_a_malformed_request_takes_no_decision_either(
    temporal: Client, settings: Settings, serve: Serve
) -> None:
    handle = await temporal.start_workflow(
        "ApprovalWorkflow",
        {"action": "Deploy?", "verdict": 2},
        id=unique("malformed"),
        task_queue=settings.approvals_queue,
    )
    await handle.signal("approve", True)
    await handle.signal("record_decision", decision("(malformed request)"))

    async with serve(), asyncio.timeout(10):
        with pytest.raises(WorkflowFailureError) as failure:
            await handle.result()

    assert isinstance(failure.value.cause, ApplicationError)
    assert failure.value.cause.type == contract.ERROR_INVALID_REQUEST


UNREADABLE: dict[str, dict[str, Any]] = {
    "json that is none": {
        "arg": RawValue(Payload(metadata={"encoding": b"json/plain"}, data=b"{"))
    },
    "an encoding of their own": {
        "arg": RawValue(Payload(metadata={"encoding": b"binary/theirs"}, data=b"x"))
    },
    "a memo that is a word": {"arg": "Deploy?", "memo": {contract.MEMO_APPROVAL: "Deploy?"}},
    "a memo without a digest": {
        "arg": "Deploy?",
        "memo": {contract.MEMO_APPROVAL: {"action": "Deploy?"}},
    },
    "a memo nobody can decode": {
        "arg": "Deploy?",
        "memo": {
            contract.MEMO_APPROVAL: RawValue(
                Payload(metadata={"encoding": b"binary/theirs"}, data=b"x")
            )
        },
    },
}


@pytest.mark.parametrize("started", UNREADABLE.values(), ids=UNREADABLE.keys())
async def test_what_nobody_can_read_hides_no_other_request(
    approvals: ApprovalClient, temporal: Client, settings: Settings, started: dict[str, Any]
) -> None:
    await temporal.start_workflow(
        "ApprovalWorkflow", id=unique("odd"), task_queue=settings.approvals_queue, **started
    )
    good = await approvals.request("Deploy the good one?")

    async def listed() -> bool:
        return good.id in [one.id async for one in approvals.pending()]

    await eventually(listed)


NO_REQUEST: dict[str, Any] = {
    "a number": 7,
    "no action": {"details": "Deploy?"},
    "json that is none": UNREADABLE["json that is none"]["arg"],
}


@pytest.mark.parametrize("argument", NO_REQUEST.values(), ids=NO_REQUEST.keys())
async def test_what_is_no_request_is_an_error_to_its_reader(
    temporal: Client, settings: Settings, argument: Any
) -> None:
    handle = await temporal.start_workflow(
        "ApprovalWorkflow", argument, id=unique("odd"), task_queue=settings.approvals_queue
    )

    with pytest.raises(InvalidRequest):
        await impatient(temporal, settings).get(handle.id)
